"""Spectra of short windows on a grid of beats per minute, straight from the samples: no filter, no resampling."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data.recording import Channel

# Double precision inside: a row must come out the same whether it is computed alone or among others, and sums in single
# precision depend on how the matrix product is cut into blocks.
Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]

# Samples are averaged in blocks down to at least this rate: the spectra end at 441 BPM (7.35 Hz).
_ENOUGH_HZ = 40.0
# Lags of the accelerometer's taps, 40 ms apart: skin and strap delay and colour the motion by less than 0.25 s.
_TAP_S = 0.04
# Motion is taken out between 30 and 360 BPM; the pulse's third harmonic at 120 BPM lies at its end.
_BAND_HZ = (0.5, 6.0)
# Ridge: a share of the regressors' mean power, and the power of 5 mg, so that a still arm explains nothing.
_RIDGE, _STILL_G = 0.02, 0.005


def cut(channel: Channel, starts_s: Floats, length_s: float) -> NDArray[np.float32]:
    """
    Return the samples of each window, NaN where the channel has none.

    Parameters
    ----------
    channel : Channel
        At a fixed rate.
    starts_s : ndarray, shape (n_windows,)
    length_s : float

    Returns
    -------
    ndarray of float32, shape (n_windows, round(length_s * fs))
        The first sample of a row is the first at or after the window's start.
    """
    n = round(length_s * channel.fs_hz)
    # As `Channel.slice`: 1e-6 keeps a sample on the border whatever the rounding of k / fs.
    first = np.ceil((starts_s - channel.t0_s) * channel.fs_hz - 1e-6).astype(np.int64)
    # A window that lies wholly outside is moved to the border: it holds nothing either way.
    first = np.clip(first, -n, channel.samples.size)
    before, after = max(0, -first.min(initial=0)), max(0, first.max(initial=-n) + n - channel.samples.size)
    samples = channel.samples
    if before or after:
        samples = np.pad(samples, (before, after), constant_values=np.nan)
    rows: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(samples, n)[first + before]
    return rows


def settled(rows: NDArray[np.float32]) -> Floats:
    """
    Return rows without gaps and without a straight-line trend.

    A gap is bridged by a straight line between its borders, or held where it touches the row's end; a row without
    a sample is zero.
    """
    out = np.array(rows, np.float64)
    for k in np.flatnonzero(~np.isfinite(out).all(axis=1)):
        good = np.isfinite(out[k])
        out[k] = np.interp(np.arange(good.size), np.flatnonzero(good), out[k, good]) if good.any() else 0.0
    out -= out.mean(axis=1, keepdims=True)
    line = np.linspace(-1, 1, out.shape[1])
    slope: Floats = (out @ line / (line @ line))[:, None]
    return out - slope * line


def transform(rows: Floats, fs_hz: float, frequencies_hz: Floats) -> Complex:
    """
    Return the Fourier transform of settled rows under a Hann taper, at any frequencies.

    Parameters
    ----------
    rows : ndarray, shape (n_windows, n)
    fs_hz : float
    frequencies_hz : ndarray, shape (n_frequencies,)

    Returns
    -------
    ndarray of complex128, shape (n_windows, n_frequencies)
        Scaled so that a sine of amplitude 1 gives 1; phase counts from the window's start.
    """
    block = max(1, int(fs_hz // _ENOUGH_HZ))
    n = rows.shape[1] // block
    means = rows[:, : n * block].reshape(len(rows), n, block).mean(axis=2)
    cosines, sines, turn = _basis(n, block, fs_hz, frequencies_hz.tobytes())
    # Folded about the window's middle, where the taper is symmetric: cosines see only the even part of a row and
    # sines only the odd one, half as long each, so half of the products are saved.
    half = (n + 1) // 2
    left, right = means[:, :half], means[:, ::-1][:, :half]
    found = np.empty((len(rows), frequencies_hz.size), np.complex128)
    found.real = (left + right) @ cosines
    found.imag = (left - right) @ sines
    found *= turn
    return found


@lru_cache(maxsize=32)
def _basis(n: int, block: int, fs_hz: float, frequencies: bytes) -> tuple[Floats, Floats, Complex]:
    """Return cosines and sines of the first half of the rows, tapered, and the turn from its middle to its start."""
    times = (np.arange(n) * block + (block - 1) / 2) / fs_hz
    middle = times.mean()
    taper = np.hanning(n + 2)[1:-1]
    scale = taper * 2 / taper.sum()
    if n % 2:
        scale[n // 2] /= 2  # the middle sample is folded onto itself
    omega = 2 * np.pi * np.frombuffer(frequencies)
    half = slice(0, (n + 1) // 2)
    angle = np.outer((times - middle)[half], omega)
    weight = scale[half, None]
    return np.cos(angle) * weight, -np.sin(angle) * weight, np.exp(-1j * omega * middle)


def band(length_s: float) -> NDArray[np.float64]:
    """Return the frequencies in Hz, 1 / `length_s` apart, at which motion is fitted."""
    return np.arange(round(_BAND_HZ[0] * length_s), round(_BAND_HZ[1] * length_s) + 1) / length_s


def motion_weights(pulse: Complex, motion: Complex, frequencies_hz: Floats, n_taps: int) -> Floats:
    """
    Fit what of the PPG the accelerometer explains: a short filter for each axis, by ridge regression.

    Parameters
    ----------
    pulse : ndarray, shape (n_windows, n_frequencies)
        Transform of the PPG at the frequencies of `band`.
    motion : ndarray, shape (n_windows, 3, n_frequencies)
        Transform of the accelerometer in g.
    n_taps : int
        Odd; taps lie `_TAP_S` apart around zero.

    Returns
    -------
    ndarray, shape (n_windows, 3 * n_taps)

    Notes
    -----
    The same as least squares on delayed and band-limited signals, but in the frequency domain, where PPG and
    accelerometer may have different rates.
    """
    n_axes = motion.shape[1]
    lags = _lagged(frequencies_hz.tobytes(), n_taps)
    taps = np.arange(n_taps)
    # Of two delayed axes only the difference of their delays matters: their cross-spectrum, summed at each difference.
    cross = motion[:, :, None] * motion[:, None].conj()
    summed = cross.view(np.float64) @ lags
    gram = summed[..., taps[:, None] - taps + n_taps - 1].transpose(0, 1, 3, 2, 4)
    size = n_axes * n_taps
    gram = gram.reshape(len(motion), size, size)
    power = np.trace(gram, axis1=1, axis2=2) / size
    ridge = _RIDGE * power + _STILL_G**2 * frequencies_hz.size
    gram[:, np.arange(size), np.arange(size)] += ridge[:, None]
    middle = slice(n_taps - 1 - n_taps // 2, n_taps + n_taps // 2)  # the delays of the taps themselves
    target = (motion * pulse[:, None].conj()).view(np.float64) @ lags[:, middle]
    return np.asarray(np.linalg.solve(gram, target.reshape(len(motion), size, 1))[:, :, 0], np.float64)


def explained(motion: Complex, weights: Floats, frequencies_hz: Floats) -> Complex:
    """Return what `motion_weights` explain of the PPG's transform at any frequencies, shape (n_windows, n)."""
    n_windows, n_axes, _ = motion.shape
    n_taps = weights.shape[1] // n_axes
    delays = _delays(frequencies_hz.tobytes(), n_taps)
    filters = (weights.reshape(n_windows * n_axes, n_taps) @ delays).view(np.complex128)
    return np.asarray((filters.reshape(motion.shape) * motion).sum(axis=1), np.complex128)


@lru_cache(maxsize=16)
def _delays(frequencies: bytes, n_taps: int) -> Floats:
    """Return exp(-i omega lag) of each tap, real and imaginary parts in turn, shape (n_taps, 2 * n_frequencies)."""
    lags = (np.arange(n_taps) - n_taps // 2) * _TAP_S
    return np.exp(-2j * np.pi * np.outer(lags, np.frombuffer(frequencies))).view(np.float64)


@lru_cache(maxsize=16)
def _lagged(frequencies: bytes, n_taps: int) -> Floats:
    """Return what sums a cross-spectrum at lags from -(n_taps - 1) to n_taps - 1, shape (2 * n_frequencies, lags)."""
    lags = np.arange(1 - n_taps, n_taps) * _TAP_S
    turns = np.exp(2j * np.pi * np.outer(lags, np.frombuffer(frequencies)))
    return np.ascontiguousarray(turns.view(np.float64).T)

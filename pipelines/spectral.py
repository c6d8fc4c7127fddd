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
    index = first[:, None] + np.arange(n)
    inside = (index >= 0) & (index < channel.samples.size)
    if not channel.samples.size:
        return np.full(index.shape, np.nan, np.float32)
    rows = channel.samples[np.clip(index, 0, channel.samples.size - 1)]
    return np.where(inside, rows, np.float32(np.nan))


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
    cosines, sines = _basis(n, block, fs_hz, frequencies_hz.tobytes())
    return np.asarray(means @ cosines - 1j * (means @ sines), np.complex128)


@lru_cache(maxsize=32)
def _basis(n: int, block: int, fs_hz: float, frequencies: bytes) -> tuple[Floats, Floats]:
    times = (np.arange(n) * block + (block - 1) / 2) / fs_hz
    taper = np.hanning(n + 2)[1:-1]
    angle = 2 * np.pi * np.outer(times, np.frombuffer(frequencies))
    scale = (taper * 2 / taper.sum())[:, None]
    return np.cos(angle) * scale, np.sin(angle) * scale


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
    design = _delayed(motion, frequencies_hz, n_taps)
    real = np.concatenate([design.real, design.imag], axis=2)
    target = np.concatenate([pulse.real, pulse.imag], axis=1)
    gram = real @ real.transpose(0, 2, 1)
    size = gram.shape[1]
    power = np.trace(gram, axis1=1, axis2=2) / size
    ridge = _RIDGE * power + _STILL_G**2 * frequencies_hz.size
    gram[:, np.arange(size), np.arange(size)] += ridge[:, None]
    return np.asarray(np.linalg.solve(gram, real @ target[:, :, None])[:, :, 0], np.float64)


def explained(motion: Complex, weights: Floats, frequencies_hz: Floats) -> Complex:
    """Return what `motion_weights` explain of the PPG's transform at any frequencies, shape (n_windows, n)."""
    n_taps = weights.shape[1] // motion.shape[1]
    delays = _delays(frequencies_hz, n_taps)
    per_axis = weights.reshape(len(weights), motion.shape[1], n_taps)
    return np.asarray(((per_axis @ delays) * motion).sum(axis=1), np.complex128)


def _delays(frequencies_hz: Floats, n_taps: int) -> Complex:
    lags = (np.arange(n_taps) - n_taps // 2) * _TAP_S
    return np.exp(-2j * np.pi * np.outer(lags, frequencies_hz))


def _delayed(motion: Complex, frequencies_hz: Floats, n_taps: int) -> Complex:
    delays = _delays(frequencies_hz, n_taps)
    n_windows, n_axes, n = motion.shape
    return (motion[:, :, None, :] * delays).reshape(n_windows, n_axes * n_taps, n)

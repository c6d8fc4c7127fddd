"""Band signals of an ECG on one 64 Hz grid, whatever the rate it was sampled at: the front of the R-peak detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID_HZ = 64  # rate of the band signals: enough for an envelope of 22 Hz, and 32 s are 2048 points
BLOCK_S = 32.0  # every decision is made inside one block of this length
_ROWS = 64  # blocks transformed at a time, so that the work stays in the processor's cache
_DECIMATE_TO_HZ = 115.0  # above 100 Hz nothing is left that a beat is told by


def band_response(low_hz: float, high_hz: float) -> NDArray[np.float32]:
    """
    Return the zero-phase response of a second-order band pass at the block's frequencies, shape (1024,).

    Both edges are Butterworth's magnitude; above 28 Hz it fades to nothing at 32 Hz.
    """
    f = np.arange(int(GRID_HZ * BLOCK_S) // 2) / BLOCK_S
    with np.errstate(divide="ignore"):
        rise = 1.0 / np.sqrt(1.0 + (low_hz / np.where(f > 0, f, np.nan)) ** 4)
    fall = 1.0 / np.sqrt(1.0 + (f / high_hz) ** 4)
    return (np.nan_to_num(rise) * fall * np.clip((32.0 - f) / 4.0, 0.0, 1.0)).astype(np.float32)


QRS_BAND = band_response(8.0, 22.0)  # where a QRS complex has most over its T wave
SLOW_BAND = band_response(2.5, 7.0)  # T waves, wide beats, flutter
SHARP_BAND = band_response(16.0, 30.0)  # only steep edges
SHAPE_BAND = band_response(2.0, 28.0)  # what templates are compared in


def band_signals(blocks: NDArray[np.float32], fs_hz: float, bands: Sequence[NDArray[np.float32]]) -> list[Any]:
    """
    Return the analytic signal of each block in each band, sampled at `GRID_HZ`.

    Parameters
    ----------
    blocks : ndarray of float32, shape (n_blocks, n_samples)
        Each `BLOCK_S` long at `fs_hz`, without NaN.
    fs_hz : float
        Any rate: the grid is reached by cutting or filling the spectrum, so the answer hardly depends on it.
    bands : sequence of ndarray, shape (1024,)
        Responses from `band_response`.

    Returns
    -------
    list of ndarray of complex64, shape (n_blocks, 2048)
        Absolute value: envelope in the unit of the input. Phase: polarity, which the envelope does not see.
    """
    from scipy import fft as sfft  # here: 30 MB that a server without an ECG can spare

    n_grid = int(GRID_HZ * BLOCK_S)
    made = [np.empty((len(blocks), n_grid), np.complex64) for _ in bands]
    for first in range(0, len(blocks), _ROWS):
        rows = slice(first, first + _ROWS)
        spectrum = _spectrum(blocks[rows], fs_hz)
        keep = spectrum.shape[1]
        for response, out in zip(bands, made, strict=True):
            padded = np.zeros((len(spectrum), n_grid), np.complex64)
            np.multiply(spectrum, response[:keep] * np.float32(2 * n_grid), out=padded[:, :keep])
            out[rows] = sfft.ifft(padded, axis=1, overwrite_x=True)
    return made


def _spectrum(blocks: NDArray[np.float32], fs_hz: float) -> NDArray[np.complex64]:
    """Return the spectrum up to 32 Hz, after averaging neighbours down to about 115 Hz (cheap, and no beat lost)."""
    from scipy import fft as sfft

    q = max(1, int(fs_hz // _DECIMATE_TO_HZ))
    n = blocks.shape[1] // q
    mean = blocks[:, : n * q : q].astype(np.float32)
    for k in range(1, q):
        mean += blocks[:, k : n * q : q]
    mean -= mean.mean(axis=1, keepdims=True)
    keep = min(n // 2 + 1, int(GRID_HZ * BLOCK_S) // 2)
    return np.asarray(sfft.rfft(mean, axis=1)[:, :keep] / np.float32(q * n), np.complex64)


def envelope(analytic: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the smoothed magnitude (weights 1/4, 1/2, 1/4), shape as given."""
    e = np.abs(analytic)
    smooth = 0.5 * e
    smooth[:, 1:] += 0.25 * e[:, :-1]
    smooth[:, :-1] += 0.25 * e[:, 1:]
    return np.asarray(smooth, np.float32)


# Levels are kept in bins of 1.5 s: the longest RR interval of a steady rhythm, so that each holds a beat.
_BIN = 96


def beat_level(e: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the usual peak of the envelope around each bin: median of the maxima of 9 bins, shape (n, n_bins)."""
    n, length = e.shape
    bins = length // _BIN
    peaks = e[:, : bins * _BIN].reshape(n, bins, _BIN).max(axis=2)
    padded = np.concatenate([peaks[:, 4:0:-1], peaks, peaks[:, -2:-6:-1]], axis=1)
    around = np.lib.stride_tricks.sliding_window_view(padded, 9, axis=1)
    return np.asarray(np.partition(around, 4, axis=2)[:, :, 4], np.float32)


def quiet_level(e: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how low the envelope falls between beats: 35th percentile of a bin, smoothed, shape (n, n_bins)."""
    n, length = e.shape
    bins = length // _BIN
    k = _BIN * 35 // 100
    low = np.partition(e[:, : bins * _BIN].reshape(n, bins, _BIN), k, axis=2)[:, :, k]
    padded = np.concatenate([low[:, :1], low, low[:, -1:]], axis=1)
    return np.asarray((padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3.0, np.float32)


def at(level: NDArray[np.float32], index: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the bin's level at grid samples `index`, shape (n, k)."""
    bins = np.minimum(index // _BIN, level.shape[1] - 1)
    return np.take_along_axis(level, bins, axis=1)

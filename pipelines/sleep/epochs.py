"""From channels to the grid that every sleep feature stands on: counts of 15 s, heart rate of 5 s, epochs of 30 s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.recording import Channel, Recording
from pipelines.sleep.counts import FS_HZ, LEAD_S, MIN_FS_HZ, lindert_blocks

EPOCH_S = 30.0
HR_S = 5.0  # the Apple Watch of sleep-accel gives a value every 5 s
HR_PER_EPOCH = 6
# A heart rate stands for at most 20 s after it was given; sleep-accel's own gaps are 5 s.
_HOLD_HR = 3
# A count stands until the next: clocks of 15.01 s leave a bin empty now and then.
_HOLD_COUNT = 1


@dataclass(frozen=True)
class Epochs:
    """
    Motion and heart rate of epochs [first, first + n).

    Parameters
    ----------
    first : int
        Index of the first epoch; epoch k starts at 30 k seconds.
    counts : ndarray of float64, shape (n, 2)
        Activity counts of each 15 s; NaN where nothing was sensed.
    hr_bpm : ndarray of float64, shape (6 n,)
        Heart rate of each 5 s; NaN where unknown.
    """

    first: int
    counts: NDArray[np.float64]
    hr_bpm: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.counts)


def epochs_of(recording: Recording, first: int, last: int) -> Epochs:
    """
    Put a recording's motion and heart rate on the grid of epochs [first, last).

    Motion comes from ``counts`` where it stands, else from ``acc_z`` at 25 Hz or more; heart rate from ``hr``.
    A missing channel is NaN throughout. Nothing outside [30 first - 5, 30 last) s is looked at.
    """
    n = last - first
    counts = np.full((n, 2), np.nan)
    if "counts" in recording.channels:
        counts = _hold(_binned(recording.channels["counts"], first * 2, n * 2, EPOCH_S / 2), _HOLD_COUNT).reshape(n, 2)
    elif "acc_z" in recording.channels and recording.channels["acc_z"].fs_hz >= MIN_FS_HZ:
        counts = _raw_counts(recording.channels["acc_z"], first, n)
    hr = np.full(n * HR_PER_EPOCH, np.nan)
    if "hr" in recording.channels:
        hr = _hold(_binned(recording.channels["hr"], first * HR_PER_EPOCH, n * HR_PER_EPOCH, HR_S, low=20), _HOLD_HR)
    return Epochs(first, counts, hr)


def _binned(channel: Channel, first: int, n: int, width_s: float, low: float = 0.0) -> NDArray[np.float64]:
    """Average what was sensed in each bin; a heart rate below `low` is a sensor's way to say that it has none."""
    value = channel.samples.astype(np.float64)
    # 1e-6: a sample on the border belongs to the bin that it starts, whatever the rounding of k / fs.
    bins = np.floor((channel.times() + 1e-6) / width_s).astype(np.int64) - first
    ok = (bins >= 0) & (bins < n) & np.isfinite(value) & (value >= low)
    total = np.bincount(bins[ok], value[ok], n)
    known = np.bincount(bins[ok], minlength=n)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _hold(x: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    """Carry the last known value forward over at most `limit` bins."""
    at = np.arange(x.size)
    last = np.maximum.accumulate(np.where(np.isfinite(x), at, -limit - 1)) if x.size else at
    near = (at - last <= limit) & (last >= 0)
    return np.where(near, x[np.maximum(last, 0)], np.nan)


def _raw_counts(channel: Channel, first: int, n: int) -> NDArray[np.float64]:
    """Count each epoch from its own samples and 5 s before; half-epochs with a quarter or more missing are unknown."""
    value = channel.samples.astype(np.float64)
    times = channel.times()
    known = np.isfinite(value)
    per_block = int((EPOCH_S + LEAD_S) * FS_HZ)
    if not known.any() or n == 0:
        return np.full((n, 2), np.nan)
    starts = (first + np.arange(n)) * EPOCH_S - LEAD_S
    grid = starts[:, None] + np.arange(per_block) / FS_HZ
    blocks = _interpolated(grid, times, value, known)
    counts = lindert_blocks(blocks)
    halves = np.floor((times + 1e-6) / (EPOCH_S / 2)).astype(np.int64) - 2 * first
    inside = known & (halves >= 0) & (halves < 2 * n)
    seen = np.bincount(halves[inside], minlength=2 * n).reshape(n, 2)
    return np.where(seen >= 0.75 * channel.fs_hz * EPOCH_S / 2, counts, np.nan)


def _interpolated(
    grid: NDArray[np.float64], times: NDArray[np.float64], value: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Interpolate each block from samples of its own span, so that what stands outside cannot show."""
    blocks = np.interp(grid.ravel(), times[known], value[known]).reshape(grid.shape)
    # Beyond the first and last sample of a block `interp` would reach for a neighbour outside the span.
    t = times[known]
    lo = np.searchsorted(t, grid[:, 0] - 1e-6)
    hi = np.searchsorted(t, grid[:, 0] + EPOCH_S + LEAD_S - 1e-6) - 1
    for row in np.flatnonzero(hi >= lo):
        v = value[known]
        blocks[row, grid[row] < t[lo[row]]] = v[lo[row]]
        blocks[row, grid[row] > t[hi[row]]] = v[hi[row]]
    blocks[hi < lo] = 0.0
    return blocks

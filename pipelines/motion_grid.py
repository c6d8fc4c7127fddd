"""One rate for every accelerometer: 20 Hz, by a kernel that makes devices of 20 to 100 Hz alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.recording import Channel, Recording

AXES = ("acc_x", "acc_y", "acc_z")
GRID_HZ = 20.0
# Half the width of the triangular kernel. Gain at 2, 4 and 6 Hz from 20, 25, 32, 40, 50 and 100 Hz sources agrees
# within 0.01, 0.03 and 0.04; at 0.05 s a 20 Hz source would stand out by 0.12 and 0.25, so that the rate would tell.
_HALF_S = 0.06
_SLOWEST_HZ = 10.0  # below, holes remain
LOOKBACK_S = 2 / _SLOWEST_HZ  # how far before its own time a grid sample may look
_BLOCK = 1 << 15  # grid samples at a time: bounds the memory of a day


def delay_s(channel: Channel) -> float:
    """Return how late a movement stands on the grid: half the kernel's width, which follows slow sources."""
    return max(_HALF_S, 1 / max(channel.fs_hz, _SLOWEST_HZ))


def motion_grid(recording: Recording, first: int, last: int, *, limit_g: float) -> NDArray[np.float32]:
    """
    Return acceleration on the grid: sample j stands for the raw samples in (j / 20 - 2 delay, j / 20].

    Causal, so a row of windows may end at its newest sample; local, so any slice of a stream gives the same.

    Parameters
    ----------
    recording : Recording
        With the three axes, at any rates (20 to 100 Hz are tested).
    first, last : int
        Grid samples [first, last); may reach beyond the recording.
    limit_g : float
        Raw samples are clipped here, so that devices with a wider range look like those without.

    Returns
    -------
    ndarray of float32, shape (last - first, 3)
        In g; NaN where no raw sample lies under the kernel.

    Raises
    ------
    ChannelError
        If an axis is absent.
    """
    axes = [recording.require(name) for name in AXES]
    out = np.empty((max(0, last - first), len(AXES)), np.float32)
    for start in range(first, last, _BLOCK):
        stop = min(last, start + _BLOCK)
        for column, channel in enumerate(axes):
            out[start - first : stop - first, column] = _regrid(channel, start, stop, limit_g)
    out[np.isnan(out).any(axis=1)] = np.nan
    return out


def _regrid(channel: Channel, first: int, last: int, limit_g: float) -> NDArray[np.float32]:
    half = delay_s(channel)
    grid = np.arange(first, last) / GRID_HZ
    taps = int(np.ceil(2 * half * channel.fs_hz)) + 1
    n = channel.samples.size
    if n == 0 or grid.size == 0:
        return np.full(grid.size, np.nan, np.float32)
    # 1e-7: a sample on the kernel's border weighs nothing, whichever side rounding puts it on.
    if channel.times_s is None:
        oldest = np.ceil((grid - 2 * half - channel.t0_s) * channel.fs_hz - 1e-7).astype(np.int64)
        index = oldest[:, None] + np.arange(taps)
        times = channel.t0_s + index / channel.fs_hz
    else:
        index = np.searchsorted(channel.times_s, grid - 2 * half)[:, None] + np.arange(taps)
        times = channel.times_s[np.clip(index, 0, n - 1)]
    inside = (index >= 0) & (index < n)
    value = np.clip(channel.samples[np.clip(index, 0, n - 1)], -limit_g, limit_g).astype(np.float64)
    weight = np.maximum(0.0, 1 - np.abs(times - (grid - half)[:, None]) / half)
    # 1e-3: the far shoulder of a kernel is no measurement.
    weight[~inside | np.isnan(value) | (weight < 1e-3)] = 0.0
    total = weight.sum(axis=1)
    summed = (weight * np.where(weight > 0, value, 0.0)).sum(axis=1)
    return np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan).astype(np.float32)

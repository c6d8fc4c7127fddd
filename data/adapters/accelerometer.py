"""What the accelerometer adapters share: three axes on a regular grid, holes kept as NaN."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from data.recording import Channel

AXES = ("acc_x", "acc_y", "acc_z")


def acc_channels(samples_g: NDArray[np.floating], fs_hz: float, t0_s: float = 0.0) -> Mapping[str, Channel]:
    """
    Return the channels ``acc_x``, ``acc_y``, ``acc_z``.

    Parameters
    ----------
    samples_g : ndarray, shape (n, 3)
        Acceleration in g.
    fs_hz, t0_s : float
        Rate, and time of the first sample in seconds.
    """
    return {
        name: Channel(name, fs_hz, np.ascontiguousarray(samples_g[:, axis], np.float32), t0_s)
        for axis, name in enumerate(AXES)
    }


def regular(
    times_s: NDArray[np.float64], samples: NDArray[np.float64], fs_hz: float, *, longest_hole_s: float
) -> NDArray[np.float64]:
    """
    Put samples with their own times on a grid of `fs_hz` that starts at the first, by straight lines.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Non-decreasing, n >= 1.
    samples : ndarray, shape (n, 3)
    fs_hz : float
    longest_hole_s : float
        Grid points inside a longer hole between two samples are NaN.

    Returns
    -------
    ndarray, shape (n_grid, 3)
    """
    elapsed = times_s - times_s[0]
    # 1e-6: a last sample that sits on the grid belongs to it, whatever the rounding of its time.
    grid = np.arange(int(np.floor(elapsed[-1] * fs_hz + 1e-6)) + 1) / fs_hz
    out = np.stack([np.interp(grid, elapsed, samples[:, axis]) for axis in range(samples.shape[1])], axis=1)
    after = np.clip(np.searchsorted(elapsed, grid, side="left"), 1, max(1, elapsed.size - 1))
    if elapsed.size > 1:
        hole = elapsed[after] - elapsed[after - 1]
        inside = (grid > elapsed[after - 1]) & (grid < elapsed[after])
        out[(hole > longest_hole_s) & inside] = np.nan
    return out

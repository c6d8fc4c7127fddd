"""Taking out what is too narrow for a heart: pacing spikes, static, dropped bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HALF_WIDTH_S = 0.003  # a spike is back where it came from after so long; a QRS complex takes ten times as long
_AROUND_S = 0.04  # where the level is read that it stands on
_SHARE = 0.8  # of its height that is gone after _HALF_WIDTH_S: of the narrowest QRS complexes (young runners) 0.4
_ALONE_S, _ALONE_SHARE = 0.03, 0.5  # nothing like it so near, or it is mains hum or noise
_LEAST = 0.3  # of the block's size: smaller ones mislead nobody
_RARE = 12.0  # times its block's mean, or no block need be looked at closely: an ECG's own corners stay below
_LEAST_RATE_HZ = 240.0  # below, a narrow QRS complex is as short as a spike, and a converter's filter has eaten that
_SIZE_RATE_HZ = 60.0  # the block's size is read from so many samples a second


def without_spikes(blocks: NDArray[np.float32], fs_hz: float) -> NDArray[np.float32]:
    """
    Return the blocks with straight lines in the place of spikes; the same array where there is none.

    Parameters
    ----------
    blocks : ndarray of float32, shape (n_blocks, n_samples)
        Without NaN.
    fs_hz : float
        Below 240 Hz nothing is changed.
    """
    k, around = max(1, round(_HALF_WIDTH_S * fs_hz)), round(_AROUND_S * fs_hz)
    if fs_hz < _LEAST_RATE_HZ or blocks.shape[1] <= 2 * around or not len(blocks):
        return blocks
    height = blocks[:, 2 * k :] + blocks[:, : -2 * k]
    height *= np.float32(-0.5)
    height += blocks[:, k:-k]
    np.abs(height, out=height)
    suspect = np.flatnonzero(height.max(axis=1) > _RARE * height.mean(axis=1))
    if not suspect.size:
        return blocks
    height = height[suspect]
    row, sample = np.nonzero(height > _LEAST * _sizes(blocks[suspect], fs_hz)[:, None])
    here = sample + k
    level = 0.5 * (
        blocks[suspect[row], np.maximum(here - around, 0)]
        + blocks[suspect[row], np.minimum(here + around, blocks.shape[1] - 1)]
    )
    spike = height[row, sample] > _SHARE * np.abs(blocks[suspect[row], here] - level)
    row, sample = row[spike], sample[spike]
    aside = np.arange(2 * k, max(2 * k, round(_ALONE_S * fs_hz)) + 1)
    near = (sample[:, None] + np.concatenate([-aside, aside])).clip(0, height.shape[1] - 1)
    alone = height[row[:, None], near].max(axis=1, initial=0.0) < _ALONE_SHARE * height[row, sample]
    return _bridged(blocks, suspect[row[alone]], sample[alone] + k, k) if alone.any() else blocks


def _sizes(blocks: NDArray[np.float32], fs_hz: float) -> NDArray[np.float32]:
    """Return how far each block's highest fiftieth stands from its median: about its R waves' height."""
    thin = blocks[:, :: max(1, int(fs_hz / _SIZE_RATE_HZ))]
    middle, high = thin.shape[1] // 2, int(0.98 * thin.shape[1])
    deflection = np.abs(thin - np.partition(thin, middle, axis=1)[:, middle, None])
    return np.asarray(np.maximum(np.partition(deflection, high, axis=1)[:, high], 1e-9), np.float32)


def _bridged(blocks: NDArray[np.float32], row: NDArray[np.intp], at: NDArray[np.intp], k: int) -> NDArray[np.float32]:
    clean = blocks.copy()
    samples = np.arange(blocks.shape[1])
    for own in np.unique(row):
        bad = np.zeros(blocks.shape[1], bool)
        bad[(at[row == own][:, None] + np.arange(1 - k, k)).clip(0, bad.size - 1)] = True
        clean[own, bad] = np.interp(samples[bad], samples[~bad], blocks[own, ~bad])
    return clean

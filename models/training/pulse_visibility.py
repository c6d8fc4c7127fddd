"""How much of a known pulse can be seen in a window: where there is none, a network must learn to say nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.pulse_features import BPM, PLANES, STEP_BPM

_SEEN_IN = tuple(PLANES.index(name) for name in ("ppg", "clean", "late clean", "long clean"))
# Levels at the reference's rate: below 0.6 octaves over the noise nobody finds the line (right in 3 % of `wrist`'s
# windows), above 1.6 most are found.
_UNSEEN, _SEEN = 0.15, 0.40


def visibility(planes: NDArray[np.float32], bpm: NDArray[np.float64]) -> NDArray[np.float32]:
    """
    Return for each window, in [0, 1], whether a line stands at the known rate.

    Parameters
    ----------
    planes : ndarray, shape (n, 1, 128, 14)
    bpm : ndarray, shape (n,)
        Known rates, finite.

    Returns
    -------
    ndarray of float32, shape (n,)
        From the highest level within a bin of the rate in any plane at the bin's own rate.
    """
    at = np.clip(np.round((bpm - BPM[0]) / STEP_BPM).astype(np.intp), 1, BPM.size - 2)
    rows = np.arange(len(planes))
    level = np.full(len(planes), -1.0, np.float32)
    for plane in _SEEN_IN:
        for shift in (-1, 0, 1):
            level = np.maximum(level, planes[rows, 0, at + shift, plane])
    return np.asarray(np.clip((level - _UNSEEN) / (_SEEN - _UNSEEN), 0.0, 1.0), np.float32)


def unsure(targets: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of bin probabilities moved towards "any rate" as the pulse is not seen; NaN rows: any rate."""
    known = np.nan_to_num(targets)
    share = np.where(np.isfinite(targets[:, 0]), seen, 0.0)[:, None]
    return np.asarray(share * known + (1 - share) / targets.shape[1], np.float32)

"""What the network sees of an impact: signals that do not change however the watch sits on the arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.falls.trigger import AFTER, BEFORE
from pipelines.motion_grid import GRID_HZ

LENGTH = BEFORE + AFTER
SIGNALS = ("size", "along_before", "along_after", "tilt_before", "tilt_after", "jerk", "unrest")
_BEFORE_SPAN = slice(BEFORE - round(2.0 * GRID_HZ), BEFORE - round(1.0 * GRID_HZ))  # posture as it was
_AFTER_SPAN = slice(BEFORE + round(0.75 * GRID_HZ), LENGTH)  # and as it became
_SMOOTH = 11  # samples (0.55 s): what is left of the movement is posture


def around(motion_g: NDArray[np.float32], at: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return LENGTH samples around the place `at` of each window, shape (n, LENGTH, 3)."""
    index = at[:, None] - BEFORE + np.arange(LENGTH)
    return np.take_along_axis(motion_g, index[..., None], axis=1)


def hold(motion_g: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Fill holes with the last sample before them, or the first after where there is none before.

    A straight line would invent a turn of the wrist; a held sample says that nothing was seen. All-NaN rows become 0.
    """
    missing = np.isnan(motion_g).any(axis=2)
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(motion_g.shape[1])), axis=1)
    first = np.argmax(~missing, axis=1)
    source = np.where(last < 0, first[:, None], last)
    return np.nan_to_num(np.take_along_axis(motion_g, source[..., None], axis=1))


def view(impact_g: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Return the network's input for samples around impacts.

    All signals are lengths and inner products of the vectors among themselves, so that turning or mirroring the
    watch (other wrist, other side) changes nothing: size of the acceleration; its part along gravity as it was before
    and as it became after; cosine between the smoothed vector and those two; size of its change; strength of what the
    smoothing takes away.

    Parameters
    ----------
    impact_g : ndarray of float32, shape (n, LENGTH, 3)
        May hold NaN.

    Returns
    -------
    ndarray of float32, shape (n, 1, LENGTH, 7)
        Compressed to a range of about [-2, 2.5].
    """
    x = hold(impact_g)
    size = np.linalg.norm(x, axis=2)
    posture = _box(x, _SMOOTH)
    smooth = _unit(posture)
    before = _unit(x[:, _BEFORE_SPAN].mean(axis=1))
    after = _unit(x[:, _AFTER_SPAN].mean(axis=1))
    change = np.linalg.norm(np.diff(x, axis=1, prepend=x[:, :1]), axis=2)
    unrest = np.sqrt(np.maximum(_box(((x - posture) ** 2).sum(axis=2, keepdims=True), _SMOOTH)[..., 0], 0))
    signals = (
        np.log2(size + 0.35),
        np.arcsinh(_along(x, before)),
        np.arcsinh(_along(x, after)),
        _along(smooth, before),
        _along(smooth, after),
        np.log2(change + 0.06) / 2 + 1,
        np.log2(unrest + 0.03) / 2 + 1,
    )
    return np.stack(signals, axis=-1).astype(np.float32)[:, None]


def _along(vectors: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("ntc,nc->nt", vectors, direction))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    # 0.2 g: in free fall the vector has no direction worth the name, so let it shrink instead of spin.
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 0.2))


def _box(x: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    half = width // 2
    padded = np.concatenate([np.repeat(x[:, :1], half, axis=1), x, np.repeat(x[:, -1:], half, axis=1)], axis=1)
    total = np.cumsum(padded, axis=1, dtype=np.float64)
    total = np.concatenate([np.zeros_like(total[:, :1]), total], axis=1)
    return np.asarray((total[:, width:] - total[:, :-width]) / width, np.float32)

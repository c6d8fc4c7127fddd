"""From candidates to beats: two small networks score them, and of those closer than a heart can beat the best stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.beat_detection.features import FAR, Candidates, shift

REFRACTORY_S = 0.22  # 270 a minute: no two beats closer
_CLIP = 2.5  # standard deviations: beyond what was trained on, a feature says no more
_NEVER = -1e9


@dataclass(frozen=True)
class Scorer:
    """
    A perceptron on standardised, clipped features; plain numpy, a few hundred numbers.

    Parameters
    ----------
    columns : tuple of int
        Which features it reads.
    mean, deviation : ndarray, shape (n_columns,)
    weights, biases : sequence of ndarray
        One a layer; ReLU between.
    """

    columns: tuple[int, ...]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    weights: Sequence[NDArray[np.float32]]
    biases: Sequence[NDArray[np.float32]]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log odds that each row is a beat, shape (n,), from features (n, n_features)."""
        x = features[:, list(self.columns)]
        x -= self.mean
        x /= self.deviation
        np.clip(x, -_CLIP, _CLIP, out=x)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = x @ weight
            x += bias
            np.maximum(x, 0.0, out=x)
        return np.asarray((x @ self.weights[-1] + self.biases[-1])[:, 0], np.float32)


def score(
    scorer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    features: NDArray[np.float32],
    valid: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return the log odds in each slot, far below zero in an empty one, shape (n_blocks, k)."""
    found = np.full(valid.shape, _NEVER, np.float32)
    if valid.any():
        found[valid] = scorer(features[valid])
    return found


def best_apart(found: Candidates, odds: NDArray[np.float32], threshold: float = 0.0) -> NDArray[np.bool_]:
    """Return which candidates stand above `threshold` and above every such neighbour within `REFRACTORY_S`."""
    keep = found.valid & (odds > threshold)
    masked = np.where(keep, odds, np.float32(_NEVER))
    for k in (1, 2, 3):  # candidates stand at least 78 ms apart: no more fit
        if k >= masked.shape[1]:
            break
        for side in (1, -1):
            close = np.abs(shift(found.time_s, side * k, -side * 2 * FAR) - found.time_s) <= REFRACTORY_S
            keep &= ~(close & (shift(masked, side * k, _NEVER) > odds))
    return keep

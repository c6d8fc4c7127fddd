"""Intervals that hold what they promise: a scale fitted on training recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.task import Task

_LEVEL = 0.9
_ADD = 1.0  # BPM; the reference's own noise, which no belief knows
_SMALLEST, _LARGEST = 0.3, 4.0


def interval_scale(
    task: Task,
    predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],
    recordings: Sequence[Recording],
) -> dict[str, float]:
    """
    Return ``width_add`` and ``width_scale`` for the 90 % interval of a numeric task.

    The half width is add + scale * (belief's own half width); the scale is the 0.9 quantile of what was needed, each
    recording counting alike. Errors on recordings that were trained on are smaller than on new ones: `margin` of the
    caller's report says what the folds found.
    """
    needed, weight = [], []
    for recording in recordings:
        windows = task.prepare(recording)
        decoder = task.decoder(config={"width_add": 0.0, "width_scale": 1.0, "gate": 0.0})
        scored: dict[str, Any] = task.score(decoder.update(predict(windows.inputs), windows), recording)
        table = np.array(scored["windows"], np.float64).reshape(-1, 6)
        if len(table):
            error = np.abs(table[:, 2] - table[:, 1])
            needed.append(np.maximum(error - _ADD, 0.0) / np.maximum(table[:, 3], 0.1))
            weight.append(np.full(len(table), 1 / len(table)))
    if not needed:
        return {"width_add": _ADD, "width_scale": 1.0}
    ratios, shares = np.concatenate(needed), np.concatenate(weight)
    order = np.argsort(ratios)
    at = np.searchsorted(np.cumsum(shares[order]) / shares.sum(), _LEVEL)
    scale = float(np.clip(ratios[order][min(int(at), ratios.size - 1)], _SMALLEST, _LARGEST))
    return {"width_add": _ADD, "width_scale": round(scale, 3)}

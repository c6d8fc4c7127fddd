"""A night's stages, and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.sleep.score import score_parts, sleep_score
from pipelines.sleep.stages import Stage
from pipelines.sleep.statistics import sleep_statistics

EPOCH_MIN = 0.5
CYCLE_MIN = 90.0
_CODES = {"W": Stage.WAKE, "L": Stage.LIGHT, "D": Stage.DEEP, "R": Stage.REM}
# Mean ENMO of the wrist by stage, in mg: our choice, near what sleepers in the laboratory show.
_MOVED_MG = {"W": 14.0, "L": 1.6, "D": 0.5, "R": 1.0}
MOVEMENT_S = 300
_FIGURES = (
    "efficiency", "sol_min", "waso_min", "rem_latency_min", "awakenings", "light_min", "deep_min", "rem_min",
)  # fmt: skip


def hypnogram(n_epochs: int, rng: np.random.Generator, *, restless: float = 1.0) -> str:
    """Return `n_epochs` letters of W L D R: cycles of 90 minutes, deep sleep early, REM late.

    Parameters
    ----------
    n_epochs : int
        Epochs of 30 s in bed.
    rng : numpy.random.Generator
    restless : float
        Multiplies the time to fall asleep and the number of awakenings.

    References
    ----------
    Ohayon et al. 2004, doi:10.1093/sleep/27.7.1255: shares and awakenings of healthy adults.
    """
    stages = ["L"] * n_epochs
    onset = min(n_epochs // 2, round(rng.gamma(4.0, 3.5) * restless / EPOCH_MIN))
    stages[:onset] = ["W"] * onset
    at, cycle = float(onset), 0
    while at < n_epochs:
        length = rng.normal(CYCLE_MIN, 8.0) / EPOCH_MIN
        deep = max(0.0, rng.normal(38.0 - 13.0 * cycle, 5.0)) / EPOCH_MIN
        rem = max(4.0, rng.normal(10.0 + 8.0 * cycle, 4.0)) / EPOCH_MIN
        first = at + 10.0 / EPOCH_MIN
        _put(stages, first, deep, "D")
        _put(stages, at + length - rem, rem, "R")
        at += length
        cycle += 1
    for _ in range(rng.poisson(7 * restless)):
        _put(stages, onset + rng.uniform(0.05, 1.0) * (n_epochs - onset), 1.0 + float(rng.geometric(0.35)), "W")
    _put(stages, n_epochs - int(rng.integers(2, 12)), 12, "W")
    return "".join(stages)


def figures(stages: str) -> dict[str, Any]:
    """Return the night's figures under the names of docs/records.md, the hypnogram and its score among them."""
    found = sleep_statistics(np.array([_CODES[letter] for letter in stages], np.int8))
    named = {name: getattr(found, name) for name in _FIGURES}
    return {
        "hypnogram": stages,
        **{name: None if np.isnan(value) else round(value, 3) for name, value in named.items()},
        "score": sleep_score(found),
        "score_parts": {p.name.replace(" ", "_"): round(p.weight * p.reached, 1) for p in score_parts(found)},
    }


def movement(stages: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return what the wrist moved in each five minutes, in mg: much when awake, a turn now and then when asleep."""
    usual = np.array([_MOVED_MG[letter] for letter in stages])
    turns = rng.random(len(stages)) < np.where(usual > 5, 0.0, 0.02)
    moved = usual * rng.gamma(2.0, 0.5, len(stages)) + 25.0 * turns
    parts = np.array_split(moved, max(1, round(len(stages) * EPOCH_MIN * 60 / MOVEMENT_S)))
    return {"every_s": MOVEMENT_S, "mg": [round(float(part.mean()), 1) for part in parts]}


def _put(stages: list[str], first: float, length: float, letter: str) -> None:
    a, b = max(0, round(first)), min(len(stages), round(first + length))
    stages[a:b] = [letter] * max(0, b - a)

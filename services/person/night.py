"""A night's stages, and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np

EPOCH_MIN = 0.5
CYCLE_MIN = 90.0


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
    """Return the night's figures under the names of docs/records.md, the hypnogram among them."""
    asleep = [s in "LDR" for s in stages]
    if not any(asleep):
        return {"hypnogram": stages, "efficiency": 0.0, "sol_min": None, "waso_min": None}
    onset, last = asleep.index(True), len(asleep) - 1 - asleep[::-1].index(True)
    minutes = {name: stages.count(letter) * EPOCH_MIN for name, letter in (("light", "L"), ("deep", "D"), ("rem", "R"))}
    rem = stages.find("R", onset)
    woken = [i for i in range(onset, last) if stages[i + 1] == "W" and stages[i] != "W"]
    return {
        "hypnogram": stages,
        "efficiency": round(sum(asleep) / len(stages), 3),
        "sol_min": onset * EPOCH_MIN,
        "waso_min": stages[onset : last + 1].count("W") * EPOCH_MIN,
        "rem_latency_min": (rem - onset) * EPOCH_MIN if rem >= 0 else None,
        "awakenings": len(woken),
        **{f"{name}_min": value for name, value in minutes.items()},
    }


def _put(stages: list[str], first: float, length: float, letter: str) -> None:
    a, b = max(0, round(first)), min(len(stages), round(first + length))
    stages[a:b] = [letter] * max(0, b - a)

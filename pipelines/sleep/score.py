"""The sleep score of a night, and regularity and debt over weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from pipelines.sleep.statistics import SleepStatistics

FORMULA = (
    "40 duration + 20 efficiency + 10 latency + 15 wake after onset + 7.5 deep + 7.5 REM, each part from 0 to 1 "
    "(docs/sleep.md)"
)
# The borders of "recommended" and "appropriate" are the National Sleep Foundation's: duration of adults, Hirshkowitz
# 2015, doi:10.1016/j.sleh.2014.12.010; efficiency, latency, wake after onset and shares of stages, Ohayon 2017,
# doi:10.1016/j.sleh.2016.11.006. The weights are ours: the score is a summary, not a measurement.
_DURATION_H = ((4.0, 0.0), (7.0, 1.0), (9.0, 1.0), (12.0, 0.3))
_EFFICIENCY = ((0.65, 0.0), (0.85, 1.0))
_SOL_MIN = ((15.0, 1.0), (60.0, 0.0))
_WASO_MIN = ((20.0, 1.0), (90.0, 0.0))
_DEEP = ((0.02, 0.0), (0.16, 1.0))
_REM = ((0.05, 0.0), (0.21, 1.0))
_DAY_EPOCHS = 2880
_DEBT_NIGHTS = 14


@dataclass(frozen=True)
class ScorePart:
    """One part of the score: its weight, and how much of it was reached, in [0, 1]."""

    name: str
    weight: float
    reached: float


def score_parts(figures: SleepStatistics) -> tuple[ScorePart, ...]:
    """Return the parts of the score; none for a night without sleep."""
    if figures.tst_min <= 0:
        return ()
    return (
        ScorePart("duration", 40.0, _along(figures.tst_min / 60.0, _DURATION_H)),
        ScorePart("efficiency", 20.0, _along(figures.efficiency, _EFFICIENCY)),
        ScorePart("latency", 10.0, _along(figures.sol_min, _SOL_MIN)),
        ScorePart("wake after onset", 15.0, _along(figures.waso_min, _WASO_MIN)),
        ScorePart("deep", 7.5, _along(figures.deep_min / figures.tst_min, _DEEP)),
        ScorePart("rem", 7.5, _along(figures.rem_min / figures.tst_min, _REM)),
    )


def sleep_score(figures: SleepStatistics) -> int | None:
    """Return the score from 0 to 100 by `FORMULA`; None for a night without sleep."""
    parts = score_parts(figures)
    return round(sum(p.weight * p.reached for p in parts)) if parts else None


def sleep_regularity(sleeps: Sequence[tuple[datetime, datetime]]) -> float | None:
    """
    Return the sleep regularity index, from -100 to 100: how alike two moments 24 h apart are, asleep or awake.

    Parameters
    ----------
    sleeps : sequence of (start, end)
        Aware times of each sleep. Days between the first start and the last end are taken as recorded throughout.

    Returns
    -------
    float or None
        None below two days.

    References
    ----------
    Phillips et al., Sci Rep 2017;7:3216, doi:10.1038/s41598-017-03171-4.
    """
    if not sleeps:
        return None
    zero = min(start for start, _ in sleeps)
    epoch = timedelta(seconds=30)
    n = round((max(end for _, end in sleeps) - zero) / epoch)
    if n < 2 * _DAY_EPOCHS * 0.9:
        return None
    asleep = np.zeros(n, np.bool_)
    for start, end in sleeps:
        asleep[round((start - zero) / epoch) : round((end - zero) / epoch)] = True
    return float(200.0 * (asleep[:-_DAY_EPOCHS] == asleep[_DAY_EPOCHS:]).mean() - 100.0)


def sleep_debt_min(tst_min: Sequence[float], need_min: float = 480.0) -> float:
    """
    Return the sleep owed over the last 14 nights, oldest first: the sum of need less sleep, not below zero.

    Parameters
    ----------
    tst_min : sequence of float
        NaN for a night that was not recorded: it neither owes nor repays.
    need_min : float, default=480
        8 h, the middle of what is recommended to adults.
    """
    last = np.asarray(tst_min[-_DEBT_NIGHTS:], np.float64)
    return max(0.0, float(np.nansum(need_min - last))) if last.size else 0.0


def _along(x: float, corners: Sequence[tuple[float, float]]) -> float:
    return float(np.interp(x, [c[0] for c in corners], [c[1] for c in corners]))

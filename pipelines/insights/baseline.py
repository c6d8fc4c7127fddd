"""The personal usual range: median and MAD over four weeks, with a stated minimum of data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.insights.day import Day

WINDOW_DAYS = 28
MIN_DAYS = 14  # half the window: below it there is no usual range, and no finding is made from one
# A MAD of a normal variable is 0.6745 of its standard deviation.
_MAD_TO_SD = 1 / 0.6745
# A wearer may be steadier than the sensor is exact: no range is narrower than what the watch can tell apart.
FLOOR_SD = {
    "resting_hr_bpm": 1.5, "rmssd_ms": 4.0, "sleep_min": 25.0, "sleep_efficiency": 0.02, "bedtime_min": 20.0,
    "steps": 1200.0, "active_min": 8.0, "sedentary_min": 40.0,
    "energy_met_min": 90.0,
}  # fmt: skip


@dataclass(frozen=True)
class Baseline:
    """
    The usual range of one measure.

    Parameters
    ----------
    median, sd : float
        `sd` is the scaled MAD, at least the measure's floor.
    n_days : int
        Days that had a value.
    """

    median: float
    sd: float
    n_days: int

    def z(self, value: float) -> float:
        """Return how many standard deviations `value` lies above the median."""
        return (value - self.median) / self.sd

    def usual(self, width: float = 2.0) -> tuple[float, float]:
        """Return the usual range, `width` standard deviations to each side."""
        return self.median - width * self.sd, self.median + width * self.sd


def baseline(days: Sequence[Day], measure: str, before: dt.date) -> Baseline | None:
    """
    Return the baseline of `measure` over the `WINDOW_DAYS` before `before`, or None with fewer than `MIN_DAYS` values.

    The day itself is never part of its own baseline.
    """
    first = before - dt.timedelta(days=WINDOW_DAYS)
    values = [getattr(d, measure) for d in days if first <= d.date < before]
    known = [float(v) for v in values if v is not None]
    if len(known) < MIN_DAYS:
        return None
    # Of the standard library: for four weeks of values ten times as fast as numpy's, and a page asks for hundreds.
    centre = median(known)
    sd = median(abs(v - centre) for v in known) * _MAD_TO_SD
    return Baseline(centre, max(sd, FLOOR_SD[measure]), len(known))

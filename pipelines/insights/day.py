"""`Day`: one wearer's day in the figures that findings are made of."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Day:
    """
    Figures of one local day; None where there was too little data.

    Parameters
    ----------
    date : date
        The local day; a night belongs to the day on which it ends.
    resting_hr_bpm, rmssd_ms : float, optional
        Of the night's sleep.
    sleep_min, sleep_efficiency : float, optional
        Total sleep time in minutes; fraction of the time in bed.
    bedtime_min : float, optional
        Minutes from local noon to falling asleep (so that midnight is no jump).
    steps, active_min, sedentary_min : float, optional
        `active_min` counts moderate minutes once and vigorous ones twice, as WHO does.
    energy_met_min : float, optional
        Energy used, in MET-minutes: what it is in kcal depends on the weight.
    """

    date: dt.date
    resting_hr_bpm: float | None = None
    rmssd_ms: float | None = None
    sleep_min: float | None = None
    sleep_efficiency: float | None = None
    bedtime_min: float | None = None
    steps: float | None = None
    active_min: float | None = None
    sedentary_min: float | None = None
    energy_met_min: float | None = None


MEASURES: tuple[str, ...] = tuple(f.name for f in fields(Day) if f.name != "date")

"""Weeks: what is only seen over several days, sleep debt and regularity first of all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev

from pipelines.insights.day import Day
from pipelines.sleep.score import sleep_debt_min, sleep_regularity

DEBT_SOURCE = (
    "the sum over 14 nights of the sleep you need less the sleep you had; nights that were not recorded are out"
)
REGULARITY_SOURCE = (
    "sleep regularity index, Phillips et al., Sci Rep 2017;7:3216, doi:10.1038/s41598-017-03171-4; "
    "half of 60,977 adults lay between 74 and 86: Windred et al., Sleep 2024;47(1):zsad253, doi:10.1093/sleep/zsad253"
)
DEBT_NIGHTS = 14
# Fewer nights of the fourteen than this say nothing of what is owed.
DEBT_LEAST = 7
# Regularity compares a day with the next, so it needs nights in a row.
REGULAR_LEAST = 5
# A spread of fewer bedtimes is chance.
SPREAD_LEAST = 4

Sleep = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True)
class Week:
    """
    One week from Monday; None where there was too little data.

    Parameters
    ----------
    monday : date
    nights : int
        With a figure.
    sleep_min : float, optional
        Mean a night.
    debt_min : float, optional
        Sleep owed at the week's end, over the 14 nights up to it.
    regularity : float, optional
        Sleep regularity index, -100 to 100.
    bedtime_spread_min : float, optional
        Standard deviation of the bedtimes.
    resting_hr_bpm, rmssd_ms, steps, energy_met_min : float, optional
        Mean a day.
    active_min : float, optional
        Sum.
    """

    monday: dt.date
    nights: int
    sleep_min: float | None
    debt_min: float | None
    regularity: float | None
    bedtime_spread_min: float | None
    resting_hr_bpm: float | None
    rmssd_ms: float | None
    steps: float | None
    energy_met_min: float | None
    active_min: float | None


def monday_of(date: dt.date) -> dt.date:
    """Return the Monday of a date's week."""
    return date - dt.timedelta(days=date.weekday())


def weeks(days: Sequence[Day], sleeps: Mapping[dt.date, Sleep], today: dt.date, n: int, need_min: float) -> list[Week]:
    """
    Return the `n` weeks up to that of `today`, oldest first; weeks without a single figure are left out.

    Parameters
    ----------
    days : sequence of Day
        In any order; for the debt of the first week two weeks more.
    sleeps : mapping of date to (start, end)
        Aware times of each main sleep, by the local day on which it ends.
    today : date
    n : int
    need_min : float
        Sleep that the wearer needs, in minutes.
    """
    known = {d.date: d for d in days if d.date <= today}
    first = monday_of(today) - dt.timedelta(weeks=n - 1)
    made = [_week(known, sleeps, first + dt.timedelta(weeks=k), today, need_min) for k in range(n)]
    return [week for week in made if week is not None]


def _week(
    known: Mapping[dt.date, Day], sleeps: Mapping[dt.date, Sleep], monday: dt.date, today: dt.date, need_min: float
) -> Week | None:
    dates = [monday + dt.timedelta(days=k) for k in range(7)]
    inside = [known[d] for d in dates if d in known]
    if not inside:
        return None
    bedtimes = _values(inside, "bedtime_min")
    return Week(
        monday, len(_values(inside, "sleep_min")), _mean(inside, "sleep_min"),
        _debt(known, min(dates[-1], today), need_min), _regularity([d for d in dates if d in sleeps], sleeps),
        pstdev(bedtimes) if len(bedtimes) >= SPREAD_LEAST else None, _mean(inside, "resting_hr_bpm"),
        _mean(inside, "rmssd_ms"), _mean(inside, "steps"), _mean(inside, "energy_met_min"),
        sum(found) if (found := _values(inside, "active_min")) else None,
    )  # fmt: skip


def _debt(known: Mapping[dt.date, Day], until: dt.date, need_min: float) -> float | None:
    nights = [known.get(until - dt.timedelta(days=k)) for k in range(DEBT_NIGHTS - 1, -1, -1)]
    slept = [d.sleep_min if d and d.sleep_min is not None else float("nan") for d in nights]
    return sleep_debt_min(slept, need_min) if sum(s == s for s in slept) >= DEBT_LEAST else None


def _regularity(dates: Sequence[dt.date], sleeps: Mapping[dt.date, Sleep]) -> float | None:
    """Return the index of the longest run of nights without a gap: an unrecorded night would count as one awake."""
    runs: list[list[dt.date]] = [list(dates[:1])]
    for before, after in pairwise(dates):
        if (after - before).days == 1:
            runs[-1].append(after)
        else:
            runs.append([after])
    longest = max(runs, key=len)
    return sleep_regularity([sleeps[d] for d in longest]) if len(longest) >= REGULAR_LEAST else None


def _values(inside: Sequence[Day], measure: str) -> list[float]:
    return [value for d in inside if (value := getattr(d, measure)) is not None]


def _mean(inside: Sequence[Day], measure: str) -> float | None:
    found = _values(inside, measure)
    return fmean(found) if found else None

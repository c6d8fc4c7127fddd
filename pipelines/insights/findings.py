"""Findings: what left its usual range, with value, range, source and confidence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipelines.insights.baseline import WINDOW_DAYS, Baseline, baseline
from pipelines.insights.day import Day
from pipelines.insights.rules import (
    NOT_A_DIAGNOSIS,
    SILENCE_DAYS,
    STRAYS,
    TOGETHERS,
    WEEKLY_GOALS,
    Stray,
    Together,
    WeeklyGoal,
)


@dataclass(frozen=True)
class Evidence:
    """One measure's part in a finding: its value, and the usual range that it left (None for a public goal)."""

    measure: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Finding:
    """
    What is worth telling.

    Parameters
    ----------
    name : str
        Key of the message in the catalogue.
    date : date
        The day on which it became true.
    days : int
        How many days in a row.
    evidence : tuple of Evidence
    confidence : float
        In [0, 1]: share of the baseline's days that had data, for the weakest part.
    source, caveat : str
        Where the rule comes from, and what the finding is not.
    """

    name: str
    date: dt.date
    days: int
    evidence: tuple[Evidence, ...]
    confidence: float
    source: str
    caveat: str = field(default=NOT_A_DIAGNOSIS)


@dataclass(frozen=True)
class Progress:
    """How much of a public weekly goal was done, and on how many of the seven days anything was measured."""

    goal: WeeklyGoal
    done: float
    n_days: int


def findings(days: Sequence[Day], today: dt.date) -> list[Finding]:
    """
    Return what became true on `today`, given the days up to it.

    Parameters
    ----------
    days : sequence of Day
        In any order; days after `today` are not looked at.
    today : date

    Notes
    -----
    The baseline of a run of days ends before its first day, so that a change cannot hide in its own baseline.
    """
    known = {d.date: d for d in days if d.date <= today}
    found = [_stray(rule, known, today) for rule in STRAYS] + [_together(rule, known, today) for rule in TOGETHERS]
    return [f for f in found if f is not None]


def history(days: Sequence[Day], since: dt.date | None = None) -> list[Finding]:
    """
    Return what is worth telling over `days`: a finding that was not true on any of the `SILENCE_DAYS` before.

    What is told of a day hangs on the days before it alone, however many of them are looked at.

    Parameters
    ----------
    days : sequence of Day
        In any order.
    since : date, optional
        First day to tell of; default: the first there is.
    """
    true_on: dict[str, dt.date] = {}
    told: list[Finding] = []
    first = dt.date.min if since is None else since - dt.timedelta(days=SILENCE_DAYS)
    for day in sorted((d for d in days if d.date >= first), key=lambda d: d.date):
        for finding in findings(days, day.date):
            last = true_on.get(finding.name)
            silent = last is None or (day.date - last).days > SILENCE_DAYS
            if silent and (since is None or day.date >= since):
                told.append(finding)
            true_on[finding.name] = day.date
    return told


def weekly(days: Sequence[Day], today: dt.date) -> list[Progress]:
    """Return each public weekly goal with what the seven days up to `today` add up to."""
    first = today - dt.timedelta(days=6)
    week = [d for d in days if first <= d.date <= today]
    found = []
    for goal in WEEKLY_GOALS:
        values = [v for d in week if (v := getattr(d, goal.measure)) is not None]
        found.append(Progress(goal, float(sum(values)), len(values)))
    return found


def _stray(rule: Stray, known: dict[dt.date, Day], today: dt.date) -> Finding | None:
    run = _run(known, today, rule.days)
    if run is None:
        return None
    base = baseline(list(known.values()), rule.measure, run[0].date)
    if base is None or not all(_strays(d, rule.measure, rule.direction, rule.z, base) for d in run):
        return None
    return Finding(
        rule.name, today, rule.days, (_evidence(run[-1], rule.measure, base),), base.n_days / WINDOW_DAYS, rule.source
    )


def _together(rule: Together, known: dict[dt.date, Day], today: dt.date) -> Finding | None:
    run = _run(known, today, rule.days)
    if run is None:
        return None
    evidence, shares = [], []
    for measure, direction, z in rule.parts:
        base = baseline(list(known.values()), measure, run[0].date)
        if base is not None and all(_strays(d, measure, direction, z, base) for d in run):
            evidence.append(_evidence(run[-1], measure, base))
            shares.append(base.n_days / WINDOW_DAYS)
    if len(evidence) < rule.at_least:
        return None
    return Finding(rule.name, today, rule.days, tuple(evidence), min(shares), rule.source)


def _run(known: dict[dt.date, Day], today: dt.date, n: int) -> list[Day] | None:
    dates: Iterable[dt.date] = (today - dt.timedelta(days=k) for k in range(n - 1, -1, -1))
    run = [known.get(date) for date in dates]
    return [d for d in run if d is not None] if all(run) else None


def _strays(day: Day, measure: str, direction: str, z: float, base: Baseline) -> bool:
    value = getattr(day, measure)
    if value is None:
        return False
    score = base.z(value)
    return score > z if direction == "above" else score < -z


def _evidence(day: Day, measure: str, base: Baseline) -> Evidence:
    low, high = base.usual()
    return Evidence(measure, float(getattr(day, measure)), low, high)

"""Findings: said when something changed, silent when nothing did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipelines.insights.baseline import FLOOR_SD, MIN_DAYS, baseline
from pipelines.insights.day import MEASURES, Day
from pipelines.insights.findings import findings, history, weekly
from pipelines.insights.rules import SILENCE_DAYS, STRAYS, TOGETHERS, WEEKLY_GOALS

FIRST = dt.date(2026, 1, 1)
USUAL = {
    "resting_hr_bpm": (56, 1.8), "rmssd_ms": (48, 7), "sleep_min": (430, 35), "sleep_efficiency": (0.91, 0.03),
    "bedtime_min": (660, 30), "steps": (8200, 2200), "active_min": (32, 15), "sedentary_min": (560, 70),
    "energy_met_min": (2000, 160),
}  # fmt: skip


def unchanged(n: int, seed: int) -> list[Day]:
    """Return `n` days that vary from day to day as people do (one day resembles the next) and do not change."""
    rng = np.random.default_rng(seed)
    series = {}
    for name, (mean, sd) in USUAL.items():
        noise = np.empty(n)
        noise[0] = rng.standard_normal()
        for k in range(1, n):
            noise[k] = 0.3 * noise[k - 1] + np.sqrt(1 - 0.3**2) * rng.standard_normal()
        series[name] = mean + sd * noise
    return [Day(FIRST + dt.timedelta(days=k), **{m: float(series[m][k]) for m in MEASURES}) for k in range(n)]


def test_ninety_days_without_change_raise_at_most_one_finding_a_month() -> None:
    counts = [len(history(unchanged(90, seed))) for seed in range(200)]
    assert np.mean(counts) / 3 <= 1.0
    # Not only on average: nine wearers of ten see no more than three in three months.
    assert np.quantile(counts, 0.9) <= 3


def weekends(days: list[Day]) -> list[Day]:
    """Weekends are later, longer and lazier."""
    return [
        replace(d, bedtime_min=d.bedtime_min + 45, sleep_min=d.sleep_min + 50, steps=0.7 * d.steps)  # type: ignore[operator]
        if d.date.weekday() >= 5 else d
        for d in days
    ]  # fmt: skip


def gaps(days: list[Day]) -> list[Day]:
    """One night in six is not recorded."""
    rng = np.random.default_rng(len(days))
    return [
        replace(d, resting_hr_bpm=None, rmssd_ms=None, sleep_min=None, bedtime_min=None) if rng.random() < 1 / 6 else d
        for d in days
    ]


def restless(days: list[Day]) -> list[Day]:
    """Everything varies twice as much as in others."""
    return [
        replace(d, **{m: mean + 2 * (getattr(d, m) - mean) for m, (mean, _) in USUAL.items()})  # type: ignore[arg-type]
        for d in days
    ]


@pytest.mark.parametrize("wearer", [weekends, gaps, restless], ids=lambda f: f.__name__)
def test_wearers_of_other_habits_who_do_not_change_are_left_in_peace_too(
    wearer: Callable[[list[Day]], list[Day]],
) -> None:
    counts = [len(history(wearer(unchanged(90, seed)))) for seed in range(60)]
    assert np.mean(counts) / 3 <= 1.0


def test_what_is_told_of_a_day_does_not_hang_on_how_far_back_one_looks() -> None:
    days = [replace(d, resting_hr_bpm=66.0) if 40 <= k < 60 else d for k, d in enumerate(unchanged(90, 5))]
    long = {(f.name, f.date) for f in history(days)}
    short = {(f.name, f.date) for f in history(days[30:])}
    edge = days[30 + 28 + SILENCE_DAYS + 6].date
    assert {x for x in long if x[1] >= edge} == {x for x in short if x[1] >= edge}
    assert {(f.name, f.date) for f in history(days, edge)} == {x for x in long if x[1] >= edge}
    assert sum(name == "resting_hr_high" for name, _ in long) == 1


def test_a_cold_is_told_with_its_evidence() -> None:
    days = unchanged(60, 3)
    sick = {41, 42, 43}
    days = [
        replace(d, resting_hr_bpm=66.0, rmssd_ms=22.0, sleep_min=300.0) if k in sick else d for k, d in enumerate(days)
    ]
    told = {f.name: f for f in history(days) if f.date >= days[41].date}
    assert {"early_warning", "resting_hr_high", "hrv_low", "sleep_short"} <= set(told)
    early = told["early_warning"]
    assert early.date == days[42].date
    assert {e.measure for e in early.evidence} == {"resting_hr_bpm", "rmssd_ms", "sleep_min"}
    assert "no diagnosis" in early.caveat
    resting = told["resting_hr_high"].evidence[0]
    assert resting.value == 66.0
    assert resting.high is not None
    assert resting.value > resting.high


def test_a_change_cannot_hide_in_its_own_baseline() -> None:
    days = unchanged(40, 1)
    wild = [replace(d, steps=1e6) if k >= 30 else d for k, d in enumerate(days)]
    assert baseline(wild, "steps", days[30].date) == baseline(days, "steps", days[30].date)


def test_with_too_little_data_there_is_no_range_and_no_finding() -> None:
    days = unchanged(MIN_DAYS - 1, 0)
    today = FIRST + dt.timedelta(days=MIN_DAYS - 1)
    assert baseline(days, "steps", today) is None
    assert findings([*days, Day(today, steps=0.0)], today) == []


def test_a_steady_wearer_is_not_told_of_what_the_watch_cannot_tell_apart() -> None:
    days = [Day(FIRST + dt.timedelta(days=k), resting_hr_bpm=55.0) for k in range(40)]
    days += [Day(FIRST + dt.timedelta(days=40 + k), resting_hr_bpm=56.0) for k in range(3)]
    assert history(days) == []


def test_a_day_without_data_breaks_the_run() -> None:
    days = [replace(d, resting_hr_bpm=70.0) if k >= 40 else d for k, d in enumerate(unchanged(43, 2))]
    days[41] = replace(days[41], resting_hr_bpm=None)
    assert "resting_hr_high" not in {f.name for f in findings(days, days[-1].date)}


def test_the_week_is_summed_against_the_public_goal() -> None:
    days = [Day(FIRST + dt.timedelta(days=k), active_min=6.0) for k in range(10)]
    (progress,) = weekly([*days[:-1], replace(days[-1], active_min=None)], days[-1].date)
    assert (progress.goal.goal, progress.done, progress.n_days) == (150.0, 36.0, 6)


@pytest.mark.parametrize("rule", [*STRAYS, *TOGETHERS, *WEEKLY_GOALS], ids=lambda r: r.name)
def test_every_rule_names_known_measures_and_its_source(rule: object) -> None:
    parts = getattr(rule, "parts", None)
    measures = [p[0] for p in parts] if parts else [rule.measure]  # type: ignore[attr-defined]
    assert set(measures) <= set(FLOOR_SD) == set(MEASURES)
    assert rule.source  # type: ignore[attr-defined]

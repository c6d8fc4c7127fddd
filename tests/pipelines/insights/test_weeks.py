"""Weeks: debt and regularity are said where there are nights enough, and only there."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.insights.day import Day
from pipelines.insights.weeks import DEBT_LEAST, Sleep, monday_of, weeks

TODAY = dt.date(2026, 5, 10)  # a Sunday


def sleep(date: dt.date, bed_h: float = -1.0, hours: float = 8.0) -> Sleep:
    midnight = dt.datetime.combine(date, dt.time(), dt.UTC)
    return midnight + dt.timedelta(hours=bed_h), midnight + dt.timedelta(hours=bed_h + hours)


def nights(n: int, minutes: float) -> list[Day]:
    return [
        Day(TODAY - dt.timedelta(days=k), sleep_min=minutes, bedtime_min=660.0, steps=8000.0, active_min=20.0)
        for k in range(n)
    ]


def test_an_hour_short_every_night_is_fourteen_hours_owed() -> None:
    (_, week) = weeks(nights(14, 420.0), {}, TODAY, 6, 480.0)
    assert (week.monday, week.nights, week.sleep_min, week.debt_min) == (dt.date(2026, 5, 4), 7, 420.0, 14 * 60.0)
    assert (week.steps, week.active_min) == (8000.0, 140.0)
    assert weeks(nights(14, 420.0), {}, TODAY, 6, 420.0)[-1].debt_min == 0.0


def test_with_few_nights_nothing_is_owed_and_nothing_is_regular() -> None:
    known = nights(DEBT_LEAST - 1, 300.0)
    (week,) = weeks(known, {d.date: sleep(d.date) for d in known[:4]}, TODAY, 6, 480.0)
    assert week.debt_min is None
    assert week.regularity is None


def test_the_same_hours_each_day_are_perfectly_regular_and_a_missed_night_is_no_night_awake() -> None:
    known = nights(7, 450.0)
    same = {d.date: sleep(d.date) for d in known}
    assert weeks(known, same, TODAY, 1, 480.0)[0].regularity == pytest.approx(100.0)
    del same[TODAY - dt.timedelta(days=1)]
    assert weeks(known, same, TODAY, 1, 480.0)[0].regularity == pytest.approx(100.0)
    shifted = {d.date: sleep(d.date, -1.0 if d.date.weekday() < 4 else 2.0) for d in known}
    assert weeks(known, shifted, TODAY, 1, 480.0)[0].regularity < 95.0  # type: ignore[operator]


def test_weeks_without_data_are_left_out_and_no_future_day_counts() -> None:
    known = [*nights(3, 400.0), Day(TODAY + dt.timedelta(days=1), sleep_min=1.0)]
    assert [w.monday for w in weeks(known, {}, TODAY, 6, 480.0)] == [dt.date(2026, 5, 4)]


@given(st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1)))
def test_a_week_begins_on_monday(date: dt.date) -> None:
    monday = monday_of(date)
    assert monday.weekday() == 0
    assert 0 <= (date - monday).days < 7

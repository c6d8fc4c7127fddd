"""Context and reminders: the right word for the minute, the right moment for a nudge."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.insights.context import Context, Minutes, contexts, spans
from pipelines.insights.reminders import KINDS, MAX_PER_DAY, Reminder, Settings, Situation, due

NOON = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.UTC)


def minutes(parts: list[tuple[str, float, int]]) -> Minutes:
    activity = [a for a, _, n in parts for _ in range(n)]
    hr = np.array([h for _, h, n in parts for _ in range(n)], dtype=float)
    n = len(activity)
    return Minutes(activity, hr, np.ones(n, bool), np.zeros(n, bool))


def test_a_run_is_exercise_and_what_follows_is_recovery_until_the_heart_is_at_rest() -> None:
    day = minutes([("still", 60, 30), ("run", 150, 20), ("still", 110, 10), ("still", 62, 30)])
    found = [(c, b - a) for c, a, b in spans(contexts(day, resting_hr_bpm=55, max_hr_bpm=185))]
    assert [c for c, _ in found] == [Context.SEDENTARY, Context.EXERCISING, Context.RECOVERING, Context.SEDENTARY]
    assert [n for _, n in found] == pytest.approx([30, 20, 10, 30], abs=2)


def test_stairs_of_three_minutes_are_not_exercise() -> None:
    day = minutes([("still", 60, 20), ("stairs", 130, 3), ("still", 70, 20)])
    assert Context.EXERCISING not in contexts(day, resting_hr_bpm=55, max_hr_bpm=185)


def test_without_heart_rate_walking_is_walking() -> None:
    day = minutes([("still", np.nan, 20), ("walk", np.nan, 20)])
    assert contexts(day, resting_hr_bpm=55, max_hr_bpm=185)[-5] == Context.WALKING


def test_asleep_and_not_worn_win() -> None:
    day = minutes([("walk", 100, 30)])
    day.asleep[:10] = True
    day.worn[20:] = False
    found = contexts(day, resting_hr_bpm=55, max_hr_bpm=185)
    assert (found[5], found[15], found[25]) == (Context.ASLEEP, Context.WALKING, Context.NOT_WORN)


def test_a_maximum_below_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="must exceed the resting one, got 50 and 60"):
        contexts(minutes([("still", 60, 3)]), resting_hr_bpm=60, max_hr_bpm=50)


def test_long_sitting_brings_one_reminder_with_its_reason() -> None:
    (reminder,) = due(Situation(NOON, [Context.SEDENTARY] * 60), Settings(), [])
    assert (reminder.kind, reminder.reason) == ("stand", {"sedentary_min": 60})
    assert due(Situation(NOON + dt.timedelta(minutes=5), [Context.SEDENTARY] * 65), Settings(), [reminder]) == []


@pytest.mark.parametrize("last", [Context.ASLEEP, Context.EXERCISING])
def test_nothing_disturbs_sleep_or_exercise(last: Context) -> None:
    tonight = Situation(NOON, [Context.SEDENTARY] * 90 + [last], usual_bedtime=dt.time(12, 30), battery=0.05)
    assert due(tonight, Settings(), []) == []


@pytest.mark.parametrize("clock", [dt.time(23, 30), dt.time(2, 0), dt.time(6, 59)])
def test_nothing_comes_in_quiet_hours_across_midnight(clock: dt.time) -> None:
    now = dt.datetime.combine(NOON.date(), clock, tzinfo=dt.UTC)
    assert due(Situation(now, [Context.SEDENTARY] * 90), Settings(), []) == []


def test_what_is_switched_off_stays_off() -> None:
    assert due(Situation(NOON, [Context.SEDENTARY] * 90), Settings(on={"stand": False}), []) == []


def test_a_day_has_a_limit() -> None:
    sent = [Reminder("stand", NOON - dt.timedelta(hours=k), {}) for k in range(1, MAX_PER_DAY + 1)]
    assert due(Situation(NOON, [Context.SEDENTARY] * 90), Settings(), sent) == []


def test_charge_and_wind_down_come_before_the_usual_bedtime() -> None:
    evening = NOON.replace(hour=22)
    walk = [Context.WALKING] * 10
    found = due(Situation(evening, walk, usual_bedtime=dt.time(22, 40), battery=0.2), Settings(), [])
    assert {r.kind for r in found} == {"wind_down", "charge"}
    assert due(Situation(evening, walk, usual_bedtime=dt.time(1, 30), battery=0.2), Settings(), []) == []


def test_a_bare_wrist_is_told_to_wear_it_only_after_two_hours() -> None:
    assert due(Situation(NOON, [Context.NOT_WORN] * 119), Settings(), []) == []
    assert [r.kind for r in due(Situation(NOON, [Context.NOT_WORN] * 120), Settings(), [])] == ["wear"]


def test_a_strap_worn_all_day_comes_off_only_for_who_asked_for_it() -> None:
    worn = Situation(NOON, [Context.WALKING] * 16 * 60)
    assert due(worn, Settings(), []) == []
    assert [r.kind for r in due(worn, Settings(on={"take_off": True}), [])] == ["take_off"]
    paused = Situation(NOON, [*[Context.WALKING] * 900, Context.NOT_WORN, *[Context.WALKING] * 100])
    assert due(paused, Settings(on={"take_off": True}), []) == []


@given(st.lists(st.tuples(st.sampled_from(list(Context)), st.integers(5, 240)), min_size=8, max_size=40), st.data())
@hypothesis.settings(max_examples=40, deadline=None)
def test_whatever_a_wearer_does_nothing_disturbs_and_no_day_has_too_many(
    spells: list[tuple[Context, int]], data: st.DataObject
) -> None:
    minutes_of = [context for context, n in spells for _ in range(n)][: 2 * 1440]
    battery = data.draw(st.floats(0, 1))
    chosen = Settings(on={k.name: True for k in KINDS}, quiet_from=dt.time(22), quiet_to=dt.time(6, 30))
    midnight = NOON.replace(hour=0)
    sent: list[Reminder] = []
    for minute in range(0, len(minutes_of), 2):
        now = midnight + dt.timedelta(minutes=minute)
        situation = Situation(now, minutes_of[: minute + 1], dt.time(23, 15), battery)
        for reminder in due(situation, chosen, sent):
            assert minutes_of[minute] not in (Context.ASLEEP, Context.EXERCISING)
            assert dt.time(6, 30) <= now.time() < dt.time(22)
            assert reminder.reason
            sent.append(reminder)
    for kind in KINDS:
        times = [r.at for r in sent if r.kind == kind.name]
        assert all(later - earlier >= kind.pause for earlier, later in pairwise(times))
    days = [r.at.date() for r in sent]
    assert all(days.count(day) <= MAX_PER_DAY for day in days)

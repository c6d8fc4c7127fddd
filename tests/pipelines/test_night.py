"""A night's report is true and plain, whatever the night was like."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sleep.night import sleep_periods, summarise_night
from pipelines.sleep.stages import Stage

START = dt.datetime(2026, 3, 28, 22, 0, tzinfo=dt.UTC)
W, L, D, R = Stage.WAKE, Stage.LIGHT, Stage.DEEP, Stage.REM


def night(*parts: tuple[Stage, float]) -> np.ndarray:
    """Return a hypnogram of (stage, minutes)."""
    return np.concatenate([np.full(int(minutes * 2), stage, np.int8) for stage, minutes in parts])


def test_a_plain_night_adds_up() -> None:
    report = summarise_night(night((W, 20), (L, 200), (D, 90), (W, 10), (R, 100), (W, 10)), START, 3600)
    figures = report.to_dict()
    assert (figures["sol_min"], figures["tst_min"], figures["awakenings"]) == (20.0, 390.0, 1)
    assert figures["sol_min"] + figures["tst_min"] + figures["waso_min"] == figures["tib_min"] == 430.0
    assert figures["hypnogram"].count("D") == 180
    assert report.date == dt.date(2026, 3, 29)
    assert 0 <= figures["score"] <= 100


@pytest.mark.parametrize("hours", [3, 14])
def test_short_and_long_nights_are_as_long_as_they_were(hours: int) -> None:
    report = summarise_night(night((L, hours * 60)), START)
    assert report.figures.tst_min == hours * 60
    assert report.end - report.start == dt.timedelta(hours=hours)


def test_a_night_without_sleep_has_no_latency_and_no_score() -> None:
    figures = summarise_night(night((W, 300)), START).to_dict()
    assert figures["tst_min"] == 0.0
    for name in ("sol_min", "waso_min", "rem_latency_min", "score"):
        assert figures[name] is None, name


def test_two_hours_off_the_wrist_are_unknown_and_counted_nowhere() -> None:
    report = summarise_night(night((L, 120), (Stage.UNDEFINED, 120), (L, 120)), START)
    assert report.figures.tst_min == 240.0
    assert report.figures.known_min == 240.0
    assert report.letters().count("?") == 240


def test_a_night_across_a_change_of_the_clock_is_as_long_as_it_was() -> None:
    """Europe's clocks go forward at 01:00 UTC of 2026-03-29: eight hours stay eight."""
    report = summarise_night(night((L, 480)), START, utc_offset_s=7200)
    assert report.figures.tst_min == 480.0
    assert report.date == dt.date(2026, 3, 29)


def test_the_day_of_a_night_is_the_one_on_which_it_ends_on_the_wearers_clock() -> None:
    late = dt.datetime(2026, 5, 1, 20, 0, tzinfo=dt.UTC)
    assert summarise_night(night((L, 180)), late, utc_offset_s=-5 * 3600).date == dt.date(2026, 5, 1)
    assert summarise_night(night((L, 180)), late, utc_offset_s=8 * 3600).date == dt.date(2026, 5, 2)


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        summarise_night(night((L, 10)), dt.datetime(2026, 1, 1))


def test_the_night_is_found_in_a_day_and_an_awakening_does_not_split_it() -> None:
    day = night((W, 600), (L, 180), (W, 20), (L, 240), (W, 300), (L, 90), (W, 60))
    (first, last), nap = sleep_periods(day)
    assert first == pytest.approx(1200, abs=40)
    assert last == pytest.approx(1200 + 880, abs=40)
    assert nap[1] - nap[0] == pytest.approx(180, abs=40)


@pytest.mark.parametrize("day", [night((W, 1440)), night((Stage.UNDEFINED, 1440)), np.empty(0, np.int8)])
def test_a_day_without_sleep_has_no_period(day: np.ndarray) -> None:
    assert sleep_periods(day) == []


@given(st.lists(st.sampled_from([W, L, D, R]), min_size=1, max_size=300))
def test_the_minutes_of_any_known_night_add_up(stages: list[Stage]) -> None:
    figures = summarise_night(np.array(stages, np.int8), START).figures
    assert figures.wake_min + figures.light_min + figures.deep_min + figures.rem_min == figures.tib_min
    if figures.tst_min > 0:
        assert figures.sol_min + figures.tst_min + figures.waso_min == pytest.approx(figures.tib_min)

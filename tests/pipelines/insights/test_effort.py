"""Zones, energy and the week's plan: from age, measured maximum, minutes and METs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.activities import CLASSES
from pipelines.insights.energy import METS, energy_kcal, met_minutes, met_of, moving_met_minutes
from pipelines.insights.plan import EASE, GROWTH, MOST_MIN, START_MIN, next_week
from pipelines.insights.zones import ZONE_NAMES, maximum_hr, minutes_at, peak_bpm, zone_bounds, zone_minutes


def test_zones_follow_the_heart_rate_reserve() -> None:
    assert maximum_hr(40) == 180.0
    assert maximum_hr(40, 190.0) == 190.0
    assert maximum_hr(40, 150.0) == 180.0  # who never tried hard has shown no maximum
    assert zone_bounds(60, 180)["moderate"] == (108.0, 132.0)
    found = zone_minutes(minutes_at(np.array([70, 110, 120, 140, 178, np.nan])), 60, 180)
    assert found == {"very_light": 1, "light": 0, "moderate": 2, "vigorous": 1, "maximal": 1}


def test_the_zones_of_a_heart_lie_side_by_side_from_rest_to_maximum() -> None:
    bounds = list(zone_bounds(52, 187).values())
    assert [low for low, _ in bounds[1:]] == [high for _, high in bounds[:-1]]
    assert (bounds[0][0], bounds[-1][1]) == (52, 187)


@given(st.lists(st.one_of(st.floats(35, 210), st.just(float("nan"))), max_size=200))
def test_every_known_minute_is_in_one_zone(bpm: list[float]) -> None:
    found = zone_minutes(minutes_at(np.array(bpm, float)), 60, 180)
    assert set(found) == set(ZONE_NAMES)
    assert sum(found.values()) == np.isfinite(bpm).sum()


def test_a_peak_was_held_and_is_no_single_minute() -> None:
    assert peak_bpm(np.array([80.0, 199.0, 81.0, 150.0, 152.0, 151.0, 90.0])) == 150.0
    assert peak_bpm(np.array([240.0] * 9)) is None
    assert peak_bpm(np.array([150.0, np.nan, 150.0, 150.0])) is None
    assert peak_bpm(np.array([])) is None


def test_energy_is_met_times_weight_times_hours() -> None:
    assert energy_kcal(met_minutes({"walk": 60.0, "still": 30.0}), 70.0) == pytest.approx(3.5 * 70 + 1.3 * 70 / 2)
    assert moving_met_minutes({"walk": 10.0, "still": 30.0, "asleep": 400.0}) == pytest.approx(22.0)


def test_every_activity_has_its_row_of_the_compendium_and_an_unknown_one_counts_as_sitting() -> None:
    assert set(CLASSES) <= set(METS)
    assert all(len(effort.code) == 5 and effort.code.isdigit() and effort.words for effort in METS.values())
    assert met_of("<script>") == METS["still"].met


@pytest.mark.parametrize(
    ("done", "recovery", "why"),
    [(100, 0.5, "build"), (100, -0.6, "hold"), (200, -1.5, "ease"), (100, None, "hold"), (559, 0.2, "enough")],
)
def test_the_plan_adapts_to_what_was_done_and_how_it_was_recovered(
    done: float, recovery: float | None, why: str
) -> None:
    plan = next_week(done, recovery)
    assert plan.why == why
    assert plan.active_min <= max(done, START_MIN) * GROWTH


@given(st.floats(0, 2000), st.one_of(st.none(), st.floats(-4, 4)))
def test_no_plan_asks_for_a_leap_or_for_more_than_who_advises(done: float, recovery: float | None) -> None:
    plan = next_week(done, recovery)
    assert START_MIN * EASE - 1 <= plan.active_min <= min(max(done, START_MIN) * GROWTH + 1, MOST_MIN)
    assert 3 <= plan.sessions <= 5

"""The mock person: plausible, the same from the same seed, and told through the real API."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from services.local import LocalService
from services.person import Life, live, mock_person, records_of
from services.person.life import AWAY_S, HOME_S, LABELS, RUN
from services.person.night import figures, hypnogram
from services.person.records import fall_record
from services.sync.clientrecords import ClientRecord

END = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def month() -> Life:
    return live(30, 7, END)


def by_day(life: Life, kind: str) -> list[float]:
    return [r["value"] for r in records_of(life) if r["kind"] == kind]


def test_the_same_seed_lives_the_same_month_and_another_seed_another(month: Life) -> None:
    again, other = live(30, 7, END), live(30, 8, END)
    np.testing.assert_array_equal(month.heart_rate_bpm, again.heart_rate_bpm)
    assert list(records_of(again)) == list(records_of(month))
    assert not np.array_equal(month.label, other.label)


def test_a_life_begins_at_a_local_midnight_and_ends_now(month: Life) -> None:
    assert month.start == datetime(2026, 10, 25, 23, 0, tzinfo=UTC)
    assert month.time(len(month)) == END
    assert len(set(month.local_days())) == 30


def test_heart_rates_are_those_of_a_body(month: Life) -> None:
    known = month.heart_rate_bpm[np.isfinite(month.heart_rate_bpm)]
    assert 42 < known.min() < 56
    assert 130 < known.max() < 175
    asleep = np.nanmean(month.heart_rate_bpm[month.in_bed])
    assert asleep + 8 < np.nanmean(month.heart_rate_bpm[~month.in_bed])
    running = month.heart_rate_bpm[month.label == RUN]
    assert np.nanmedian(running) > 125
    assert np.isnan(month.heart_rate_bpm).mean() < 0.03


def test_a_cold_on_day_20_raises_the_heart_at_rest_and_lowers_its_variability(month: Life) -> None:
    rest, rmssd = by_day(month, "resting_heart_rate"), by_day(month, "rmssd")
    usual, ill = np.median(rest[:18]), np.array(rest[19:23])
    assert ill.max() > usual + 6
    assert min(rmssd[19:24]) < 0.75 * np.median(rmssd[:18])
    assert max(by_day(month, "active_minutes")[19:23]) < 30


def test_a_journey_on_day_12_changes_the_offset_and_loses_no_minute(month: Life) -> None:
    days = month.local_days()
    assert set(month.utc_offset_s) == {HOME_S, AWAY_S}
    assert {int(d) for d in days[month.utc_offset_s == AWAY_S]} == {11, 12, 13, 14, 15}
    lengths = np.bincount(days)
    assert sorted(set(lengths[:29])) == [1080, 1440, 1800]
    nights = [(n.first_min, n.last_min) for n in month.nights]
    assert all(a[1] < b[0] for a, b in pairwise(nights))
    assert len(nights) == 30


def test_a_fall_on_day_25_says_who_was_told_and_when(month: Life) -> None:
    (minute,) = month.falls_min
    assert month.local_days()[minute] == 24
    fall = fall_record(month, minute)
    assert fall["value"] == "alerted"
    assert [h["state"] for h in fall["data"]["history"]] == ["detected", "alerted"]


@pytest.mark.parametrize("days", [1, 3, 12])
def test_a_shorter_life_has_what_its_days_hold(days: int) -> None:
    life = live(days, 1, END)
    assert life.falls_min == ()
    assert set(life.utc_offset_s) == {HOME_S}
    assert len(set(life.local_days())) == days


def test_a_life_of_no_days_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        live(0, 1, END)


def test_every_record_keeps_to_the_services_schema(month: Life) -> None:
    kept = list(records_of(month))
    for record in [*kept[::500], *kept[-200:], fall_record(month, month.falls_min[0])]:
        ClientRecord.model_validate(record)
    ids = [r["client_record_id"] for r in kept]
    assert len(set(ids)) == len(ids)
    assert {r["value"] for r in kept if r["kind"] == "activity"} <= set(LABELS)


@pytest.mark.parametrize("seed", range(5))
def test_a_night_has_its_stages_and_its_sums(seed: int) -> None:
    stages = hypnogram(960, np.random.default_rng(seed))
    assert len(stages) == 960
    found = figures(stages)
    asleep_min = found["light_min"] + found["deep_min"] + found["rem_min"]
    assert found["sol_min"] + asleep_min + found["waso_min"] <= 480
    assert found["efficiency"] == pytest.approx(asleep_min / 480, abs=1e-3)
    assert 0.1 < found["deep_min"] / asleep_min < 0.35
    assert 0.1 < found["rem_min"] / asleep_min < 0.35
    assert found["rem_latency_min"] > 40
    assert found["score"] == pytest.approx(sum(found["score_parts"].values()), abs=1)
    assert found["score"] > 60


def test_a_night_without_sleep_has_no_latency() -> None:
    assert figures("W" * 100)["sol_min"] is None


def test_a_day_reaches_a_service_through_its_api(tmp_path: Path) -> None:
    service = LocalService(tmp_path / "w.db", ())
    service.start()
    try:
        said: list[float] = []
        report = mock_person(
            service.url, service.companion, days=1, seed=3, end=END, on_progress=lambda done, _: said.append(done)
        )
        kinds = {r["kind"] for r in service.companion.records()}
        devices = service.companion.call("GET", "/v1/devices")["devices"]
    finally:
        service.stop()
    assert report.refused == {}
    assert report.fall == "none"
    assert report.records > 900
    assert report.chunks > 10
    assert {"heart_rate", "activity", "steps", "sleep", "rmssd", "resting_heart_rate", "active_minutes"} <= kinds
    assert "settings" in kinds
    assert devices[0]["device_id"] == report.device_id
    assert said == sorted(said)
    assert said[-1] == 1.0

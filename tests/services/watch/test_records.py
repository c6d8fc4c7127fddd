"""Estimates of the wrist as records."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipelines.task import Estimate
from services.sync.clientrecords import ClientRecord
from services.watch import WatchClock
from services.watch.inference import WristEstimate
from services.watch.records import RecordMaker

CLOCK = WatchClock(datetime(2026, 3, 1, 8, 0, tzinfo=UTC), name="w", utc_offset_s=3600)


def said(kind: str, start_s: float, value: float | str | None, **extras: object) -> WristEstimate:
    return WristEstimate("a-task", "v1", CLOCK.boot_id, Estimate(kind, start_s, start_s + 8, value, 2.0, 0.9, extras))


def test_numbers_become_one_record_a_minute_once_the_minute_is_over() -> None:
    maker = RecordMaker("w")
    rates = [said("heart_rate", t, 60.0 + t / 10) for t in range(0, 60, 2)]
    assert maker.take(rates, CLOCK, 59.0) == []
    (record,) = maker.take([], CLOCK, 61.0)
    assert record["value"] == pytest.approx(62.9)
    assert (record["start"], record["end"]) == ("2026-03-01T08:00:00.000Z", "2026-03-01T08:01:00.000Z")
    assert record["data"] == {"task": "a-task", "model_version": "v1", "n": 30}
    ClientRecord.model_validate(record)


def test_an_activity_is_the_word_that_was_said_most() -> None:
    maker = RecordMaker("w")
    words = [said("activity", t, word) for t, word in enumerate(["walk", "still", "walk"])]
    (record,) = maker.take(words, CLOCK, 61.0)
    assert record["value"] == "walk"


def test_a_fall_is_told_at_once_and_a_later_word_on_it_is_a_new_version() -> None:
    maker = RecordMaker("w")
    (first,) = maker.take([said("fall", 100.0, "detected", impact_s=101.5, confidence=0.9)], CLOCK, 110.0)
    (second,) = maker.take([said("fall", 100.0, "cancelled")], CLOCK, 140.0)
    assert first["client_record_id"] == second["client_record_id"]
    assert (first["client_record_version"], second["client_record_version"]) == (1, 2)
    assert first["data"]["impact"] == "2026-03-01T08:01:41.500Z"
    assert second["value"] == "cancelled"
    ClientRecord.model_validate(first)


def test_what_the_watch_cannot_say_is_no_record() -> None:
    assert RecordMaker("w").take([said("fall", 0.0, None)], CLOCK, 61.0) == []

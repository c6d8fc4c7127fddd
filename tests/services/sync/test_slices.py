"""A day that comes at once: computed in slices, with the same outcome, and nobody else waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from data.recording import Channel, Recording
from pipelines.registry import TASKS
from services.store import jobs
from services.store.store import Store
from services.worker import compute
from services.worker import worker as loop
from services.worker.engine import Ability
from services.worker.plan import Unit
from services.worker.worker import Worker
from tests.services.client import Person
from tests.services.fake_task import pulse_ability

CHUNKS = 240  # of 10 s: 40 minutes, four blocks
WINDOWS = 1197


def rates(person: Person) -> list[Any]:
    """Every heart rate of a person: when, how much, by which revision."""
    found: list[Any] = []
    cursor, more = None, True
    while more:
        page = person.changes(cursor, limit=500)
        cursor, more = page["cursor"], page["more"]
        found += [(r["start"], r["value"], r["revision"]) for r in page["changes"] if r["kind"] == "heart_rate"]
    return sorted(found)


def come_home(person: Person) -> None:
    """Send forty minutes at once."""
    for first in range(0, CHUNKS, 120):
        person.send(person.batch([person.chunk(s) for s in range(first, first + 120)], 10.0 * CHUNKS))


def test_slices_say_what_the_whole_says(ada: Person, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    come_home(ada)
    worker = Worker(store, [pulse_ability()])
    steps = 0
    while worker.step():
        steps += 1
    assert steps == 2
    sliced = rates(ada)
    assert len(sliced) == WINDOWS
    monkeypatch.setattr(loop, "SLICE_S", 1e6)
    bob = Person(ada.http, store, "bob", "watch-2", "22222222-2222-4222-8222-222222222222")
    come_home(bob)
    whole = Worker(store, [pulse_ability()])
    assert [whole.step(), whole.step()] == [1, 0]
    assert rates(bob) == sliced


def test_what_was_just_sensed_does_not_wait_for_a_day_that_came_at_once(
    ada: Person, http: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SLICE_S", 600.0)
    come_home(ada)
    worker = Worker(store, [pulse_ability()])
    assert worker.step() == 1
    assert 0 < len(rates(ada)) < WINDOWS
    bob = Person(http, store, "bob", "watch-2", "22222222-2222-4222-8222-222222222222")
    bob.send(bob.batch([bob.chunk(s) for s in range(6)], 60))
    assert worker.step() == 2
    assert len(rates(bob)) == 27
    assert len(rates(ada)) < WINDOWS
    worker.drain()
    assert len(rates(ada)) == WINDOWS


def test_a_worker_that_dies_between_slices_leaves_the_rest_to_another(
    ada: Person, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SLICE_S", 600.0)
    come_home(ada)
    assert Worker(store, [pulse_ability()]).step() == 1
    other = Worker(store, [pulse_ability()])
    assert other.step() == 0  # it is still leased
    store.write(lambda conn: conn.exec_driver_sql("UPDATE jobs SET lease_us = 1"))
    other.drain()
    found = rates(ada)
    assert len(found) == WINDOWS
    assert {revision for _, _, revision in found} == {1}  # what the first one did stands
    assert store.read(jobs.counts) == {"waiting": 0, "scheduled": 0, "dead": 0}


def test_a_night_prepared_in_pieces_is_the_night_prepared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    night_s = 10 * 3600
    counts = np.maximum(rng.normal(0, 30, night_s // 15), 0).astype(np.float32)
    hr = (60 + rng.normal(0, 3, night_s // 5)).astype(np.float32)
    hr[2000:2400] = np.nan
    night = Recording("n", "n", {"counts": Channel("counts", 1 / 15, counts), "hr": Channel("hr", 0.2, hr)})
    ability = Ability(TASKS["sleep-staging"], None, "v1", {}, sequence=True)

    def read(rates: Mapping[str, float], start_us: int, end_us: int) -> Recording:
        return night.slice(start_us / 1e6, end_us / 1e6)

    part = Unit(0, night_s // 30, True, {"counts": 1 / 15, "hr": 0.2})
    pieces = compute.load_windows(read, ability, part)
    monkeypatch.setattr(compute, "_PIECE_S", 1e9)
    whole = compute.load_windows(read, ability, part)
    assert len(pieces) == len(whole) == night_s // 30
    for name, rows in whole.inputs.items():
        np.testing.assert_allclose(pieces.inputs[name], rows, atol=1e-6)
    for name, rows in whole.extras.items():
        np.testing.assert_array_equal(pieces.extras[name], rows)
    np.testing.assert_array_equal(pieces.quality, whole.quality)

"""*Devices*: what arrived and what did not, how the clock runs, what is rolled out, and raw signal on request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient

from data.synthetic.wearer import wearer
from services.local import OWNER, LocalService
from services.page.views.devices import drift
from services.pytest_plugin import MockWatch
from services.store import accounts, releases
from services.store.clock import SLOT_US, Pair
from services.store.store import Store
from services.watch import run
from services.watch.asked import release_asked
from tests.services.client import Person
from tests.services.page.test_views import OWN, text_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def page(ada: Person) -> FlaskClient:
    """Ada's browser."""
    ada.http.post("/login", data={"name": ada.name, "secret": ada.secret}, headers=OWN)
    return ada.http


def shown(page: FlaskClient) -> str:
    return text_of(page.get("/devices").text)


def test_holes_are_counted_and_named_until_they_are_filled(ada: Person, page: FlaskClient) -> None:
    ada.send(ada.batch([ada.chunk(k) for k in (1, 2, 5)], 60.0, status={"battery": 0.5, "firmware": "mock 9.1"}))
    text = shown(page)
    assert "3 chunks missing, 0 refused" in text
    assert "chunks 0 to 0 of boot 11111111" in text
    assert "chunks 3 to 4 of boot 11111111" in text
    assert "3 chunks of ppg, over 1 boots" in text
    assert "Firmware mock 9.1" in text
    assert "50 %" in text
    ada.send(ada.batch([ada.chunk(k) for k in (0, 3, 4)], 70.0))
    assert "Nothing is missing, nothing was refused" in shown(page)


def test_what_was_refused_says_why(ada: Person, page: FlaskClient) -> None:
    ada.send(ada.batch([ada.chunk(0), ada.chunk(0, data=b"\0" * 160)], 60.0))
    text = shown(page)
    assert "0 chunks missing, 1 refused" in text
    assert "What was refused, and why" in text


def test_a_fast_clock_is_told_in_parts_per_million_and_a_jump_is_counted() -> None:
    def pairs(n: int, ppm: float) -> list[Pair]:
        slots = [k * SLOT_US for k in range(n)]
        return [Pair(m, 10**15 + m + round(m * ppm * 1e-6), 0) for m in slots]

    told = drift([pairs(145, -20.0), pairs(3, 500.0)])
    assert told is not None
    assert told.ppm == pytest.approx(-20.0, abs=0.2)
    assert (round(told.hours), told.jumps) == (24, 0)
    jumped = pairs(30, 0.0)
    jumped[-3:] = [p._replace(wall_us=p.wall_us + 3_600_000_000) for p in jumped[-3:]]
    told = drift([jumped])
    assert told is not None
    assert told.jumps == 3
    short = drift([pairs(2, 0.0)])
    assert short is not None
    assert short.ppm is None
    assert drift([]) is None


def test_a_roll_out_shows_what_runs_what_is_offered_to_how_many_and_what_failed(ada: Person, page: FlaskClient) -> None:
    release = releases.Release("heart-rate", "any", "v2", b"v2", {})
    ada.store.write(lambda conn: releases.publish(conn, release, KEY, 100))
    ada.send(ada.batch([], 1, status={"models": {"heart-rate": "v1"}}))
    assert "heart-rate v1 v2 to 100 % of all watches waits for the next sync" in shown(page)
    why = {"heart-rate": {"v2": "<b>its signature is not the maker's</b>"}}
    ada.send(ada.batch([], 2, status={"models": {"heart-rate": "v1"}, "models_refused": why}))
    assert "refused by the watch" in shown(page)
    assert "Would not take v2: &lt;b&gt;its signature" in page.get("/devices").text
    ada.send(ada.batch([], 3, status={"models": {"heart-rate": "v2"}}))
    assert "heart-rate v2 v2 to 100 % of all watches up to date" in shown(page)


def test_a_status_of_another_shape_does_no_harm(ada: Person, page: FlaskClient) -> None:
    for status in ({"battery": "full", "edge": "yes", "models": 5, "firmware": ["<script>"]}, {}):
        ada.send(ada.batch([], 1, status=status))
        assert page.get("/devices").status_code == 200
        assert page.get("/").status_code == 200


def test_nobody_asks_anothers_watch_for_its_signal(ada: Person, page: FlaskClient, store: Store) -> None:
    _, secret = store.write(lambda conn: accounts.create_user(conn, "eve"))
    ada.send(ada.batch([], 1, status={"edge": True}))
    stranger = page.application.test_client()
    stranger.post("/login", data={"name": "eve", "secret": secret}, headers=OWN)
    answer = stranger.post("/devices", data={"release": ada.device_id}, headers=OWN)
    assert answer.location.endswith("said=no_such_device")
    assert ada.changes(kind="raw_request")["changes"] == []
    assert page.post("/devices", data={"release": ada.device_id}, headers=OWN).location.endswith("said=raw_asked")
    ada.send(ada.batch([], 2, status={"edge": False}))
    assert page.post("/devices", data={"release": ada.device_id}, headers=OWN).status_code == 409


def test_a_watch_in_edge_mode_releases_the_last_hour_when_the_page_asks_for_it(service: LocalService) -> None:
    watches = MockWatch(service)
    wrist = watches.open(wearer(["ppg"], seconds=600, seed=5), edge=True, tasks=("pulse",), name="edgy")
    try:
        wrist.watch.advance(600)
        while not wrist.watch.sync().done:
            pass
        assert wrist.tally.stored == 0
        assert release_asked(wrist.watch, wrist.device_id) == 0
        now = dt.datetime.now(dt.UTC).isoformat()
        nobodys = {"client_record_id": "r", "kind": "raw_request", "start": now, "end": now}
        service.companion.call("POST", "/v1/records", {"records": [nobodys]})
        assert release_asked(wrist.watch, wrist.device_id) == 0
        with signed_in(service) as browser:
            assert f'name="release" value="{wrist.device_id}"' in browser.get("/devices").text
            assert browser.post("/devices", data={"release": wrist.device_id}).status_code == 302
            assert "waits for the watch" in text_of(browser.get("/devices").text)
        assert release_asked(wrist.watch, wrist.device_id) == 1
        while not wrist.watch.sync().done:
            pass
        assert wrist.tally.stored == 10
        (answer,) = service.companion.records("raw_release")
        (asked,) = [r for r in service.companion.records("raw_request") if r["source"]["device_id"]]
        assert (answer["value"], answer["data"]["request"]) == (10.0, asked["id"])
        with signed_in(service) as browser:
            assert "the watch released 10 chunks" in text_of(browser.get("/devices").text)
        assert release_asked(wrist.watch, wrist.device_id) == 0
    finally:
        watches.close()


@contextmanager
def signed_in(service: LocalService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, trust_env=False, headers=OWN) as browser:
        browser.post("/login", data={"name": OWNER, "secret": service.owner_secret})
        yield browser


def test_a_reminder_comes_with_the_next_sync_and_not_only_at_the_end(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LOOK_EVERY_S", 0.0)
    moment = "2026-03-01T10:00:00Z"
    reminder = {"client_record_id": "r1", "kind": "reminder", "start": moment, "end": moment, "value": "stand"}
    service.companion.call("POST", "/v1/records", {"records": [reminder]})
    assert MockWatch(service).run(wearer(["ppg"], seconds=120, seed=5)).reminders == ["stand"]

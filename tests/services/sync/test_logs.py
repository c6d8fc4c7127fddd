"""Logs: lines of JSON that can be followed by request and by user, with no health value, name or secret in any."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.insight import follow
from services.logs import write_logs
from services.store import accounts, jobs
from services.store.store import Store
from services.sync.requestlog import user_hash
from services.worker.engine import Ability
from services.worker.worker import Worker
from tests.services.client import Person, bearer, wall
from tests.services.conftest import SECRET
from tests.services.fake_task import pulse_ability

# A value of every kind that must not be seen, as it would be spelt.
RATE, WEIGHT, NOTE, LEVEL = 77.125, 71.875, "felt dizzy", 83


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    level = root.level
    stream = io.StringIO()
    handler = write_logs("debug", stream)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def live(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do everything that could leave a value in a log: send, read, err, break the worker and the follower."""
    http, own = person.http, person.companion
    records = [
        {"client_record_id": "a", "kind": "heart_rate", "value": RATE},
        {"client_record_id": "b", "kind": "weight", "value": WEIGHT, "data": {"note": NOTE}},
        {"client_record_id": "c", "kind": "weight", "value": {"much": WEIGHT}},
    ]
    stamped = [{**r, "start": wall(0), "end": wall(0)} for r in records]
    assert http.post("/v1/records", json={"records": stamped[:2]}, headers=own).status_code == 200
    assert http.post("/v1/records", json={"records": stamped[2:]}, headers=own).status_code == 422
    levels = [person.chunk(s, data=bytes([LEVEL, 0] * 80)) for s in range(3)]
    person.send(person.batch([*levels, person.chunk(4, n=1, data=bytes([LEVEL, 0]))], 30, status={"note": NOTE}))
    http.post("/v1/sessions", json={"name": person.name, "secret": person.secret + "x"})
    for address in (
        "/v1/changes",
        "/v1/series/heart_rate",
        "/v1/events",
        f"/v1/records/{'0' * 32}",
        f"/v1/none/{NOTE}",
    ):
        http.get(address, headers=own)

    class Broken:
        def predict(self, windows: Any) -> Any:
            raise ValueError(f"a heart rate of {RATE}")

    good = pulse_ability()
    worker = Worker(person.store, [Ability(good.task, Broken(), "v1", {})])
    for _ in range(jobs.ATTEMPTS):
        person.store.write(lambda conn: conn.exec_driver_sql("UPDATE jobs SET due_us = 0"))
        worker.step()

    def refuse(*_: Any) -> None:
        raise ValueError(f"a heart rate of {RATE}")

    monkeypatch.setattr(follow, "refresh", refuse)
    follow.step(person.store)
    monkeypatch.setattr(person.store, "read", refuse)
    assert http.get("/v1/changes", headers=own).status_code == 500
    monkeypatch.undo()
    # Somebody else's library, as it reports an error of ours.
    try:
        refuse()
    except ValueError:
        logging.getLogger("gunicorn.error").exception("Error handling request %s", f"/v1/records?value={RATE}")


def test_no_health_value_name_secret_or_token_is_in_any_log(
    ada: Person, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(ada, monkeypatch)
    text = log.getvalue()
    said = lines(log)
    assert {"wristwise.request", "wristwise.sync", "wristwise.worker", "wristwise.insight", "gunicorn.error"} <= {
        line["logger"] for line in said
    }
    tokens = [h["Authorization"].split()[1] for h in (ada.companion, ada.watch)]
    for secret in (str(RATE), str(WEIGHT), NOTE, "dizzy", f"[{LEVEL}", ada.secret, '"ada"', str(ada.user_id), *tokens):
        assert secret not in text, secret


def test_a_request_can_be_followed_by_its_id(ada: Person, log: io.StringIO) -> None:
    ours = ada.http.get("/v1/me", headers={**ada.companion, "X-Request-ID": "proxy-0001"})
    assert ours.headers["X-Request-ID"] == "proxy-0001"
    drawn = ada.http.get("/v1/me", headers={**ada.companion, "X-Request-ID": "a b\tforged"})
    assert len(drawn.headers["X-Request-ID"]) == 16
    refused = ada.http.get("/v1/records/x", headers=ada.companion)
    first, second, third = (line for line in lines(log) if line["logger"] == "wristwise.request")
    assert first["request_id"] == "proxy-0001"
    assert second["request_id"] == drawn.headers["X-Request-ID"]
    assert third["request_id"] == refused.headers["X-Request-ID"]
    assert {k: third[k] for k in ("level", "event", "method", "route", "status", "problem", "scope")} == {
        "level": "info", "event": "request", "method": "GET", "route": "/v1/records/<record_id>", "status": 422,
        "problem": "invalid", "scope": "companion",
    }  # fmt: skip


def test_an_unexpected_error_is_found_by_its_kind_and_place(
    ada: Person, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(work: Any) -> Any:
        raise KeyError(RATE)

    monkeypatch.setattr(ada.store, "write", broken)
    record = {"client_record_id": "a", "kind": "heart_rate", "value": RATE, "start": wall(0), "end": wall(0)}
    answer = ada.http.post("/v1/records", json={"records": [record]}, headers=ada.companion)
    monkeypatch.undo()
    assert answer.status_code == 500
    (error,) = (line for line in lines(log) if line["level"] == "error")
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert error["error"] == "KeyError"
    assert error["frames"][-1].endswith("broken")


def test_a_user_goes_by_a_hash_that_only_the_services_secret_makes(
    ada: Person, http: FlaskClient, store: Store, log: io.StringIO
) -> None:
    eve = bearer(store.write(lambda c: accounts.issue(c, accounts.create_user(c, "eve")[0], "companion", "test")))
    for headers in (ada.companion, ada.watch, eve, {}):
        http.get("/v1/me", headers=headers)
    users = [line.get("user") for line in lines(log) if line["logger"] == "wristwise.request"]
    assert users[0] == users[1] == user_hash(ada.user_id, SECRET)
    assert len({*users}) == 3
    assert users[3] is None
    assert user_hash(ada.user_id, "another secret") != users[0]

"""Reminders on the wrist."""

from __future__ import annotations

import json
from pathlib import Path

from services.local import LocalService
from services.pytest_plugin import MockWatch
from services.watch.inbox import Inbox
from services.watch.link import Answer
from services.watch.outbox import Outbox


def test_a_reminder_reaches_the_wrist_once(tmp_path: Path) -> None:
    service = LocalService(tmp_path / "w.db", ())
    service.start()
    watches = MockWatch(service)
    try:
        wrist = watches.open()
        inbox = Inbox(wrist.watch.uplink.get, wrist.outbox)
        assert inbox.collect(print) == 0
        moment = "2026-03-01T10:00:00Z"
        record = {"client_record_id": "r1", "kind": "reminder", "start": moment, "end": moment, "value": "stand"}
        note = {"client_record_id": "n1", "kind": "note", "start": moment, "end": moment, "value": "private"}
        service.companion.call("POST", "/v1/records", {"records": [record, note]})
        shown: list[str] = []
        assert inbox.collect(lambda r: shown.append(r["value"])) == 1
        assert inbox.collect(lambda r: shown.append(r["value"])) == 0
        assert shown == ["stand"]
    finally:
        watches.close()
        service.stop()


def test_a_cursor_that_is_too_old_begins_again() -> None:
    asked: list[str] = []

    def get(path: str, headers: object) -> Answer:
        asked.append(path)
        if "cursor" in path:
            return Answer(410, {"content-type": "application/problem+json"}, b'{"restart": "/v1/changes"}')
        body = {"changes": [{"deleted": True}, {"deleted": False}], "cursor": "new", "more": False}
        return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())

    outbox = Outbox()
    outbox.keep({"inbox": "old"})
    assert Inbox(get, outbox).collect(lambda _: None) == 1
    assert outbox.get("inbox") == "new"
    assert len(asked) == 2


def test_a_server_without_a_feed_is_no_reminder() -> None:
    assert Inbox(lambda path, headers: Answer(404, {}, b""), Outbox()).collect(lambda _: None) == 0

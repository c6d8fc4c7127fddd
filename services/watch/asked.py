"""Raw signal that the wearer asks for while edge mode keeps it on the wrist: asked on the page, released here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.watch.device import Watch
from services.watch.inbox import Inbox

# Records of the page and of the watch; docs/records.md has their members.
REQUEST, ANSWER = "raw_request", "raw_release"
_IDS = uuid.UUID("5f0f7d2e-8a51-4f0e-9b3c-3a8f0f7f6c11")


def release_asked(watch: Watch, device_id: str) -> int:
    """Release what was asked of this watch since the last look, and say how much that is; return how many requests.

    The next `sync` sends the chunks, and the answer beside them.

    Raises
    ------
    LinkDown
        If the server does not say what was asked.
    """
    answered = 0

    def release(request: Mapping[str, Any]) -> None:
        nonlocal answered
        if request["source"]["device_id"] != device_id:
            return
        now = watch.clock.read(watch.now_s).wall
        start_s, end_s = (
            watch.now_s - (now - datetime.fromisoformat(request[edge])).total_seconds() for edge in ("start", "end")
        )
        chunks = watch.release_raw(start_s, end_s)
        watch.outbox.add((), [_answer(request, chunks)], watch.clock.boots, {})
        answered += 1

    Inbox(watch.uplink.get, watch.outbox, REQUEST).collect(release)
    return answered


def _answer(request: Mapping[str, Any], chunks: int) -> dict[str, Any]:
    return {
        "client_record_id": str(uuid.uuid5(_IDS, request["id"])),
        "client_record_version": 1,
        "kind": ANSWER,
        **{name: request[name] for name in ("start", "end", "utc_offset_s")},
        "value": float(chunks),
        "recording_method": "automatic",
        "data": {"request": request["id"]},
    }

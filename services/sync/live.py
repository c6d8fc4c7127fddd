"""`GET /v1/live`: heart rate and alerts as they come, as server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Annotated

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from services.store import records
from services.store.errors import CursorExpired
from services.store.records import Page
from services.sync.changes import read_cursor, visible_kinds, write_cursor
from services.sync.clientrecords import Kind, record_body
from services.sync.context import Service, service, who
from services.sync.fields import Body
from services.sync.kinds import LIVE
from services.sync.operation import operation
from services.sync.problems import Problem

blueprint = APIBlueprint("live", __name__, abp_tags=[Tag(name="live")])
HEARTBEAT_S = 15.0
_LOOK_S = 0.5
PAGE = 200


class LiveQuery(Body):
    """Where to begin: now, unless a cursor (here or as `Last-Event-ID`) says otherwise."""

    cursor: Annotated[str, Field(max_length=256)] | None = None
    kind: Kind | None = None


@operation(
    blueprint, "get", "/v1/live", scopes=("companion", "caregiver"), media=("text/event-stream",), refuses=(410,)
)
def get_live(query: LiveQuery) -> Response:
    """Follow heart rate and alerts as they come"""
    access, parts = who(), service()
    kinds = visible_kinds(access.scope, query.kind) or list(LIVE)
    cursor = request.headers.get("Last-Event-ID") or query.cursor
    if cursor is None:
        after = parts.store.read(lambda c: records.last_change(c, access.user_id))
    else:
        after = read_cursor(cursor, access.user_id)
    if not parts.live.acquire(blocking=False):
        raise Problem(
            "unavailable",
            "too many live streams are open; use GET /v1/changes?wait=, or come back",
            {"Retry-After": "30"},
        )
    response = Response(_stream(parts, access.user_id, after, kinds), content_type="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(parts.live.release)
    return response


def _stream(parts: Service, user_id: int, after: int, kinds: list[str]) -> Iterator[str]:
    secret = parts.settings.secret  # the stream outlives the request's context
    deadline = time.monotonic() + parts.settings.live_s
    beat = time.monotonic() + HEARTBEAT_S
    yield f"retry: 2000\nid: {write_cursor(after, user_id, secret)}\n\n"
    while time.monotonic() < deadline and not parts.stopping.is_set():
        seen = parts.store.commits()
        page = _page(parts, user_id, after, kinds)
        if page is None:
            yield "event: restart\ndata: {}\n\n"
            return
        for record in page.records:
            cursor = write_cursor(record.change_no, user_id, secret)
            yield f"id: {cursor}\nevent: {record.kind}\ndata: {json.dumps(record_body(record))}\n\n"
        after = page.through
        if page.more:
            continue
        if time.monotonic() >= beat:
            beat = time.monotonic() + HEARTBEAT_S
            yield f": heartbeat\nid: {write_cursor(after, user_id, secret)}\n\n"
        parts.store.wait(seen, _LOOK_S)


def _page(parts: Service, user_id: int, after: int, kinds: list[str]) -> Page | None:
    try:
        return parts.store.read(lambda conn: records.changes(conn, user_id, after, PAGE, kinds))
    except CursorExpired:
        return None

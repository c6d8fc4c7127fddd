"""`GET /v1/changes`: everything that changed for a user, in an order in which nothing is ever skipped."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Annotated, Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from services.store import cursors, records
from services.store.errors import CursorExpired
from services.store.records import Page
from services.sync.clientrecords import Kind, RecordBody, record_body
from services.sync.context import service, who
from services.sync.fields import Body, Identifier, Reply
from services.sync.kinds import EVENTS
from services.sync.operation import operation
from services.sync.problems import Problem
from services.sync.wire import reply

blueprint = APIBlueprint("changes", __name__, abp_tags=[Tag(name="changes")])
# Other processes' commits are seen by looking; ours wake the wait at once.
_LOOK_S = 0.5
CAREGIVER_KINDS = EVENTS  # what a caregiver may see


class ChangesQuery(Body):
    """Where to go on from."""

    cursor: Annotated[str, Field(max_length=256)] | None = None
    limit: Annotated[int, Field(ge=1, le=5000)] = 1000
    wait: Annotated[float, Field(ge=0, le=60, description="Seconds to hold the request until something changes.")] = 0
    kind: Kind | None = None
    client: Annotated[
        Identifier | None, Field(description="Without a cursor, go on from what this client has acknowledged.")
    ] = None


class ClientPath(Body):
    """A client's name."""

    client: Identifier


class Acknowledgement(Body):
    """The cursor up to which the client has safely stored what it got."""

    cursor: Annotated[str, Field(max_length=256)]


class CursorReply(Reply):
    """Where a client stands."""

    client: str
    cursor: str


class ChangesReply(Reply):
    """A part of the feed; pass `cursor` to go on."""

    changes: list[RecordBody]
    cursor: str
    more: bool


@operation(
    blueprint, "get", "/v1/changes", scopes=("companion", "watch", "caregiver"), reply=ChangesReply, refuses=(403, 410)
)
def get_changes(query: ChangesQuery) -> Response:
    """Follow what changes"""
    access = who()
    if query.cursor is not None:
        after = read_cursor(query.cursor, access.user_id)
    elif query.client is not None:
        client = f"{access.client_id}/{query.client}"
        after = service().store.read(lambda conn: cursors.acknowledged(conn, access.user_id, client))
    else:
        after = 0
    kinds = visible_kinds(access.scope, query.kind)
    page = wait_for_changes(access.user_id, after, query.limit, kinds, query.wait)
    body: dict[str, Any] = {
        "changes": [record_body(r) for r in page.records],
        "cursor": write_cursor(page.through, access.user_id), "more": page.more,
    }  # fmt: skip
    return reply(body)


@operation(
    blueprint, "put", "/v1/cursors/<client>", scopes=("companion", "watch", "caregiver"), reply=CursorReply,
    refuses=(410,),
)  # fmt: skip
def put_cursor(path: ClientPath, body: Acknowledgement) -> Response:
    """Acknowledge what a client has stored; it never goes back"""
    access = who()
    number, client = read_cursor(body.cursor, access.user_id), f"{access.client_id}/{path.client}"
    stands = service().store.write(lambda conn: cursors.acknowledge(conn, access.user_id, client, number))
    return reply({"client": path.client, "cursor": write_cursor(stands, access.user_id)})


def visible_kinds(scope: str, wanted: str | None) -> list[str]:
    """Return the kinds to look for; a caregiver sees events only. Empty: all."""
    if scope == "caregiver":
        if wanted not in (None, *CAREGIVER_KINDS):
            raise Problem("forbidden", f"a caregiver sees events only; ask for one of {', '.join(CAREGIVER_KINDS)}")
        return [wanted] if wanted else list(CAREGIVER_KINDS)
    return [wanted] if wanted else []


def wait_for_changes(user_id: int, after: int, limit: int, kinds: list[str], wait_s: float) -> Page:
    """Return the next page; where it is empty, wait for one as long as was asked and the service allows."""
    parts = service()
    deadline = time.monotonic() + min(wait_s, parts.settings.max_wait_s)
    waiting = wait_s > 0 and parts.waiting.acquire(blocking=False)
    try:
        while True:
            seen = parts.store.commits()
            page = _page(user_id, after, limit, kinds)
            left = deadline - time.monotonic()
            if page.records or not waiting or left <= 0 or parts.stopping.is_set():
                return page
            parts.store.wait(seen, min(left, _LOOK_S))
    finally:
        if waiting:
            parts.waiting.release()


def _page(user_id: int, after: int, limit: int, kinds: list[str]) -> Page:
    try:
        return service().store.read(lambda conn: records.changes(conn, user_id, after, limit, kinds))
    except CursorExpired as error:
        raise Problem("cursor-expired", str(error), restart="/v1/changes") from error


def write_cursor(change_no: int, user_id: int, secret: str | None = None) -> str:
    """Return an opaque cursor that only this user's reader can use; `secret` is for use outside of a request."""
    text = f"1.{change_no}"
    signature = _sign(text, user_id, secret or service().settings.secret)
    return base64.urlsafe_b64encode(f"{text}.{signature}".encode()).decode().rstrip("=")


def read_cursor(cursor: str, user_id: int) -> int:
    """Return the change number in `cursor`; raise `Problem` for one that we did not give to this user."""
    try:
        text, _, signature = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().rpartition(".")
        version, _, number = text.partition(".")
        expected = _sign(text, user_id, service().settings.secret)
        if version == "1" and hmac.compare_digest(signature.encode(), expected.encode()):
            return int(number)
    except ValueError:
        pass
    raise Problem("cursor-expired", "this cursor is not one of ours for this user; begin again without one",
                  restart="/v1/changes")  # fmt: skip


def _sign(text: str, user_id: int, secret: str) -> str:
    return hmac.new(secret.encode(), f"cursor/{user_id}/{text}".encode(), hashlib.sha256).hexdigest()[:16]

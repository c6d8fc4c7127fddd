"""The sync manifest: what a watch made against what is held here, so that "complete" can be proven."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field
from sqlalchemy import Connection, select

from services.store import intake, ranges
from services.store.tables import jobs, quarantine
from services.sync.batches import PROCESS
from services.sync.chunks import BootId
from services.sync.context import service, who
from services.sync.fields import Body, Count, Identifier, Reply
from services.sync.operation import operation
from services.sync.problems import Problem
from services.sync.wire import reply

blueprint = APIBlueprint("manifest", __name__, abp_tags=[Tag(name="manifest")])
Pair = Annotated[list[Count], Field(min_length=2, max_length=2)]


class ManifestQuery(Body):
    """Whose streams."""

    device_id: Identifier | None = None


class Claim(Body):
    """What the watch says it made of one stream: inclusive ranges of seq."""

    boot_id: BootId
    stream: Identifier
    ranges: Annotated[list[Pair], Field(max_length=10_000)]


class Claims(Body):
    """Everything a watch made that it has not forgotten."""

    device_id: Identifier
    streams: Annotated[list[Claim], Field(max_length=1000)]


class StreamState(Reply):
    """One stream as it is held here."""

    device_id: str
    boot_id: str
    stream: str
    held: list[list[int]]
    quarantined: list[int] = Field(description="seq that were refused and are kept apart; part of `held`")
    missing: list[list[int]]
    placed: bool = Field(description="whether a clock reading has come, so that the samples can be placed in time")
    processed: bool = Field(description="whether nothing waits to be computed")


class Manifest(Reply):
    """All streams; for a claim, whether all that was claimed is held, stored and processed."""

    complete: bool
    streams: list[StreamState]


@operation(blueprint, "get", "/v1/manifest", scopes=("watch", "companion"), reply=Manifest)
def get_manifest(query: ManifestQuery) -> Response:
    """List what is held of each stream"""
    access = who()
    device_id = access.device_id or query.device_id
    states = service().store.read(lambda conn: stream_states(conn, access.user_id, device_id))
    return reply({"complete": all(_whole(s) for s in states), "streams": states})


@operation(blueprint, "post", "/v1/manifest", scopes=("watch",), reply=Manifest)
def post_manifest(body: Claims) -> Response:
    """Compare what the watch made with what is held"""
    access = who()
    if access.device_id != body.device_id:
        raise Problem("forbidden", "this token belongs to another device; use the token of the device that sensed")
    held = service().store.read(lambda conn: stream_states(conn, access.user_id, body.device_id))
    known = {(s["boot_id"], s["stream"]): s for s in held}
    states = [_compare(claim, known.get((claim.boot_id, claim.stream)), body.device_id) for claim in body.streams]
    return reply({"complete": all(_whole(s) for s in states), "streams": states})


def stream_states(conn: Connection, user_id: int, device_id: str | None) -> list[dict[str, Any]]:
    """Return the state of each stream of a user, or of one device."""
    refused: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    columns = (quarantine.c.device_id, quarantine.c.boot_id, quarantine.c.stream, quarantine.c.seq)
    for device, boot, stream, seq in conn.execute(select(*columns).where(quarantine.c.user_id == user_id)):
        refused[device, boot, stream].append(seq)
    query = select(jobs.c.key).where(jobs.c.user_id == user_id, jobs.c.kind == PROCESS)
    waiting = set(conn.execute(query).scalars())
    clocks: dict[tuple[str, str], bool] = {}
    states = []
    for row in intake.list_streams(conn, user_id, device_id):
        boot = (row.device_id, row.boot_id)
        if boot not in clocks:
            clocks[boot] = intake.boot_clock(conn, user_id, *boot) is not None
        states.append(
            {
                "device_id": row.device_id, "boot_id": row.boot_id, "stream": row.stream, "held": row.held,
                "quarantined": _unstored(conn, user_id, row, refused[row.device_id, row.boot_id, row.stream]),
                "missing": ranges.holes(row.held, 10_000), "placed": clocks[boot],
                "processed": "/".join(boot) not in waiting,
            }
        )  # fmt: skip
    return states


def _unstored(conn: Connection, user_id: int, row: intake.StreamRow, seqs: list[int]) -> list[int]:
    """Return those of the refused numbers of which no good version came."""
    unique = sorted({s for s in seqs if s is not None})
    return [s for s in unique if intake.stored_digest(conn, user_id, row.stream_no, s) is None]


def _compare(claim: Claim, state: dict[str, Any] | None, device_id: str) -> dict[str, Any]:
    if state is None:
        state = {
            "device_id": device_id, "boot_id": claim.boot_id, "stream": claim.stream, "held": [], "quarantined": [],
            "placed": False, "processed": False,
        }  # fmt: skip
    return {**state, "missing": ranges.subtract([list(r) for r in claim.ranges], state["held"])}


def _whole(state: dict[str, Any]) -> bool:
    return not state["missing"] and not state["quarantined"] and state["placed"] and state["processed"]

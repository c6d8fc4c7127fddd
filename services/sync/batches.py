"""`POST /v1/batches`: judged chunk by chunk, durable before the answer, with the work it causes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgpack
from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, JsonValue, ValidationError
from sqlalchemy import Connection, bindparam, update

from services.store import accounts, intake, jobs, ranges
from services.store.cipher import Cipher
from services.store.clock import Pair
from services.store.store import now_us
from services.store.tables import devices
from services.sync.chunks import BootId, ChunkError, WireChunk, check_chunk
from services.sync.clientrecords import ClientRecord, RecordResult, put_records
from services.sync.context import service, who
from services.sync.fields import Body, Count, Identifier, Instant, Reply, UtcOffset, to_us
from services.sync.operation import operation
from services.sync.problems import Problem, ProblemBody, describe, problem_body
from services.sync.wire import reply

blueprint = APIBlueprint("batches", __name__, abp_tags=[Tag(name="batches")])
PROCESS = "process"
_SEEN = update(devices).where(
    devices.c.user_id == bindparam("b_user"), devices.c.device_id == bindparam("b_device")
)  # fmt: skip
# Characters of what a device tells of itself, as JSON.
MAX_STATUS = 4096


class Reading(Body):
    """One reading of a watch's two clocks."""

    boot_id: BootId | None = None
    monotonic_us: Count
    wall: Instant
    utc_offset_s: UtcOffset = 0

    def pair(self) -> Pair:
        """Return it as the store keeps it."""
        return Pair(self.monotonic_us, to_us(self.wall), self.utc_offset_s)


class Batch(Body):
    """Chunks and records sent in one request. Each chunk is judged alone, against `WireChunk`."""

    batch_id: BootId
    device_id: Identifier
    sent: Reading
    chunks: list[Annotated[WireChunk | Any, Field(union_mode="left_to_right")]] = Field(default_factory=list)
    records: list[Annotated[ClientRecord | Any, Field(union_mode="left_to_right")]] = Field(default_factory=list)
    clocks: Annotated[list[Reading], Field(max_length=256)] = Field(default_factory=list)
    status: dict[Annotated[str, Field(max_length=64)], JsonValue] | None = None


class ChunkResult(Reply):
    """What became of one chunk; identity as far as it could be read."""

    boot_id: str | None
    stream: str | None
    seq: int | None
    status: str = Field(description="stored, duplicate or rejected")
    problem: ProblemBody | None = None


class BatchReply(Reply):
    """What is held now of the streams that the batch touched."""

    results: list[ChunkResult]
    acked_through: dict[str, int] = Field(description="boot/stream: last seq of the gapless prefix; -1: none yet")
    missing: dict[str, list[list[int]]] = Field(description="boot/stream: holes below the greatest seq, from and to")
    records: list[RecordResult | ProblemBody] = Field(description="one a record that was sent, in order")
    retry_after_s: float | None = None


@dataclass
class Verdicts:
    """A batch, judged as far as that goes without the store."""

    good: list[tuple[int, intake.Chunk, tuple[str, bytes]]] = field(default_factory=list)
    bad: list[tuple[int, dict[str, Any], bytes]] = field(default_factory=list)


@operation(blueprint, "post", "/v1/batches", scopes=("watch",), reply=BatchReply)
def post_batch(body: Batch) -> Response:
    """Send samples and records"""
    access = who()
    if access.device_id != body.device_id:
        raise Problem("forbidden", "this token belongs to another device; use the token of the device that sensed")
    return reply(accept(access.user_id, body))


def accept(user_id: int, body: Batch) -> dict[str, Any]:
    """Judge a batch, store it in one transaction, and return the reply."""
    settings = service().settings
    if len(body.chunks) > settings.max_chunks:
        raise too_large_batch(len(body.chunks), settings.max_chunks)
    verdicts = judge(body, service().store.cipher)
    good_records, refused = _judge_records(body)
    outcome = service().store.write(lambda conn: _store(conn, user_id, body, verdicts, good_records))
    if outcome is None:
        raise Problem("unauthorized", "this account is no more; make a new one and pair the device with it")
    outcome["records"] = _merge(outcome["records"], refused)
    return outcome


def too_large_batch(count: int, limit: int) -> Problem:
    """Return the refusal of a batch with too many chunks."""
    return Problem("too-large", f"{count} chunks came, at most {limit} are taken; send several batches", limit=limit)


def judge(body: Batch, cipher: Cipher) -> Verdicts:
    """Check and pack each chunk; nothing here touches the store."""
    verdicts = Verdicts()
    for index, wire in enumerate(body.chunks):
        try:
            if not isinstance(wire, WireChunk):
                wire = WireChunk.model_validate(wire)
            chunk = check_chunk(wire)
        except ValidationError as error:
            verdicts.bad.append((index, problem_body("chunk-invalid", describe(error)), _payload(wire)))
        except ChunkError as error:
            verdicts.bad.append((index, problem_body("chunk-invalid", str(error)), _payload(wire)))
        else:
            verdicts.good.append((index, chunk, intake.pack(chunk, cipher)))
    return verdicts


def _payload(wire: Any) -> bytes:
    content = wire.model_dump() if isinstance(wire, WireChunk) else wire
    return bytes(msgpack.packb(content, default=str))


def _identity(payload: bytes) -> tuple[str | None, str | None, int | None]:
    """Read as much of a refused chunk's identity as is sound."""
    content = msgpack.unpackb(payload, strict_map_key=False)
    if not isinstance(content, dict):
        return None, None, None

    class Identity(Body):
        boot_id: BootId | None = None
        stream: Identifier | None = None
        seq: Count | None = None

    parts: dict[str, Any] = {}
    for name in ("boot_id", "stream", "seq"):
        try:
            parts[name] = getattr(Identity.model_validate({name: content.get(name)}), name)
        except ValidationError:
            parts[name] = None
    return parts["boot_id"], parts["stream"], parts["seq"]


def _judge_records(body: Batch) -> tuple[list[ClientRecord], dict[int, dict[str, Any]]]:
    good, refused = [], {}
    for index, item in enumerate(body.records):
        try:
            good.append(item if isinstance(item, ClientRecord) else ClientRecord.model_validate(item))
        except ValidationError as error:
            refused[index] = problem_body("record-invalid", describe(error))
    return good, refused


def _merge(stored: list[dict[str, Any]], refused: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    following = iter(stored)
    return [refused[i] if i in refused else next(following) for i in range(len(stored) + len(refused))]


def _store(
    conn: Connection, user_id: int, body: Batch, verdicts: Verdicts, good_records: list[ClientRecord]
) -> dict[str, Any] | None:
    if accounts.lock_user(conn, user_id) is None:
        return None
    identities = {index: _identity(payload) for index, _, payload in verdicts.bad}
    names = [(c.boot_id, c.stream) for _, c, _ in verdicts.good]
    names += [(b, s) for b, s, q in identities.values() if b is not None and s is not None and q is not None]
    rows = intake.open_streams(conn, user_id, body.device_id, names)
    results: dict[int, dict[str, Any]] = {}
    for index, chunk, packed in verdicts.good:
        results[index] = _store_chunk(conn, user_id, body.device_id, rows, chunk, packed)
    for index, problem, payload in verdicts.bad:
        results[index] = _refuse(conn, user_id, body.device_id, rows, identities[index], problem, payload)
    touched = [c for i, c, _ in verdicts.good if results[i]["status"] == "stored"]
    _want_work(conn, user_id, body, touched, _store_readings(conn, user_id, body))
    stored_records = put_records(conn, user_id, body.device_id, good_records) if good_records else []
    _note_device(conn, user_id, body)
    return {
        "results": [results[i] for i in sorted(results)],
        "acked_through": {row.key: ranges.prefix_end(row.held) for row in rows.values()},
        "missing": {row.key: holes for row in rows.values() if (holes := ranges.holes(row.held))},
        "records": stored_records,
    }


Rows = dict[tuple[str, str], intake.StreamRow]


def _store_chunk(
    conn: Connection, user_id: int, device_id: str, rows: Rows, chunk: intake.Chunk, packed: tuple[str, bytes]
) -> dict[str, Any]:
    row = rows[chunk.boot_id, chunk.stream]
    identity = {"boot_id": chunk.boot_id, "stream": chunk.stream, "seq": chunk.seq}
    digest = intake.stored_digest(conn, user_id, row.stream_no, chunk.seq)
    if digest is None:
        intake.put_chunk(conn, user_id, row.stream_no, chunk, packed)
        rows[chunk.boot_id, chunk.stream] = intake.hold(conn, user_id, row, [chunk.seq])
        return {**identity, "status": "stored"}
    if digest == chunk.digest:
        return {**identity, "status": "duplicate"}
    problem = problem_body(
        "chunk-conflict", "other samples are stored under this identity, and stay; number new samples with a new seq"
    )
    payload = bytes(
        msgpack.packb(
            {
                **identity, "t0_us": chunk.t0_us, "rate_hz": chunk.rate_hz, "channels": list(chunk.channels),
                "encoding": chunk.dtype, "scale": list(chunk.scale), "offset": list(chunk.offset),
                "n": chunk.samples.shape[0], "data": chunk.samples.tobytes(),
            }
        )
    )  # fmt: skip
    return _refuse(conn, user_id, device_id, rows, (chunk.boot_id, chunk.stream, chunk.seq), problem, payload)


def _refuse(
    conn: Connection, user_id: int, device_id: str, rows: Rows,
    identity: tuple[str | None, str | None, int | None], problem: dict[str, Any], payload: bytes,
) -> dict[str, Any]:  # fmt: skip
    boot_id, stream, seq = identity
    item_id = intake.put_quarantine(
        conn, user_id,
        {
            "device_id": device_id, "boot_id": boot_id or "", "stream": stream or "", "seq": seq,
            "problem": problem["type"], "detail": problem["detail"], "payload": payload,
        },
    )  # fmt: skip
    if boot_id is not None and stream is not None and seq is not None:
        # The bytes are safe in quarantine, and sending them again would not help: the watch may let them go.
        rows[boot_id, stream] = intake.hold(conn, user_id, rows[boot_id, stream], [seq])
    problem = {**problem, "quarantine": item_id}
    return {"boot_id": boot_id, "stream": stream, "seq": seq, "status": "rejected", "problem": problem}


def _store_readings(conn: Connection, user_id: int, body: Batch) -> set[str]:
    boots = {c.boot_id for c in body.chunks if isinstance(c, WireChunk)}
    readings = [(r.boot_id, r) for r in body.clocks]
    # A replay from quarantine has none: its readings were kept when it came.
    sent: Reading | None = getattr(body, "sent", None)
    if sent is not None:
        readings.append((sent.boot_id or (boots.pop() if len(boots) == 1 else None), sent))
    placed = set()
    for boot, reading in readings:
        if boot is not None and intake.put_pairs(conn, user_id, body.device_id, boot, [reading.pair()]):
            placed.add(boot)
    return placed


def _want_work(conn: Connection, user_id: int, body: Batch, touched: list[intake.Chunk], placed: set[str]) -> None:
    for boot_id in sorted({c.boot_id for c in touched} | placed):
        spans = [(c.t0_us, c.end_us) for c in touched if c.boot_id == boot_id]
        span = (min(s for s, _ in spans), max(e for _, e in spans)) if spans else None
        jobs.want(conn, user_id, PROCESS, f"{body.device_id}/{boot_id}", touched=span)


def _note_device(conn: Connection, user_id: int, body: Batch) -> None:
    values: dict[str, Any] = {"seen_us": now_us()}
    status = json.dumps(body.status) if body.status is not None else ""
    if 0 < len(status) <= MAX_STATUS:  # half a text would be none: what was known before stays
        values["status"] = status
    conn.execute(_SEEN, {"b_user": user_id, "b_device": body.device_id, **values})

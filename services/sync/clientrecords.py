"""Records that a client writes: its own id and version decide; the highest version wins in any order of arrival."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, JsonValue, StringConstraints, model_validator
from sqlalchemy import Connection

from services.store import records
from services.store.records import Record
from services.sync.fields import Body, Identifier, Instant, Reply, UtcOffset, from_us, to_us

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
MAX_DATA_CHARS = 16_384


class ClientRecord(Body):
    """What a client says of a span of time."""

    client_record_id: Identifier
    client_record_version: Annotated[int, Field(ge=0, le=2**53 - 1, strict=True)] = 1
    kind: Kind
    start: Instant
    end: Instant
    utc_offset_s: UtcOffset = 0
    value: Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=256)] | None = None
    uncertainty: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    quality: Annotated[float, Field(ge=0, le=1)] | None = None
    data: dict[Annotated[str, Field(max_length=64)], JsonValue] = Field(default_factory=dict)
    recording_method: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")] | None = None
    deleted: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> ClientRecord:
        if self.end < self.start:
            raise ValueError("a record cannot end before it starts")
        return self


class SourceBody(Reply):
    """Where a record came from."""

    device_id: str | None
    task: str | None
    model_version: str | None


class RecordBody(Reply):
    """A stored record."""

    id: str
    kind: str
    start: datetime
    end: datetime
    utc_offset_s: int
    value: float | str | None
    uncertainty: float | None
    quality: float | None
    data: dict[str, Any]
    source: SourceBody
    client_record_id: str | None
    client_record_version: int | None
    revision: int
    deleted: bool


class RecordResult(Reply):
    """What became of a record that was sent."""

    client_record_id: str
    status: str = Field(description="stored, unchanged (same version), or stale (a newer version is stored)")
    record: RecordBody


def put_records(
    conn: Connection, user_id: int, device_id: str | None, sent: list[ClientRecord]
) -> list[dict[str, Any]]:
    """Store `sent`, in the caller's transaction that has locked the user; return what became of each."""
    source = device_id or "companion"
    ids = [records.client_id(user_id, source, r.client_record_id) for r in sent]
    stored = records.by_id(conn, user_id, ids)
    results: list[dict[str, Any]] = []
    wanted: dict[bytes, Record] = {}
    for record_id, item in zip(ids, sent, strict=True):
        current = wanted.get(record_id) or stored.get(record_id)
        version = -1 if current is None else current.client_record_version or 0
        if item.client_record_version > version:
            wanted[record_id] = _record(record_id, device_id, item)
            status = "stored"
        else:
            status = "unchanged" if item.client_record_version == version else "stale"
        results.append({"client_record_id": item.client_record_id, "status": status, "id": record_id})
    records.put(conn, user_id, list(wanted.values()), stored)
    final = records.by_id(conn, user_id, ids)
    return [
        {"client_record_id": r["client_record_id"], "status": r["status"], "record": record_body(final[r["id"]])}
        for r in results
    ]


def _record(record_id: bytes, device_id: str | None, item: ClientRecord) -> Record:
    number = item.value if isinstance(item.value, float) else None
    data = dict(item.data)
    if isinstance(item.value, str):
        data["value"] = item.value
    if item.recording_method is not None:
        data["recording_method"] = item.recording_method
    record = Record(
        record_id, item.kind, to_us(item.start), to_us(item.end), item.utc_offset_s, number, "client", data,
        item.uncertainty, item.quality, device_id, None, item.client_record_id, item.client_record_version,
    )  # fmt: skip
    return records.tombstone(record) if item.deleted else record


def record_body(record: Record) -> dict[str, Any]:
    """Return a record as it leaves the service."""
    data = dict(record.data)
    value: float | str | None = record.value if record.value is not None else data.pop("value", None)
    return {
        "id": record.id.hex(), "kind": record.kind, "start": from_us(record.start_us), "end": from_us(record.end_us),
        "utc_offset_s": record.utc_offset_s, "value": value, "uncertainty": record.uncertainty,
        "quality": record.quality, "data": data,
        "source": {
            "device_id": record.device_id, "task": None if record.source == "client" else record.source,
            "model_version": record.model_version,
        },
        "client_record_id": record.client_record_id, "client_record_version": record.client_record_version,
        "revision": record.revision, "deleted": record.deleted,
    }  # fmt: skip

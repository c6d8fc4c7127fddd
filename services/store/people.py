"""A whole person's data: taken out row by row, or deleted so that nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from services.store.records import Record, from_row
from services.store.tables import audit, chunks, devices, records, streams, users

_PAGE = 5000


def delete_user(conn: Connection, user_id: int) -> bool:
    """Delete a user; every table that names them follows (foreign keys cascade). Return whether there was one."""
    return bool(conn.execute(delete(users).where(users.c.user_id == user_id)).rowcount)


def account(conn: Connection, user_id: int) -> dict[str, Any]:
    """Return the account, its devices and its audit log, without secrets."""
    user = conn.execute(select(users.c.name, users.c.created_us).where(users.c.user_id == user_id)).one()
    device_rows = conn.execute(select(devices).where(devices.c.user_id == user_id).order_by(devices.c.device_id))
    audit_rows = conn.execute(select(audit).where(audit.c.user_id == user_id).order_by(audit.c.at_us))
    return {
        "name": user.name, "created_us": user.created_us,
        "devices": [_plain(r) for r in device_rows], "audit": [_plain(r) for r in audit_rows],
    }  # fmt: skip


def all_records(conn: Connection, user_id: int) -> Iterator[list[Record]]:
    """Yield every live record in pages, oldest change first."""
    after = 0
    while True:
        query = select(records).where(records.c.user_id == user_id, records.c.change_no > after)
        rows = conn.execute(query.order_by(records.c.change_no).limit(_PAGE)).all()
        if not rows:
            return
        after = rows[-1].change_no
        yield [from_row(r) for r in rows if not r.deleted]


def all_chunks(conn: Connection, user_id: int) -> Iterator[tuple[Row[Any], Row[Any]]]:
    """Yield (stream, chunk) for every chunk whose samples are kept, stream by stream, in order."""
    for stream in conn.execute(select(streams).where(streams.c.user_id == user_id).order_by(streams.c.stream_no)).all():
        after = -1
        while True:
            query = select(chunks).where(
                chunks.c.user_id == user_id, chunks.c.stream_no == stream.stream_no, chunks.c.seq > after,
                chunks.c.data.is_not(None),
            )  # fmt: skip
            rows = conn.execute(query.order_by(chunks.c.seq).limit(200)).all()
            if not rows:
                break
            after = rows[-1].seq
            yield from ((stream, row) for row in rows)


def _plain(row: Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    values.pop("user_id")
    return values

"""Large uploads in parts: what came is kept, so that a broken link goes on where it broke."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from services.store.store import now_us
from services.store.tables import upload_parts, uploads


def begin(conn: Connection, user_id: int, device_id: str, content_type: str, length: int) -> str:
    """Announce an upload of `length` bytes; return its id."""
    upload_id = secrets.token_hex(16)
    conn.execute(
        insert(uploads).values(
            user_id=user_id, upload_id=upload_id, device_id=device_id, content_type=content_type, length=length,
            offset=0, created_us=now_us(), state="open",
        )
    )  # fmt: skip
    return upload_id


def find(conn: Connection, user_id: int, upload_id: str) -> Row[Any] | None:
    """Return an upload."""
    return conn.execute(select(uploads).where(_here(user_id, upload_id)).with_for_update()).first()


def held_bytes(conn: Connection, user_id: int) -> int:
    """Return how many bytes of open uploads a user has announced."""
    query = select(func.coalesce(func.sum(uploads.c.length), 0))
    return int(conn.execute(query.where(uploads.c.user_id == user_id, uploads.c.state == "open")).scalar_one())


def append(conn: Connection, user_id: int, upload_id: str, offset: int, data: bytes) -> int:
    """Keep a part that begins at `offset`, where the upload stands; return where it stands now."""
    if data:
        conn.execute(insert(upload_parts).values(user_id=user_id, upload_id=upload_id, offset=offset, data=data))
        conn.execute(update(uploads).where(_here(user_id, upload_id)).values(offset=offset + len(data)))
    return offset + len(data)


def content(conn: Connection, user_id: int, upload_id: str) -> bytes:
    """Return everything that came, put together."""
    query = select(upload_parts.c.data).where(upload_parts.c.user_id == user_id, upload_parts.c.upload_id == upload_id)
    return b"".join(conn.execute(query.order_by(upload_parts.c.offset)).scalars())


def finish(conn: Connection, user_id: int, upload_id: str, reply: str) -> None:
    """Keep the answer and let the parts go: the content is stored as chunks now."""
    conn.execute(update(uploads).where(_here(user_id, upload_id)).values(state="done", reply=reply))
    conn.execute(delete(upload_parts).where(upload_parts.c.user_id == user_id, upload_parts.c.upload_id == upload_id))


def drop(conn: Connection, user_id: int, upload_id: str) -> bool:
    """Throw an upload away; return whether it was there."""
    conn.execute(delete(upload_parts).where(upload_parts.c.user_id == user_id, upload_parts.c.upload_id == upload_id))
    return bool(conn.execute(delete(uploads).where(_here(user_id, upload_id))).rowcount)


def _here(user_id: int, upload_id: str) -> Any:
    return (uploads.c.user_id == user_id) & (uploads.c.upload_id == upload_id)

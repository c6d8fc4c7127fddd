"""The quarantine: what was refused, with its reason, for the wearer to see and the engineer to replay."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from services.store.tables import quarantine


def items(conn: Connection, user_id: int, limit: int) -> list[Row[Any]]:
    """Return what is kept, newest first."""
    query = select(quarantine).where(quarantine.c.user_id == user_id)
    return list(conn.execute(query.order_by(quarantine.c.received_us.desc(), quarantine.c.item_id).limit(limit)))


def item(conn: Connection, user_id: int, item_id: str) -> Row[Any] | None:
    """Return one item."""
    query = select(quarantine).where(quarantine.c.user_id == user_id, quarantine.c.item_id == item_id)
    return conn.execute(query).first()


def drop(conn: Connection, user_id: int, item_id: str) -> bool:
    """Throw one item away; return whether it was there."""
    here = (quarantine.c.user_id == user_id) & (quarantine.c.item_id == item_id)
    return bool(conn.execute(delete(quarantine).where(here)).rowcount)


def size(conn: Connection, user_id: int) -> int:
    """Return how many bytes are kept."""
    query = select(func.coalesce(func.sum(func.length(quarantine.c.payload)), 0))
    return int(conn.execute(query.where(quarantine.c.user_id == user_id)).scalar_one())

"""Where each client of a user stands in the feed, by its own acknowledgement."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from services.store.accounts import lock_user
from services.store.store import now_us
from services.store.tables import cursors


def acknowledged(conn: Connection, user_id: int, client: str) -> int:
    """Return the change number that `client` has acknowledged; 0 for one that never did."""
    query = select(cursors.c.change_no).where(cursors.c.user_id == user_id, cursors.c.client == client)
    return conn.execute(query).scalar() or 0


def acknowledge(conn: Connection, user_id: int, client: str, change_no: int) -> int:
    """Note that `client` has stored everything through `change_no`; return where it stands (never further back)."""
    lock_user(conn, user_id)
    here = (cursors.c.user_id == user_id) & (cursors.c.client == client)
    stood = conn.execute(select(cursors.c.change_no).where(here)).scalar()
    if stood is None:
        conn.execute(insert(cursors).values(user_id=user_id, client=client, change_no=change_no, acked_us=now_us()))
        return change_no
    stood = int(stood)
    if change_no > stood:
        conn.execute(update(cursors).where(here).values(change_no=change_no, acked_us=now_us()))
    return max(stood, change_no)

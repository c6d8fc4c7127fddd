"""Webhooks: who is told of what, and how far they have been told."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from services.store import jobs
from services.store.store import now_us
from services.store.tables import users, webhooks

DELIVER = "deliver"
# One event a post would be wasteful, all of a day's would be too much for a small receiver.
PAGE = 100
_OF_USER = select(webhooks).where(webhooks.c.user_id == bindparam("b_user")).order_by(webhooks.c.created_us)


@dataclass(frozen=True)
class Hook:
    """One receiver."""

    hook_id: str
    user_id: int
    url: str
    kinds: tuple[str, ...]
    secret: bytes
    verified: bool
    change_no: int
    error: str | None


def add(conn: Connection, user_id: int, url: str, kinds: Sequence[str]) -> Hook:
    """Store a hook that is still to be verified; it will be told of what changes from now on."""
    last = conn.execute(select(users.c.last_change).where(users.c.user_id == user_id)).scalar() or 0
    hook = Hook(secrets.token_hex(16), user_id, url, tuple(kinds), secrets.token_bytes(32), False, last, None)
    conn.execute(
        insert(webhooks).values(
            user_id=user_id, hook_id=hook.hook_id, url=url, kinds=json.dumps(kinds), secret=hook.secret,
            verified=False, change_no=last, created_us=now_us(),
        )
    )  # fmt: skip
    return hook


def of_user(conn: Connection, user_id: int) -> list[Hook]:
    """Return a user's hooks."""
    return [_hook(row) for row in conn.execute(_OF_USER, {"b_user": user_id})]


def find(conn: Connection, user_id: int, hook_id: str) -> Hook | None:
    """Return one hook."""
    row = conn.execute(select(webhooks).where(_here(user_id, hook_id))).first()
    return None if row is None else _hook(row)


def verified(conn: Connection, user_id: int, hook_id: str) -> None:
    """Note that the receiver has proven itself."""
    conn.execute(update(webhooks).where(_here(user_id, hook_id)).values(verified=True))


def delivered(conn: Connection, user_id: int, hook_id: str, change_no: int) -> None:
    """Note how far the receiver has been told."""
    conn.execute(update(webhooks).where(_here(user_id, hook_id)).values(change_no=change_no, error=None))


def drop(conn: Connection, user_id: int, hook_id: str) -> bool:
    """Remove a hook; return whether it was there."""
    return bool(conn.execute(delete(webhooks).where(_here(user_id, hook_id))).rowcount)


def tell(conn: Connection, user_id: int, kinds: set[str]) -> None:
    """Ask for a delivery to every verified hook that wants one of `kinds`, in the transaction that changed them."""
    for hook in of_user(conn, user_id):
        if hook.verified and kinds & set(hook.kinds):
            jobs.want(conn, user_id, DELIVER, hook.hook_id)


def _here(user_id: int, hook_id: str) -> Any:
    return (webhooks.c.user_id == user_id) & (webhooks.c.hook_id == hook_id)


def _hook(row: Row[Any]) -> Hook:
    return Hook(
        row.hook_id,
        row.user_id,
        row.url,
        tuple(json.loads(row.kinds)),
        row.secret,
        row.verified,
        row.change_no,
        row.error,
    )

"""Leased work: written in the transaction that causes it, claimed for a while, repeated safely, buried if hopeless."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, or_, select, update

from services.store.store import now_us
from services.store.tables import jobs

LEASE_S = 60
ATTEMPTS = 5
# First retry after 2 s, then 4, 8, ...
BACKOFF_S = 2.0
_FAR = 2**62


@dataclass(frozen=True)
class Job:
    """
    One claimed piece of work.

    Parameters
    ----------
    touched_us, touched_end_us : int
        Span of the boot's monotonic clock whose samples changed; for other kinds of work without meaning.
    wanted : int
        Generation at the claim: if it has risen by the end, the work is wanted again.
    """

    user_id: int
    kind: str
    key: str
    wanted: int
    owner: str
    attempts: int
    touched_us: int = _FAR
    touched_end_us: int = -1
    payload: Mapping[str, Any] = field(default_factory=dict)


def want(
    conn: Connection,
    user_id: int,
    kind: str,
    key: str,
    *,
    touched: tuple[int, int] | None = None,
    payload: Mapping[str, Any] | None = None,
    due_us: int | None = None,
) -> None:
    """
    Ask for work, in the caller's transaction (which has locked the user). Asked for already: widen it.

    A dead job comes back to life: what caused it has changed.
    """
    here = and_(jobs.c.user_id == user_id, jobs.c.kind == kind, jobs.c.key == key)
    row = conn.execute(select(jobs.c.wanted, jobs.c.touched_us, jobs.c.touched_end_us, jobs.c.dead).where(here)).first()
    start, end = touched or (None, None)
    values: dict[str, Any] = {"due_us": due_us or now_us(), "dead": False}
    if payload is not None:
        values["payload"] = json.dumps(payload)
    if row is None:
        conn.execute(
            insert(jobs).values(
                user_id=user_id, kind=kind, key=key, wanted=1, attempts=0,
                touched_us=start, touched_end_us=end, **values,
            )
        )  # fmt: skip
        return
    if touched is not None:
        values["touched_us"] = touched[0] if row.touched_us is None else min(row.touched_us, touched[0])
        values["touched_end_us"] = touched[1] if row.touched_end_us is None else max(row.touched_end_us, touched[1])
    if row.dead:
        values["attempts"] = 0
    conn.execute(update(jobs).where(here).values(wanted=row.wanted + 1, **values))


def any_due(conn: Connection, kinds: Sequence[str]) -> bool:
    """Return whether there is anything to claim: a read, where `claim` must write."""
    return conn.execute(_due(kinds, now_us()).limit(1)).first() is not None


def _due(kinds: Sequence[str], now: int) -> Select[Any]:
    free = or_(jobs.c.lease_us.is_(None), jobs.c.lease_us < now)
    return select(jobs).where(jobs.c.dead.is_(False), jobs.c.due_us <= now, free, jobs.c.kind.in_(kinds))


def claim(conn: Connection, owner: str, kinds: Sequence[str], limit: int) -> list[Job]:
    """Lease up to `limit` due jobs of `kinds`, those of a worker that died among them."""
    now = now_us()
    query = _due(kinds, now).order_by(jobs.c.due_us).limit(limit).with_for_update(skip_locked=True)
    return [_lease(conn, row, owner, now) for row in conn.execute(query).all()]


def _lease(conn: Connection, row: Row[Any], owner: str, now: int) -> Job:
    # A span that an earlier claim took and never finished is still to be done: the union of both.
    starts = [t for t in (row.touched_us, row.claimed_us) if t is not None]
    ends = [t for t in (row.touched_end_us, row.claimed_end_us) if t is not None]
    start, end = min(starts, default=None), max(ends, default=None)
    conn.execute(
        update(jobs).where(*_identity(row)).values(
            lease_us=now + LEASE_S * 1_000_000, owner=owner, attempts=row.attempts + 1,
            claimed_us=start, claimed_end_us=end, touched_us=None, touched_end_us=None,
        )
    )  # fmt: skip
    return Job(
        row.user_id, row.kind, row.key, row.wanted, owner, row.attempts + 1,
        _FAR if start is None else start, -1 if end is None else end, json.loads(row.payload or "{}"),
    )  # fmt: skip


def hold(conn: Connection, job: Job) -> bool:
    """Return whether `job` is still leased to its owner, and lock it till the end of the transaction."""
    query = select(jobs.c.owner).where(*_identity(job)).with_for_update()
    return conn.execute(query).scalar() == job.owner


def finish(conn: Connection, job: Job) -> None:
    """Take `job` off the table, or free it for another round if it was wanted again meanwhile."""
    gone = conn.execute(delete(jobs).where(*_identity(job), jobs.c.wanted == job.wanted)).rowcount
    if not gone:
        conn.execute(
            update(jobs).where(*_identity(job)).values(
                lease_us=None, owner=None, attempts=0, claimed_us=None, claimed_end_us=None
            )
        )  # fmt: skip


def fail(conn: Connection, job: Job, reason: str) -> bool:
    """Give `job` back to be tried later; after the last try bury it with `reason`. Return whether it is dead."""
    dead = job.attempts >= ATTEMPTS
    delay = BACKOFF_S * 2 ** (job.attempts - 1)
    conn.execute(
        update(jobs).where(*_identity(job), jobs.c.owner == job.owner).values(
            lease_us=None, owner=None, dead=dead, error=reason[:1000], due_us=now_us() + int(delay * 1e6)
        )
    )  # fmt: skip
    return dead


def release(conn: Connection, owner: str) -> None:
    """Give back everything that `owner` holds: it stops gracefully."""
    conn.execute(update(jobs).where(jobs.c.owner == owner).values(lease_us=None, owner=None, attempts=0))


def counts(conn: Connection) -> dict[str, int]:
    """Return how many jobs wait, how many are put off until a night is whole, and how many are dead."""
    later = (jobs.c.due_us > now_us()) & (jobs.c.attempts == 0)
    rows = conn.execute(select(jobs.c.dead, later, func.count()).group_by(jobs.c.dead, later)).all()
    found = {"waiting": 0, "scheduled": 0, "dead": 0}
    for dead, scheduled, n in rows:
        found["dead" if dead else "scheduled" if scheduled else "waiting"] += int(n)
    return found


def wanted_since(conn: Connection, user_id: int, kind: str, key: str) -> int | None:
    """Return when a job that is still to be done was first asked for, as its payload says."""
    here = and_(jobs.c.user_id == user_id, jobs.c.kind == kind, jobs.c.key == key)
    payload = conn.execute(select(jobs.c.payload).where(here)).scalar()
    since = json.loads(payload).get("since_us") if payload else None
    return None if since is None else int(since)


def _identity(job: Any) -> tuple[Any, ...]:
    return jobs.c.user_id == job.user_id, jobs.c.kind == job.kind, jobs.c.key == job.key

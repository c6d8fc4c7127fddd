"""Leased work: written in the transaction that causes it, claimed for a while, repeated safely, buried if hopeless."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, or_, select, update

from services.store.store import now_us
from services.store.tables import jobs

LEASE_S = 60
ATTEMPTS = 5
# First retry after 2 s, then 4, 8, ...
BACKOFF_S = 2.0
_FAR = 2**62
# Statements are built once: building one takes five times as long as running it.
_HERE = and_(
    jobs.c.user_id == bindparam("b_user"), jobs.c.kind == bindparam("b_kind"), jobs.c.key == bindparam("b_key")
)
_FIND = select(jobs.c.wanted, jobs.c.touched_us, jobs.c.touched_end_us, jobs.c.dead).where(_HERE)
_ADD, _CHANGE = insert(jobs), update(jobs).where(_HERE)
_HOLD = select(jobs.c.owner).where(_HERE).with_for_update()
_FINISH = delete(jobs).where(_HERE, jobs.c.wanted == bindparam("b_wanted"))
_PAYLOAD = select(jobs.c.payload).where(_HERE)
_DUE = select(jobs).where(
    jobs.c.dead.is_(False), jobs.c.due_us <= bindparam("b_now"),
    or_(jobs.c.lease_us.is_(None), jobs.c.lease_us < bindparam("b_now")),
    jobs.c.kind.in_(bindparam("b_kinds", expanding=True)),
)  # fmt: skip
_ANY_DUE = _DUE.with_only_columns(jobs.c.user_id).limit(1)
_CLAIM = _DUE.order_by(jobs.c.due_us).limit(bindparam("b_limit")).with_for_update(skip_locked=True)
_CLAIM_SHORT = _CLAIM.where(
    func.coalesce(jobs.c.touched_end_us - jobs.c.touched_us, 0) <= bindparam("b_longest"),
    func.coalesce(jobs.c.claimed_end_us - jobs.c.claimed_us, 0) <= bindparam("b_longest"),
)  # fmt: skip


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
    here = {"b_user": user_id, "b_kind": kind, "b_key": key}
    row = conn.execute(_FIND, here).first()
    start, end = touched or (None, None)
    values: dict[str, Any] = {"due_us": due_us or now_us(), "dead": False}
    if payload is not None:
        values["payload"] = json.dumps(payload)
    if row is None:
        conn.execute(
            _ADD,
            {
                "user_id": user_id, "kind": kind, "key": key, "wanted": 1, "attempts": 0,
                "touched_us": start, "touched_end_us": end, **values,
            },
        )  # fmt: skip
        return
    if touched is not None:
        values["touched_us"] = touched[0] if row.touched_us is None else min(row.touched_us, touched[0])
        values["touched_end_us"] = touched[1] if row.touched_end_us is None else max(row.touched_end_us, touched[1])
    if row.dead:
        values["attempts"] = 0
    conn.execute(_CHANGE, {**here, "wanted": row.wanted + 1, **values})


def any_due(conn: Connection, kinds: Sequence[str]) -> bool:
    """Return whether there is anything to claim: a read, where `claim` must write."""
    return conn.execute(_ANY_DUE, {"b_now": now_us(), "b_kinds": list(kinds)}).first() is not None


def claim(conn: Connection, owner: str, kinds: Sequence[str], limit: int, longest_us: int | None = None) -> list[Job]:
    """
    Lease up to `limit` due jobs of `kinds`, those of a worker that died among them.

    Parameters
    ----------
    longest_us : int, optional
        Leave jobs alone that touch more than this of a boot.
    """
    now = now_us()
    asked = {"b_now": now, "b_kinds": list(kinds), "b_limit": limit}
    if longest_us is None:
        rows = conn.execute(_CLAIM, asked).all()
    else:
        rows = conn.execute(_CLAIM_SHORT, {**asked, "b_longest": longest_us}).all()
    found = [_leased(row, owner) for row in rows]
    if found:
        conn.execute(_CHANGE, [{**_identity(job), **_lease(job, now)} for job in found])
    return found


def _leased(row: Row[Any], owner: str) -> Job:
    # A span that an earlier claim took and never finished is still to be done: the union of both.
    starts = [t for t in (row.touched_us, row.claimed_us) if t is not None]
    ends = [t for t in (row.touched_end_us, row.claimed_end_us) if t is not None]
    start, end = min(starts, default=None), max(ends, default=None)
    return Job(
        row.user_id, row.kind, row.key, row.wanted, owner, row.attempts + 1,
        _FAR if start is None else start, -1 if end is None else end, json.loads(row.payload or "{}"),
    )  # fmt: skip


def hold(conn: Connection, job: Job) -> bool:
    """Return whether `job` is still leased to its owner, and lock it till the end of the transaction."""
    return bool(conn.execute(_HOLD, _identity(job)).scalar() == job.owner)


def renew(conn: Connection, job: Job) -> None:
    """Lease `job` to its owner anew: a part of it is done."""
    conn.execute(_CHANGE, {**_identity(job), "lease_us": now_us() + LEASE_S * 1_000_000})


def finish(conn: Connection, job: Job) -> None:
    """Take `job` off the table, or free it for another round if it was wanted again meanwhile."""
    gone = conn.execute(_FINISH, {**_identity(job), "b_wanted": job.wanted}).rowcount
    if not gone:
        free = {"lease_us": None, "owner": None, "attempts": 0, "claimed_us": None, "claimed_end_us": None}
        conn.execute(_CHANGE, {**_identity(job), **free})


def fail(conn: Connection, job: Job, reason: str) -> bool:
    """Give `job` back to be tried later; after the last try bury it with `reason`. Return whether it is dead."""
    dead = job.attempts >= ATTEMPTS
    delay = BACKOFF_S * 2 ** (job.attempts - 1)
    later = {"lease_us": None, "owner": None, "dead": dead, "error": reason[:1000]}
    here = _CHANGE.where(jobs.c.owner == job.owner)
    conn.execute(here, {**_identity(job), **later, "due_us": now_us() + int(delay * 1e6)})
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
    payload = conn.execute(_PAYLOAD, {"b_user": user_id, "b_kind": kind, "b_key": key}).scalar()
    since = json.loads(payload).get("since_us") if payload else None
    return None if since is None else int(since)


def _identity(job: Job) -> dict[str, Any]:
    return {"b_user": job.user_id, "b_kind": job.kind, "b_key": job.key}


def _lease(job: Job, now: int) -> dict[str, Any]:
    """Return what a claim writes: until when, whose, and the span that it took over."""
    known = job.touched_us <= job.touched_end_us
    return {
        "lease_us": now + LEASE_S * 1_000_000, "owner": job.owner, "attempts": job.attempts,
        "claimed_us": job.touched_us if known else None, "claimed_end_us": job.touched_end_us if known else None,
        "touched_us": None, "touched_end_us": None,
    }  # fmt: skip

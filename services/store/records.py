"""Records and their changes: what a wearer's data say, with a version, a life, and a place in the feed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from services.store import hooks
from services.store.errors import CursorExpired
from services.store.store import now_us
from services.store.tables import records, users

_NAMESPACE = uuid.UUID("6f1f2d3c-8b0a-5d57-9d0e-77726973747a")
_SAME = (
    "kind", "start_us", "end_us", "utc_offset_s", "value", "data", "uncertainty", "quality", "device_id", "source",
    "model_version", "client_record_version", "chain_no", "unit",
)  # fmt: skip
# Built once: see `services.store.jobs`.
_NUMBERS = (
    update(users)
    .where(users.c.user_id == bindparam("b_user"))
    .values(last_change=users.c.last_change + bindparam("b_count"))
    .returning(users.c.last_change)
)
_ADD = insert(records)
_RENEW = update(records).where(records.c.user_id == bindparam("b_user"), records.c.id == bindparam("b_id"))
_BY_ID = select(records).where(
    records.c.user_id == bindparam("b_user"), records.c.id.in_(bindparam("b_ids", expanding=True))
)
_OF_UNITS = select(records).where(
    records.c.user_id == bindparam("b_user"), records.c.chain_no == bindparam("b_chain"),
    records.c.unit.in_(bindparam("b_units", expanding=True)), records.c.deleted.is_(False),
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """
    One stored statement about a span of a wearer's time; see `services.store.tables.records`.

    Parameters
    ----------
    value : float or None
        Where the value is a number.
    data : mapping
        ``value`` where it is not a number, and whatever else belongs to it; JSON-able.
    """

    id: bytes
    kind: str
    start_us: int
    end_us: int
    utc_offset_s: int
    value: float | None
    source: str
    data: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: float | None = None
    quality: float | None = None
    device_id: str | None = None
    model_version: str | None = None
    client_record_id: str | None = None
    client_record_version: int | None = None
    chain_no: int | None = None
    unit: int | None = None
    revision: int = 1
    change_no: int = 0
    deleted: bool = False
    updated_us: int = 0

    def row(self) -> dict[str, Any]:
        """Return the columns' values."""
        values = dict(vars(self))
        values["data"] = json.dumps(self.data, sort_keys=True, separators=(",", ":")) if self.data else None
        return values


def from_row(row: Row[Any]) -> Record:
    """Return the record in a row of the table."""
    values = dict(row._mapping)
    values.pop("user_id")
    return Record(**{**values, "data": json.loads(row.data) if row.data else {}})


def derived_id(user_id: int, device_id: str, task: str, kind: str, start_us: int, end_us: int) -> bytes:
    """Return the id of what `task` says of a span: the same again for the same span, so it replaces exactly."""
    name = f"{user_id:016x}/{device_id}/{task}/{kind}/{start_us // 1000}/{end_us // 1000}"
    return uuid.uuid5(_NAMESPACE, name).bytes


def client_id(user_id: int, source: str, client_record_id: str) -> bytes:
    """Return the id of what a client wrote under its own id."""
    return uuid.uuid5(_NAMESPACE, f"{user_id:016x}/client/{source}/{client_record_id}").bytes


def take_numbers(conn: Connection, user_id: int, count: int) -> int:
    """
    Draw `count` change numbers and return the first.

    The user's row stays locked until the commit, so numbers become visible in the order of their commits and a
    reader never passes one that is still to come.
    """
    last = conn.execute(_NUMBERS, {"b_user": user_id, "b_count": count}).scalar_one()
    return int(last) - count + 1


def put(conn: Connection, user_id: int, wanted: Sequence[Record], stored: Mapping[bytes, Record]) -> int:
    """
    Make the table hold `wanted`; `stored` is what it holds under those ids. Return how many changed.

    A record that says what is stored already is left alone: no new revision, no entry in the feed.
    """
    changed = [r for r in wanted if r.id not in stored or not _same(r, stored[r.id])]
    if not changed:
        return 0
    first, now = take_numbers(conn, user_id, len(changed)), now_us()
    fresh: list[dict[str, Any]] = []
    renewed: list[dict[str, Any]] = []
    for number, record in enumerate(changed, first):
        old, values = stored.get(record.id), record.row()
        values |= {"revision": old.revision + 1 if old else 1, "change_no": number, "updated_us": now}
        if old:
            renewed.append({**values, "b_user": user_id, "b_id": values["id"]})
        else:
            fresh.append({**values, "user_id": user_id})
    if fresh:
        conn.execute(_ADD, fresh)
    hooks.tell(conn, user_id, {r.kind for r in changed})
    if renewed:
        conn.execute(_RENEW, renewed)
    return len(changed)


def _same(new: Record, old: Record) -> bool:
    a, b = new.row(), old.row()
    return new.deleted == old.deleted and (new.deleted or all(a[name] == b[name] for name in _SAME))


def tombstone(record: Record) -> Record:
    """Return `record` as deleted: its id and span stay, what it said goes."""
    return replace(record, value=None, data={}, uncertainty=None, quality=None, deleted=True)


def with_version(record: Record, version: int) -> Record:
    """Return `record` as the client's `version` of it."""
    return replace(record, client_record_version=version)


def by_id(conn: Connection, user_id: int, ids: Iterable[bytes]) -> dict[bytes, Record]:
    """Return those of `ids` that are stored, tombstones too."""
    found: dict[bytes, Record] = {}
    pending = list(ids)
    for at in range(0, len(pending), 500):
        rows = conn.execute(_BY_ID, {"b_user": user_id, "b_ids": pending[at : at + 500]})
        found |= {row.id: from_row(row) for row in rows}
    return found


def replace_units(conn: Connection, user_id: int, wanted: Sequence[Record], whole: Mapping[int, Sequence[int]]) -> int:
    """
    Make the table hold `wanted`, and of the units in `whole` nothing else; return how many records changed.

    Parameters
    ----------
    whole : mapping of int to sequence of int
        Units by chain. Of units that are not in it `wanted` only adds to what is there.
    """
    stored = by_id(conn, user_id, [r.id for r in wanted])
    final, keep = list(wanted), {r.id for r in wanted}
    for chain_no, unit_nos in whole.items():
        here = {"b_user": user_id, "b_chain": chain_no, "b_units": list(unit_nos)}
        gone = [from_row(row) for row in conn.execute(_OF_UNITS, here) if row.id not in keep]
        stored |= {r.id: r for r in gone}
        final += [tombstone(r) for r in gone]
    # By time and id, not by arrival: two replicas that did the same work number it alike.
    final.sort(key=lambda r: (r.start_us, r.id))
    return put(conn, user_id, final, stored)


def last_change(conn: Connection, user_id: int) -> int:
    """Return the number of the user's newest change."""
    return conn.execute(select(users.c.last_change).where(users.c.user_id == user_id)).scalar() or 0


@dataclass(frozen=True)
class Page:
    """A part of the feed: records as they are now, the change number to go on from, and whether more is there."""

    records: list[Record]
    through: int
    more: bool


def changes(conn: Connection, user_id: int, after: int, limit: int, kinds: Sequence[str] = ()) -> Page:
    """
    Return what changed after `after`, oldest first, each record once and as it is now.

    Raises
    ------
    CursorExpired
        If tombstones after `after` were purged: the reader may miss deletions and must start again.
    """
    user = conn.execute(select(users.c.purged_change, users.c.last_change).where(users.c.user_id == user_id)).first()
    if user is None or 0 < after < user.purged_change or after > user.last_change:
        raise CursorExpired("this cursor is too old (or not of this store): begin again without a cursor")
    query = select(records).where(records.c.user_id == user_id, records.c.change_no > after)
    if kinds:
        query = query.where(records.c.kind.in_(kinds))
    rows = conn.execute(query.order_by(records.c.change_no).limit(limit + 1)).all()
    page = [from_row(row) for row in rows[:limit]]
    if len(rows) > limit:
        return Page(page, page[-1].change_no, True)
    # Filtered by kind, the reader may pass what it did not ask for.
    return Page(page, max(after, user.last_change), False)


def between(
    conn: Connection, user_id: int, kinds: Sequence[str], start_us: int, end_us: int, limit: int | None = None
) -> list[Record]:
    """Return live records of `kinds` that start in [start_us, end_us), in time order."""
    query = (
        select(records)
        .where(records.c.user_id == user_id, records.c.kind.in_(kinds), records.c.deleted.is_(False))
        .where(records.c.start_us >= start_us, records.c.start_us < end_us)
        .order_by(records.c.start_us, records.c.id)
    )
    return [from_row(row) for row in conn.execute(query.limit(limit) if limit else query)]


def count(conn: Connection, user_id: int) -> int:
    """Return how many live records a user has."""
    own = select(func.count()).where(records.c.user_id == user_id)
    # Two counts of index entries: to look at `deleted` of each would read every row.
    return int(conn.execute(own).scalar_one()) - int(conn.execute(own.where(records.c.deleted.is_(True))).scalar_one())


def describe(record: Record) -> dict[str, Any]:
    """Return everything a record says, without what belongs to this store (numbers, times of writing)."""
    values = asdict(record)
    for name in ("change_no", "updated_us", "revision", "chain_no"):
        values.pop(name)
    return values

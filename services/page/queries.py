"""What the page reads from the store: aggregated there, so that a year of data costs a page nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, desc, func, select

from services.store.records import Record, from_row
from services.store.tables import records

MINUTE_US = 60_000_000


def bucket_means(
    conn: Connection, user_id: int, kind: str, start_us: int, end_us: int, bucket_us: int
) -> list[tuple[int, float, float]]:
    """Return (start of the bucket in µs, mean value, mean uncertainty or 0) for each bucket that has a value."""
    bucket = (records.c.start_us - records.c.start_us % bucket_us).label("bucket")
    query = (
        select(bucket, func.avg(records.c.value), func.avg(records.c.uncertainty))
        .where(
            records.c.user_id == user_id, records.c.kind == kind, records.c.deleted.is_(False),
            records.c.start_us >= start_us, records.c.start_us < end_us, records.c.value.is_not(None),
        )
        .group_by(bucket)
        .order_by(bucket)
    )  # fmt: skip
    return [(int(b), float(v), float(u or 0.0)) for b, v, u in conn.execute(query)]


def latest(conn: Connection, user_id: int, kinds: Sequence[str], n: int = 1) -> list[Record]:
    """Return the newest `n` live records of `kinds` by start, newest first."""
    query = (
        select(records)
        .where(records.c.user_id == user_id, records.c.kind.in_(kinds), records.c.deleted.is_(False))
        .order_by(desc(records.c.start_us))
        .limit(n)
    )
    return [from_row(row) for row in conn.execute(query)]


def reason_of(reminder: Record) -> dict[str, float | str]:
    """Return the figures that a reminder gives for itself."""
    reason = reminder.data.get("reason")
    pairs = reason.items() if isinstance(reason, Mapping) else ()
    return {str(k): v if isinstance(v, int | float) else str(v) for k, v in pairs}

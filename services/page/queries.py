"""What the page reads from the store: aggregated there, so that a year of data costs a page nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, desc, func, select

from pipelines.insights.day import Day
from services.store.records import Record, between, from_row
from services.store.tables import records

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
DAILY_KINDS = ("resting_heart_rate", "rmssd", "sleep", "steps", "active_minutes")


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


def utc_offset_s(conn: Connection, user_id: int) -> int:
    """Return the wearer's present offset from UTC: that of the newest record, 0 where there is none."""
    query = (
        select(records.c.utc_offset_s)
        .where(records.c.user_id == user_id, records.c.kind.in_((*DAILY_KINDS, "heart_rate", "activity")))
        .order_by(desc(records.c.start_us))
        .limit(1)
    )
    found = conn.execute(query).scalar()
    return int(found) if found is not None else 0


def local_date(us: int, offset_s: int) -> dt.date:
    """Return the local date of a moment."""
    return (dt.datetime.fromtimestamp(us / 1e6, dt.UTC) + dt.timedelta(seconds=offset_s)).date()


def day_bounds(date: dt.date, offset_s: int) -> tuple[int, int]:
    """Return [start, end) of a local day in µs of UTC."""
    start = int((dt.datetime.combine(date, dt.time(), dt.UTC).timestamp() - offset_s) * 1e6)
    return start, start + DAY_US


def days(conn: Connection, user_id: int, until: dt.date, n: int, offset_s: int) -> list[Day]:
    """Return the `n` local days up to `until` that have any daily figure."""
    start, _ = day_bounds(until - dt.timedelta(days=n - 1), offset_s)
    _, end = day_bounds(until, offset_s)
    # A night begins on the day before the one that it belongs to.
    found = between(conn, user_id, DAILY_KINDS, start - DAY_US, end)
    by_date: dict[dt.date, dict[str, Any]] = {}
    for record in found:
        moment = record.end_us if record.kind == "sleep" else record.start_us
        date = local_date(moment, record.utc_offset_s)
        by_date.setdefault(date, {}).update(_figures(record, by_date.get(date, {})))
    first = until - dt.timedelta(days=n - 1)
    return [Day(date, **values) for date, values in sorted(by_date.items()) if first <= date <= until]


def _figures(record: Record, so_far: dict[str, Any]) -> dict[str, Any]:
    if record.kind == "sleep":
        if (so_far.get("sleep_min") or 0) > (record.value or 0):
            return {}  # a nap beside the night
        local = dt.datetime.fromtimestamp(record.start_us / 1e6, dt.UTC) + dt.timedelta(seconds=record.utc_offset_s)
        return {
            "sleep_min": record.value, "sleep_efficiency": record.data.get("efficiency"),
            "bedtime_min": float((local.hour * 60 + local.minute - 720) % 1440),
        }  # fmt: skip
    if record.value is None:
        return {}
    if record.kind == "steps":
        return {"steps": (so_far.get("steps") or 0.0) + record.value}
    name = {"resting_heart_rate": "resting_hr_bpm", "rmssd": "rmssd_ms", "active_minutes": "active_min"}[record.kind]
    return {name: record.value}

"""The wearer's days, as the store has them: local dates, and the figures of each."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, desc, select

from pipelines.insights.day import Day
from services.store.records import Record, between
from services.store.tables import records

DAY_US = 86_400_000_000
DAILY_KINDS = ("resting_heart_rate", "rmssd", "sleep", "steps", "active_minutes")


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


def figures_by_day(conn: Connection, user_id: int, until: dt.date, n: int, offset_s: int) -> list[Day]:
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


def without_partial(days: list[Day], today: dt.date) -> list[Day]:
    """Return the days without today's sums: a day that is not over has few steps, and that means nothing."""
    return [replace(d, steps=None, active_min=None, sedentary_min=None) if d.date == today else d for d in days]

"""The wearer's days, as the store has them: local dates, and the figures of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from sqlalchemy import Connection, desc, func, select

from pipelines.insights.day import Day
from services.store.records import Record, between
from services.store.tables import records

DAY_US, _HOUR_US, _QUARTER_US = 86_400_000_000, 3_600_000_000, 900_000_000
DAILY_KINDS = ("resting_heart_rate", "rmssd", "sleep", "steps", "active_minutes", "energy")


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
    # A night begins on the day before the one that it belongs to. Steps come by the minute: those are added up there.
    found = between(conn, user_id, [k for k in DAILY_KINDS if k != "steps"], start - DAY_US, end)
    by_date: dict[dt.date, dict[str, Any]] = {
        date: {"steps": total} for date, total in steps_by_day(conn, user_id, start, end).items()
    }
    for record in found:
        moment = record.end_us if record.kind == "sleep" else record.start_us
        date = local_date(moment, record.utc_offset_s)
        by_date.setdefault(date, {}).update(_figures(record, by_date.get(date, {})))
    first = until - dt.timedelta(days=n - 1)
    return [Day(date, **values) for date, values in sorted(by_date.items()) if first <= date <= until]


def steps_by_day(conn: Connection, user_id: int, start_us: int, end_us: int) -> dict[dt.date, float]:
    """
    Return the steps of each local day.

    Where several devices cover a quarter of an hour, the busiest counts for it; none is dropped as a whole. Totals of
    more than an hour stand beside what is known by the minute, and the larger counts.
    """
    start, c = records.c.start_us, records.c
    quarter = (start - start % _QUARTER_US).label("quarter")
    long = (c.end_us - start > _HOUR_US).label("long")
    query = (
        select(quarter, c.utc_offset_s, long, c.device_id, func.sum(c.value))
        .where(c.user_id == user_id, c.kind == "steps", c.deleted.is_(False), c.value.is_not(None))
        .where(start >= start_us, start < end_us)
        .group_by(quarter, c.utc_offset_s, long, c.device_id)
    )
    busiest: dict[tuple[dt.date, bool, int], float] = {}
    for at, offset, is_long, _, total in conn.execute(query):
        key = (local_date(int(at), int(offset)), bool(is_long), int(at))
        busiest[key] = max(busiest.get(key, 0.0), float(total))
    sums: dict[tuple[dt.date, bool], float] = {}
    for (date, is_long, _), total in busiest.items():
        sums[date, is_long] = sums.get((date, is_long), 0.0) + total
    return {date: max(sums.get((date, flag), 0.0) for flag in (True, False)) for date, _ in sums}


def numbers(said: Any) -> dict[str, float]:
    """Return the entries of a mapping that are finite numbers: a client may have written anything there."""
    pairs = said.items() if isinstance(said, Mapping) else ()
    kept = ((str(k), v) for k, v in pairs if isinstance(v, int | float) and not isinstance(v, bool))
    return {k: float(v) for k, v in kept if isfinite(v)}


def _figures(record: Record, so_far: dict[str, Any]) -> dict[str, Any]:
    if record.kind == "sleep":
        if (so_far.get("sleep_min") or 0) > (record.value or 0):
            return {}  # a nap beside the night
        local = dt.datetime.fromtimestamp(record.start_us / 1e6, dt.UTC) + dt.timedelta(seconds=record.utc_offset_s)
        return {
            "sleep_min": record.value, "sleep_efficiency": numbers(record.data).get("efficiency"),
            "bedtime_min": float((local.hour * 60 + local.minute - 720) % 1440),
        }  # fmt: skip
    if record.value is None:
        return {}
    if record.kind == "energy":
        known = numbers(record.data.get("minutes"))
        sitting = sum(known.get(name, 0.0) for name in ("still", "eat"))
        return {"energy_met_min": record.value, **({"sedentary_min": sitting} if known else {})}
    name = {"resting_heart_rate": "resting_hr_bpm", "rmssd": "rmssd_ms", "active_minutes": "active_min"}[record.kind]
    return {name: record.value}


def without_partial(days: list[Day], today: dt.date) -> list[Day]:
    """Return the days without today's sums: a day that is not over has few steps, and that means nothing."""
    return [
        replace(d, steps=None, active_min=None, sedentary_min=None, energy_met_min=None) if d.date == today else d
        for d in days
    ]

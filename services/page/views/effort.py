"""Zones and energy: what a day, and the weeks, asked of the heart and of the body."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from pipelines.insights.energy import COMPENDIUM, METS, met_of, moving_met_minutes
from pipelines.insights.weeks import monday_of
from pipelines.insights.zones import MAXIMUM_SOURCE, ZONES_SOURCE, maximum_hr, zone_bounds, zone_minutes
from services.insight import days
from services.page.drawing import bar
from services.page.wearer import Wearer
from services.store.records import Record, between

REST_DAYS = 28
DEFAULT_RESTING = 60.0
# A maximum that was seen counts for a year.
PEAK_DAYS = 365


@dataclass(frozen=True)
class Heart:
    """The ends of a wearer's zones, and where the upper one comes from: ``you``, ``measured``, ``age`` or ``guess``."""

    resting_bpm: float
    max_bpm: float
    from_: str
    measured_on: dt.date | None = None


def heart(conn: Connection, wearer: Wearer, until: dt.date) -> Heart:
    """Return the ends of the zones: the usual rate at rest; the maximum that was told, or seen, or goes with age."""
    _, end = days.day_bounds(until, wearer.offset_s)
    rest = between(conn, wearer.user_id, ["resting_heart_rate"], end - REST_DAYS * days.DAY_US, end)
    known = sorted(r.value for r in rest if r.value is not None)
    resting = known[len(known) // 2] if known else DEFAULT_RESTING
    choice, age = wearer.chosen, wearer.chosen.age(until)
    if choice.max_hr_bpm is not None and choice.max_hr_bpm > resting:
        return Heart(resting, choice.max_hr_bpm, "you")
    seen = between(conn, wearer.user_id, ["heart_minutes"], end - PEAK_DAYS * days.DAY_US, end)
    peak, record = max(((_peak(r), r) for r in seen), key=lambda pair: pair[0], default=(0.0, None))
    maximum = maximum_hr(age, peak)
    if record is not None and maximum == peak:
        return Heart(resting, maximum, "measured", days.local_date(record.start_us, record.utc_offset_s))
    return Heart(min(resting, maximum - 1), maximum, "guess" if choice.birth_year is None else "age")


def of_day(conn: Connection, wearer: Wearer, date: dt.date) -> dict[str, Any]:
    """Return zones and energy of one day, None each where nothing is known."""
    start, end = days.day_bounds(date, wearer.offset_s)
    found = {r.kind: r for r in between(conn, wearer.user_id, ["energy", "heart_minutes"], start, end)}
    ends = heart(conn, wearer, date)
    minutes = _at_bpm([found["heart_minutes"]] if "heart_minutes" in found else [])
    return {
        "heart": ends, "zones": _zones(minutes, ends) if minutes else None,
        "energy": _energy(found["energy"]) if "energy" in found else None, "sources": (ZONES_SOURCE, MAXIMUM_SOURCE),
    }  # fmt: skip


def of_weeks(conn: Connection, wearer: Wearer, mondays: Sequence[dt.date]) -> dict[dt.date, list[dict[str, Any]]]:
    """Return the zones of each week that has a heart rate; all against the present ends."""
    if not mondays:
        return {}
    start, end = days.day_bounds(mondays[0], wearer.offset_s)[0], days.day_bounds(wearer.today, wearer.offset_s)[1]
    by_week: dict[dt.date, list[Record]] = {}
    for record in between(conn, wearer.user_id, ["heart_minutes"], start, end):
        date = days.local_date(record.start_us, record.utc_offset_s)
        by_week.setdefault(monday_of(date), []).append(record)
    ends = heart(conn, wearer, wearer.today)
    return {monday: _zones(_at_bpm(found), ends) for monday, found in by_week.items()}


def _zones(minutes: Counter[int], ends: Heart) -> list[dict[str, Any]]:
    spent = zone_minutes(minutes, ends.resting_bpm, ends.max_bpm)
    bounds = zone_bounds(ends.resting_bpm, ends.max_bpm)
    # Most of a day is very light: its bar is full anyway, and must not press the others flat.
    most = max(n for name, n in spent.items() if name != "very_light") or 1.0
    return [
        {"name": name, "low": low, "high": high, "minutes": spent[name], "bar": bar(spent[name] / most, f"zone-{name}")}
        for name, (low, high) in bounds.items()
    ]


def _energy(record: Record) -> dict[str, Any]:
    minutes = days.numbers(record.data.get("minutes"))
    rows = [
        {"activity": name, "minutes": n, "met": met_of(name), "met_min": n * met_of(name), "row": METS.get(name)}
        for name, n in sorted(minutes.items(), key=lambda item: -item[1] * met_of(item[0]))
    ]
    return {
        "met_min": record.value, "moving_met_min": moving_met_minutes(minutes), "rows": rows,
        "unknown_min": days.numbers(record.data).get("unknown_min", 0.0), "source": COMPENDIUM,
    }  # fmt: skip


def _at_bpm(found: Sequence[Record]) -> Counter[int]:
    total: Counter[int] = Counter()
    for record in found:
        for bpm, minutes in days.numbers(record.data.get("minutes")).items():
            if bpm.isdecimal() and minutes > 0:
                total[int(bpm)] += round(minutes)
    return total


def _peak(record: Record) -> float:
    return days.numbers(record.data).get("peak_bpm", 0.0)

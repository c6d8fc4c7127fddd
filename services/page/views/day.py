"""*Day*: heart rate by minute with activity bands, steps, active minutes and events on one axis; gaps are gaps."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Connection

from services.insight import days
from services.page import queries
from services.page.drawing import bar
from services.page.wearer import Wearer
from services.store.records import Record, between

BANDS = ("activity", "context", "sleep", "not_worn")
EVENTS = ("fall", "irregular_rhythm", "note", "reminder")


def view(conn: Connection, wearer: Wearer, date: dt.date) -> dict[str, Any]:
    """Return what the template shows of one local day."""
    start, end = days.day_bounds(date, wearer.offset_s)
    heart = queries.bucket_means(conn, wearer.user_id, "heart_rate", start, end, queries.MINUTE_US)
    bands = between(conn, wearer.user_id, BANDS, start - days.DAY_US, end)
    inside = [r for r in bands if r.end_us > start]
    # The context says what the activity, the sleep and the contact add up to: where it is known, it is enough.
    if any(r.kind == "context" for r in inside):
        inside = [r for r in inside if r.kind == "context"]
    steps = between(conn, wearer.user_id, ["steps"], start, end)
    active = between(conn, wearer.user_id, ["active_minutes"], start, end)
    cut = _merged(inside, start, end)
    happened = [_event(r, wearer) for r in between(conn, wearer.user_id, EVENTS, start, end)]
    return {
        "date": date, "previous": date - dt.timedelta(days=1), "next": date + dt.timedelta(days=1),
        "is_today": date >= wearer.today,
        "series": [(b // 1_000_000, round(v, 1), round(u, 1)) for b, v, u in heart],
        "bands_named": [{**b, "name": _name(b["kind"], b["label"], wearer)} for b in cut],
        "events_named": [{"s": e["s"], "name": wearer.t(f"event.{e['kind']}")} for e in happened],
        "legend": sorted({(b["label"], _name(b["kind"], b["label"], wearer)) for b in cut}),
        "span": (start // 1_000_000, end // 1_000_000),
        "offset_s": wearer.offset_s,
        "hours": _hours(heart, steps, start),
        "step_bars": _step_bars(steps),
        "steps": int(days.steps_by_day(conn, wearer.user_id, start, end).get(date, 0.0)),
        "active_min": sum(r.value or 0 for r in active) if active else None,
        "lowest": min((v for _, v, _ in heart), default=None), "highest": max((v for _, v, _ in heart), default=None),
        "events": happened,
        "time_in": _time_in(inside, start, end),
    }  # fmt: skip


def _merged(found: list[Record], start: int, end: int) -> list[dict[str, Any]]:
    """Return bands cut to the day; neighbours of one kind and label become one."""
    merged: list[dict[str, Any]] = []
    for record in sorted(found, key=lambda r: (r.kind, r.start_us)):
        label = record.kind if record.kind in ("sleep", "not_worn") else str(record.data.get("value", ""))
        a, b = max(record.start_us, start) // 1_000_000, min(record.end_us, end) // 1_000_000
        last = merged[-1] if merged else None
        if last and (last["kind"], last["label"]) == (record.kind, label) and a <= last["to"] + 60:
            last["to"] = max(last["to"], b)
        elif b > a:
            merged.append({"kind": record.kind, "label": label, "from": a, "to": b})
    return merged


def _name(kind: str, label: str, wearer: Wearer) -> str:
    return wearer.t(f"activity.{label}" if kind == "activity" else f"context.{label}")


def _hours(heart: list[tuple[int, float, float]], steps: list[Record], start: int) -> list[dict[str, Any]]:
    """Return the day by hour: the figures that stand there without JavaScript."""
    hour_us = 60 * queries.MINUTE_US
    rows: dict[int, dict[str, Any]] = {}
    for moment, value, _ in heart:
        rows.setdefault((moment - start) // hour_us, {"hr": [], "steps": 0.0})["hr"].append(value)
    for record in steps:
        if record.end_us - record.start_us <= hour_us:  # a day's total has no hour
            rows.setdefault((record.start_us - start) // hour_us, {"hr": [], "steps": 0.0})["steps"] += (
                record.value or 0
            )
    return [
        {
            "hour": f"{hour:02d}:00", "mean": sum(r["hr"]) / len(r["hr"]) if r["hr"] else None,
            "low": min(r["hr"], default=None), "high": max(r["hr"], default=None), "steps": int(r["steps"]),
        }
        for hour, r in sorted(rows.items())
    ]  # fmt: skip


def _event(record: Record, wearer: Wearer) -> dict[str, Any]:
    return {
        "at": wearer.clock(record.start_us), "kind": record.kind, "words": _words(record, wearer),
        "s": record.start_us // 1_000_000,
    }  # fmt: skip


def _words(record: Record, wearer: Wearer) -> str:
    value = str(record.data.get("value", ""))
    family = {"fall": "state", "reminder": "reminder"}.get(record.kind)
    return wearer.t(f"{family}.{value}") if family and value else value


def _time_in(found: list[Record], start: int, end: int) -> list[dict[str, Any]]:
    total: dict[str, float] = {}
    for record in found:
        if record.kind == "context":
            label = str(record.data.get("value", ""))
            seconds = (min(record.end_us, end) - max(record.start_us, start)) / 1e6
            total[label] = total.get(label, 0.0) + max(seconds, 0.0)
    most = max(total.values(), default=0.0) or 1.0
    return [
        {"label": label, "minutes": seconds / 60, "bar": bar(seconds / most, f"band-{label}")}
        for label, seconds in sorted(total.items(), key=lambda item: -item[1])
    ]


def _step_bars(steps: list[Record]) -> list[tuple[int, int, float]]:
    """Return (from, to, steps a minute) of each record that has a place on the axis; a day's total has none."""
    return [
        (r.start_us // 1_000_000, r.end_us // 1_000_000, round(60e6 * r.value / (r.end_us - r.start_us), 1))
        for r in steps
        if r.value and 0 < r.end_us - r.start_us <= 60 * queries.MINUTE_US
    ]

"""*Now*: the last heart rate with its uncertainty, contact, activity, steps, battery and last sync."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from services.insight import days
from services.page import queries
from services.page.wearer import Wearer
from services.store import accounts
from services.store.records import between

# A live value older than this looks stale: three windows of heart rate and a late sync.
STALE_AFTER_S = 90
GOOD_QUALITY = 0.5
# The follower looks every two minutes, and smooths over five.
FRESH_US = 20 * queries.MINUTE_US
# A reminder of the morning is no news in the evening.
REMINDERS_SHOWN, REMINDED_US = 2, 180 * queries.MINUTE_US


def view(conn: Connection, wearer: Wearer) -> dict[str, Any]:
    """Return what the template shows."""
    start, end = days.day_bounds(wearer.today, wearer.offset_s)
    activity = queries.latest(conn, wearer.user_id, ["activity"])
    return {
        "heart": _heart(conn, wearer),
        "activity": str(activity[0].data.get("value", "")) if activity else "",
        "context": _context(conn, wearer), "night": _night(conn, wearer, start, end),
        "devices": [_device(row) for row in accounts.list_devices(conn, wearer.user_id) if row.revoked_us is None],
        "recent_s": [(b // 1_000_000, round(v, 1), round(u, 1)) for b, v, u in _recent(conn, wearer)],
        "reminders": _reminders(conn, wearer), "stale_after_s": STALE_AFTER_S,
    }  # fmt: skip


def _context(conn: Connection, wearer: Wearer) -> dict[str, Any] | None:
    """Return what the wearer is doing and for how long; None where nothing new is known."""
    found = queries.latest(conn, wearer.user_id, ["context"])
    if not found or wearer.now_us - found[0].end_us > FRESH_US:
        return None
    span_min = (found[0].end_us - found[0].start_us) / queries.MINUTE_US
    return {"label": str(found[0].data.get("value", "")), "minutes": span_min}


def _night(conn: Connection, wearer: Wearer, start: int, end: int) -> dict[str, Any] | None:
    """Return the longest sleep that ends today."""
    found = [r for r in between(conn, wearer.user_id, ["sleep"], start - days.DAY_US, end) if start < r.end_us <= end]
    main = max(found, key=lambda r: r.value or 0.0, default=None)
    return None if main is None else {"minutes": main.value, "score": days.numbers(main.data).get("score")}


def _reminders(conn: Connection, wearer: Wearer) -> list[dict[str, Any]]:
    """Return what the watch was told lately, each with its reason."""
    return [
        {"at": wearer.clock(r.start_us), "kind": str(r.data.get("value", "")), "reason": queries.reason_of(r)}
        for r in queries.latest(conn, wearer.user_id, ["reminder"], REMINDERS_SHOWN)
        if wearer.now_us - r.start_us < REMINDED_US
    ]


def _heart(conn: Connection, wearer: Wearer) -> dict[str, Any] | None:
    found = queries.latest(conn, wearer.user_id, ["heart_rate"])
    if not found:
        return None
    record = found[0]
    age_s = max(0.0, (wearer.now_us - record.end_us) / 1e6)
    return {
        "bpm": record.value, "uncertainty": record.uncertainty, "quality": record.quality,
        "at_us": record.end_us, "age_s": age_s, "stale": age_s > STALE_AFTER_S,
        "contact": record.value is not None and (record.quality is None or record.quality >= GOOD_QUALITY),
    }  # fmt: skip


def _recent(conn: Connection, wearer: Wearer) -> list[tuple[int, float, float]]:
    newest = queries.latest(conn, wearer.user_id, ["heart_rate"])
    if not newest:
        return []
    end = newest[0].start_us + 1
    return queries.bucket_means(conn, wearer.user_id, "heart_rate", end - 10 * queries.MINUTE_US, end, 10_000_000)


def _device(row: Any) -> dict[str, Any]:
    status = json.loads(row.status) if row.status else {}
    return {"name": row.name, "seen_us": row.seen_us, "battery": status.get("battery"), "model": row.model}

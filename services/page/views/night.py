"""*Night*: hypnogram with heart rate, the night's figures with their meaning, the score with its formula."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Connection

from services.insight import days
from services.page import queries
from services.page.drawing import STAGE_ROWS, hypnogram
from services.page.wearer import Wearer
from services.store.records import Record, between

# Figures in the order shown, with their unit's key; each has a meaning in the catalogue.
FIGURES = (
    ("tst_min", "duration"), ("efficiency", "percent"), ("sol_min", "minutes"), ("waso_min", "minutes"),
    ("rem_latency_min", "minutes"), ("awakenings", "count"), ("light_min", "duration"), ("deep_min", "duration"),
    ("rem_min", "duration"),
)  # fmt: skip


def view(conn: Connection, wearer: Wearer, date: dt.date) -> dict[str, Any]:
    """Return what the template shows of the night that ends on `date`."""
    start, end = days.day_bounds(date, wearer.offset_s)
    nights = [r for r in between(conn, wearer.user_id, ["sleep"], start - days.DAY_US, end) if start < r.end_us <= end]
    main = max(nights, key=lambda r: r.end_us - r.start_us, default=None)
    shown = {
        "date": date, "previous": date - dt.timedelta(days=1), "next": date + dt.timedelta(days=1),
        "is_today": date >= wearer.today, "night": None,
    }  # fmt: skip
    if main is not None:
        shown["night"] = _night(conn, wearer, main)
    return shown


def _night(conn: Connection, wearer: Wearer, record: Record) -> dict[str, Any]:
    data = {**record.data, "tst_min": record.value}
    stages = str(data.get("hypnogram", ""))
    heart = queries.bucket_means(
        conn, wearer.user_id, "heart_rate", record.start_us, record.end_us, 5 * queries.MINUTE_US
    )
    return {
        "from": wearer.clock(record.start_us, record.utc_offset_s),
        "to": wearer.clock(record.end_us, record.utc_offset_s),
        "span": (record.start_us // 1_000_000, record.end_us // 1_000_000),
        "offset_s": record.utc_offset_s,
        "hypnogram": hypnogram(stages, wearer.t("night.hypnogram_title")) if stages else None,
        "stage_rows": [wearer.t(f"stage.{letter}") for letter in STAGE_ROWS],
        "figures": [(name, unit, data.get(name)) for name, unit in FIGURES],
        "score": data.get("score"), "score_parts": data.get("score_parts") or {},
        "heart": [(b // 1_000_000, round(v, 1), round(u, 1)) for b, v, u in heart],
        "unknown_share": stages.count("?") / len(stages) if stages else 0.0,
    }  # fmt: skip

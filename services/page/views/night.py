"""*Night*: hypnogram with heart rate, the night's figures with their meaning, the score with its formula."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from math import isnan
from typing import Any

import numpy as np
from sqlalchemy import Connection

from pipelines.sleep.score import score_parts, sleep_score
from pipelines.sleep.stages import Stage
from pipelines.sleep.statistics import sleep_statistics
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


_CODES = {"W": Stage.WAKE, "L": Stage.LIGHT, "D": Stage.DEEP, "R": Stage.REM}


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


def _from_hypnogram(stages: str) -> dict[str, Any]:
    """Return the night's figures and score; what is undefined is None."""
    if not stages:
        return {}
    codes = np.array([_CODES.get(letter, Stage.UNDEFINED) for letter in stages], np.int8)
    figures = sleep_statistics(codes)
    known = {k: None if isinstance(v, float) and isnan(v) else v for k, v in asdict(figures).items()}
    parts = {p.name.replace(" ", "_"): p.weight * p.reached for p in score_parts(figures)}
    return {**known, "score": sleep_score(figures), "score_parts": parts}


def _night(conn: Connection, wearer: Wearer, record: Record) -> dict[str, Any]:
    stages = str(record.data.get("hypnogram", ""))
    # What the writer left out follows from the hypnogram; what it says itself stands.
    data = {**_from_hypnogram(stages), **{k: v for k, v in record.data.items() if v is not None}}
    data["tst_min"] = record.value if record.value is not None else data.get("tst_min")
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

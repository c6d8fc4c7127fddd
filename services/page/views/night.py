"""*Night*: hypnogram with heart rate and movement, the figures with their meaning, the score with its formula."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
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
from services.page.drawing import STAGE_ROWS, bars, hypnogram
from services.page.rawsignal import MOVEMENT_S, movement
from services.page.wearer import Wearer
from services.store.cipher import Cipher
from services.store.records import Record, between

# Figures in the order shown, with their unit's key; each has a meaning in the catalogue.
FIGURES = (
    ("tst_min", "duration"), ("efficiency", "percent"), ("sol_min", "minutes"), ("waso_min", "minutes"),
    ("awakenings", "count"), ("rem_latency_min", "minutes"), ("light_min", "duration"), ("deep_min", "duration"),
    ("rem_min", "duration"), ("heart_mean", "bpm"), ("heart_low", "bpm"), ("rmssd_ms", "ms"),
)  # fmt: skip
# Points that the parts of the score can reach; pipelines.sleep.score has the formula.
FULL_SCORE = {p.name.replace(" ", "_"): p.weight for p in score_parts(sleep_statistics(np.array([Stage.LIGHT] * 960)))}
_CODES = {"W": Stage.WAKE, "L": Stage.LIGHT, "D": Stage.DEEP, "R": Stage.REM}
_HEART_US = 5 * queries.MINUTE_US


def view(conn: Connection, wearer: Wearer, date: dt.date, cipher: Cipher) -> dict[str, Any]:
    """Return what the template shows of the night that ends on `date`."""
    start, end = days.day_bounds(date, wearer.offset_s)
    found = between(conn, wearer.user_id, ["sleep", "rmssd"], start - days.DAY_US, end)
    ends_here = [r for r in found if start < r.end_us <= end]
    nights = [r for r in ends_here if r.kind == "sleep" and r.end_us > r.start_us]
    main = max(nights, key=lambda r: r.end_us - r.start_us, default=None)
    shown = {
        "date": date, "previous": date - dt.timedelta(days=1), "next": date + dt.timedelta(days=1),
        "is_today": date >= wearer.today, "night": None,
    }  # fmt: skip
    if main is not None:
        rmssd = [r.value for r in ends_here if r.kind == "rmssd" and r.value is not None]
        shown["night"] = _night(conn, wearer, main, rmssd[-1] if rmssd else None, cipher)
    return shown


def _from_hypnogram(stages: str) -> dict[str, Any]:
    """Return the night's figures and score; what is undefined is None."""
    codes = np.array([_CODES.get(letter, Stage.UNDEFINED) for letter in stages], np.int8)
    if not np.isin(codes, list(_CODES.values())).any():
        return {}
    figures = sleep_statistics(codes)
    known = {k: None if isinstance(v, float) and isnan(v) else v for k, v in asdict(figures).items()}
    parts = {p.name.replace(" ", "_"): p.weight * p.reached for p in score_parts(figures)}
    return {**known, "score": sleep_score(figures), "score_parts": parts}


def _night(conn: Connection, wearer: Wearer, record: Record, rmssd_ms: float | None, cipher: Cipher) -> dict[str, Any]:
    said = record.data.get("hypnogram")
    stages = said if isinstance(said, str) else ""
    heart = queries.bucket_means(conn, wearer.user_id, "heart_rate", record.start_us, record.end_us, _HEART_US)
    # What the writer left out follows from the hypnogram; what it says itself stands.
    data = {**_from_hypnogram(stages), **days.numbers(record.data)}
    data |= {"rmssd_ms": rmssd_ms} | _heart_figures(heart)
    if record.value is not None:
        data["tst_min"] = record.value
    parts = days.numbers(record.data.get("score_parts")) or data.get("score_parts") or {}
    moved = _movement(conn, wearer.user_id, record, cipher)
    return {
        "from": wearer.clock(record.start_us, record.utc_offset_s),
        "to": wearer.clock(record.end_us, record.utc_offset_s),
        "span": (record.start_us // 1_000_000, record.end_us // 1_000_000),
        "offset_s": record.utc_offset_s,
        "hypnogram": hypnogram(stages, wearer.t("night.hypnogram_title")) if stages else None,
        "stage_rows": [(letter, wearer.t(f"stage.{letter}")) for letter in STAGE_ROWS],
        "figures": [(name, unit, data.get(name)) for name, unit in FIGURES],
        "score": data.get("score"),
        "score_parts": [(name, points, FULL_SCORE.get(name)) for name, points in parts.items()],
        "heart": [(b // 1_000_000, round(v, 1), round(u, 1)) for b, v, u in heart],
        "movement": bars(moved, wearer.t("night.movement")) if moved else None,
        "hours": _hours(stages, heart, moved, record, wearer),
        "unknown_share": stages.count("?") / len(stages) if stages else 0.0,
    }  # fmt: skip


def _heart_figures(heart: list[tuple[int, float, float]]) -> dict[str, float | None]:
    values = [v for _, v, _ in heart]
    mean = sum(values) / len(values) if values else None
    return {"heart_mean": mean, "heart_low": min(values, default=None)}


def _movement(conn: Connection, user_id: int, record: Record, cipher: Cipher) -> list[float | None]:
    """Return the movement of each `MOVEMENT_S` in mg: as the writer says, else from the raw signal that is kept."""
    said = record.data.get("movement")
    if isinstance(said, Mapping) and said.get("every_s") == MOVEMENT_S and isinstance(said.get("mg"), list):
        numbers = days.numbers(dict(enumerate(said["mg"])))
        return [numbers.get(str(k)) for k in range(len(said["mg"]))]
    return movement(conn, user_id, record.start_us, record.end_us, cipher)


def _hours(
    stages: str, heart: list[tuple[int, float, float]], moved: list[float | None], record: Record, wearer: Wearer
) -> list[dict[str, Any]]:
    """Return the night by hour in figures: what the pictures show, for who cannot see them."""
    span_us = record.end_us - record.start_us
    epoch_us = span_us / len(stages) if stages else 0.0
    rows = []
    for at in range(record.start_us, record.end_us, 60 * queries.MINUTE_US):
        end = min(at + 60 * queries.MINUTE_US, record.end_us)
        a, b = at - record.start_us, end - record.start_us
        inside = stages[round(a / epoch_us) : round(b / epoch_us)] if stages else ""
        beats = [v for moment, v, _ in heart if at <= moment < end]
        mg = [v for v in moved[a // (MOVEMENT_S * 1_000_000) : b // (MOVEMENT_S * 1_000_000)] if v is not None]
        rows.append(
            {
                "at": wearer.clock(at, record.utc_offset_s),
                "stages": {letter: inside.count(letter) * epoch_us / queries.MINUTE_US for letter in STAGE_ROWS},
                "heart": sum(beats) / len(beats) if beats else None, "movement": sum(mg) / len(mg) if mg else None,
            }
        )  # fmt: skip
    return rows[:24]

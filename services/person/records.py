"""A life as records, in the words of docs/records.md."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.person.life import CYCLE, LABELS, RUN, WALK, Life
from services.person.night import figures, movement
from services.person.raw import IMPACT_MIN

_IDS = uuid.UUID("0a1b8d0e-2f5e-4f0c-8a70-7f1f3c2e9d55")
AGE_YEARS, WEIGHT_KG = 40, 72.0
# Uncertainty of a wrist's heart rate by activity, in BPM: small at rest, large while running.
UNCERTAIN_BPM = np.array([1.6, 3.5, 6.0, 4.5, 4.0, 3.0, 2.4, 5.5])


def records_of(life: Life) -> Iterator[dict[str, Any]]:
    """Yield every record of a life but its falls, oldest first within each kind."""
    yield from _heart_rates(life)
    yield from _spans(life)
    yield from _steps(life)
    yield from _nights(life)
    yield from _days(life)


def fall_record(life: Life, minute: int) -> dict[str, Any]:
    """Return the fall of `minute`: detected, not cancelled, so that a caregiver was alerted."""
    impact = minute + IMPACT_MIN
    history = [
        {"state": "detected", "at": _text(life, impact + 0.5), "by": "watch"},
        {"state": "alerted", "at": _text(life, impact + 1.0), "by": "watch"},
    ]
    data = {"confidence": 0.94, "impact": _text(life, impact), "history": history}
    return {**_record(life, "fall", impact, impact + 0.5), "value": "alerted", "quality": 0.94, "data": data}


def settings_record(life: Life) -> dict[str, Any]:
    """Return what the wearer says of themselves; as old as the life, so that what the page was told wins."""
    about = {"birth_year": life.start.year - AGE_YEARS, "weight_kg": WEIGHT_KG}
    return {**_record(life, "settings", 0, 0), "recording_method": "manual", "data": {"about": about}}


def _heart_rates(life: Life) -> Iterator[dict[str, Any]]:
    for minute in range(len(life)):
        value = life.heart_rate_bpm[minute]
        if np.isnan(value):
            continue
        uncertainty = 1.2 if life.in_bed[minute] else float(UNCERTAIN_BPM[life.label[minute]])
        record = _record(life, "heart_rate", minute, minute + 1)
        yield {**record, "value": round(float(value), 1), "uncertainty": uncertainty, "quality": 0.95}


def _spans(life: Life) -> Iterator[dict[str, Any]]:
    awake = ~life.in_bed & life.worn
    for start, end in _runs(np.where(awake, life.label, -1)):
        if not awake[start]:
            continue
        record = _record(life, "activity", start, end)
        yield {**record, "value": LABELS[life.label[start]], "quality": 0.9, "data": {"probability": 0.9}}
    for start, end in _runs(life.worn.astype(np.int64)):
        if not life.worn[start]:
            yield _record(life, "not_worn", start, end)


def _steps(life: Life) -> Iterator[dict[str, Any]]:
    for start, end in _runs(np.arange(len(life)) // 60):
        total = int(life.steps[start:end].sum())
        if total:
            yield {**_record(life, "steps", start, end), "value": float(total)}


def _nights(life: Life) -> Iterator[dict[str, Any]]:
    for night, rmssd in zip(life.nights, life.rmssd_ms, strict=True):
        rng = np.random.default_rng((night.first_min, len(night.hypnogram)))
        data = {**figures(night.hypnogram), "movement": movement(night.hypnogram, rng)}
        asleep_min = data["light_min"] + data["deep_min"] + data["rem_min"]
        record = _record(life, "sleep", night.first_min, night.last_min)
        yield {**record, "value": asleep_min, "quality": 0.9, "data": data}
        yield {**_record(life, "rmssd", night.first_min, night.last_min), "value": round(rmssd, 1), "quality": 0.9}


def _days(life: Life) -> Iterator[dict[str, Any]]:
    for start, end in _runs(life.local_days()):
        night = life.heart_rate_bpm[start:end][life.in_bed[start:end]]
        night = night[np.isfinite(night)]
        if night.size >= 120:
            # The mean of the night's lowest half hour.
            rest = float(np.sort(night)[:30].mean())
            yield {**_record(life, "resting_heart_rate", start, end), "value": round(rest, 1), "quality": 0.9}
        label = life.label[start:end]
        moderate = int(np.isin(label, (WALK, CYCLE)).sum())
        vigorous = int((label == RUN).sum())
        data = {"moderate": moderate, "vigorous": vigorous}
        record = _record(life, "active_minutes", start, end)
        yield {**record, "value": float(moderate + 2 * vigorous), "data": data}


def _runs(values: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each stretch of equal values."""
    edges = np.flatnonzero(np.diff(values)) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), values.size], strict=True)


def _record(life: Life, kind: str, start_min: float, end_min: float) -> dict[str, Any]:
    start, end = _text(life, start_min), _text(life, end_min)
    return {
        "client_record_id": str(uuid.uuid5(_IDS, f"{kind}/{start}")),
        "client_record_version": 1,
        "kind": kind,
        "start": start,
        "end": end,
        "utc_offset_s": int(life.utc_offset_s[min(int(start_min), len(life) - 1)]),
        "recording_method": "automatic",
    }


def _text(life: Life, minute: float) -> str:
    moment = life.start + timedelta(minutes=minute)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Daily figures from what is stored: heart at rest, active minutes, energy, where no client said them itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from pipelines.insights.context import MODERATE_RESERVE, Minutes
from pipelines.insights.energy import met_minutes
from pipelines.insights.zones import minutes_at, peak_bpm
from services.store.aggregate import MINUTE_US, fixed_buckets
from services.store.records import Record

# Resting heart rate: the lowest mean of half an hour, asleep where there is sleep, else still and awake.
REST_WINDOW_MIN = 30
# Fewer minutes of heart rate than this say nothing about rest.
REST_LEAST_MIN = 120
# Heart-rate reserve from which a minute is vigorous (ACSM's Guidelines for Exercise Testing, 11th ed.).
VIGOROUS_RESERVE = 0.60
_STILL = frozenset({"", "still", "eat"})
_MOVING = frozenset({"walk", "run", "stairs", "cycle", "sport"})


def resting_heart_rate(conn: Connection, user_id: int, nights: Sequence[Record], minutes: Minutes) -> float | None:
    """
    Return the lowest half-hour mean of heart rate in BPM: of the nights that end on this day, else of still minutes.

    None with fewer than `REST_LEAST_MIN` minutes to look at.
    """
    asleep = np.concatenate([_minute_means(conn, user_id, night) for night in nights] or [np.empty(0)])
    found = _lowest_mean(asleep)
    if found is not None:
        return found
    still = np.isin(np.asarray(minutes.activity, dtype=object), list(_STILL))
    return _lowest_mean(np.where(still, minutes.hr_bpm, np.nan))


def active_minutes(minutes: Minutes, resting_bpm: float, max_bpm: float) -> tuple[int, int]:
    """
    Return (moderate, vigorous) minutes of a day.

    A moving minute is moderate by its heart rate (40 % of the reserve) or, without one, when it is more than a walk;
    running and sport are vigorous by their heart rate (60 %), or without one, running only.
    """
    activity = np.asarray(minutes.activity, dtype=object)
    reserve = (minutes.hr_bpm - resting_bpm) / (max_bpm - resting_bpm)
    known, moving = np.isfinite(reserve), np.isin(activity, list(_MOVING))
    vigorous = moving & np.where(known, reserve >= VIGOROUS_RESERVE, activity == "run")
    brisk = np.isin(activity, ["run", "stairs", "cycle", "sport"])
    moderate = moving & ~vigorous & np.where(known, reserve >= MODERATE_RESERVE, brisk)
    return int(moderate.sum()), int(vigorous.sum())


def effort(minutes: Minutes) -> tuple[float, dict[str, Any]]:
    """
    Return (MET-minutes, data) of a day: ``minutes`` of each activity, and those of which nothing is known.

    A worn minute without an activity counts as sitting; one off the wrist counts nowhere, and is told.
    """
    activity = np.where(minutes.asleep, "asleep", np.asarray(minutes.activity, dtype=object))
    activity[(activity == "") & minutes.worn] = "still"
    counted = Counter(str(a) for a in activity[minutes.worn])
    known = {name: int(n) for name, n in sorted(counted.items())}
    return round(met_minutes(known), 1), {"minutes": known, "unknown_min": int((~minutes.worn).sum())}


def heart_minutes(minutes: Minutes) -> tuple[float, dict[str, Any]]:
    """Return (minutes with a heart rate, data) of a day: the minutes at each BPM, and the peak that was held."""
    at = minutes_at(minutes.hr_bpm)
    peak = peak_bpm(minutes.hr_bpm)
    data = {"minutes": {str(bpm): n for bpm, n in at.items()}, "peak_bpm": None if peak is None else round(peak, 1)}
    return float(sum(at.values())), data


def _minute_means(conn: Connection, user_id: int, night: Record) -> NDArray[np.float64]:
    n = int((night.end_us - night.start_us) // MINUTE_US) + 1
    means = np.full(n, np.nan)
    for bucket in fixed_buckets(conn, user_id, "heart_rate", night.start_us, night.end_us, MINUTE_US):
        place = (bucket.start_us - night.start_us) // MINUTE_US
        if 0 <= place < n:
            means[place] = bucket.mean
    return means


def _lowest_mean(bpm: NDArray[np.float64]) -> float | None:
    known = np.isfinite(bpm)
    if known.sum() < REST_LEAST_MIN:
        return None
    window = np.ones(REST_WINDOW_MIN)
    total = np.convolve(np.where(known, bpm, 0.0), window, "valid")
    count = np.convolve(known.astype(float), window, "valid")
    enough = count >= 0.8 * REST_WINDOW_MIN
    return float((total[enough] / count[enough]).min()) if enough.any() else None

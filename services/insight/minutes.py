"""A local day, minute by minute, from what is stored: activity, heart rate, worn, asleep."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from pipelines.insights.context import Minutes
from services.insight.days import DAY_US
from services.store.records import Record, between
from services.store.store import now_us

MINUTE_US = 60_000_000
KINDS = ("heart_rate", "activity", "sleep", "not_worn")


def minutes_of(conn: Connection, user_id: int, start_us: int) -> Minutes | None:
    """
    Return the minutes from `start_us` to the last one that anything is known of, at most a day; None for an empty day.
    """
    # A night that ends today began yesterday.
    found = [r for r in between(conn, user_id, KINDS, start_us - DAY_US, start_us + DAY_US) if r.end_us > start_us]
    if not found:
        return None
    n = int(np.ceil((min(max(r.end_us for r in found), start_us + DAY_US, now_us()) - start_us) / MINUTE_US))
    if n <= 0:
        return None
    by_kind = {kind: [r for r in found if r.kind == kind] for kind in KINDS}
    hr = _heart_rate(by_kind["heart_rate"], start_us, n)
    activity = np.full(n, "", dtype=object)
    for record in by_kind["activity"]:
        activity[_rows(record, start_us, n)] = str(record.data.get("value", ""))
    asleep = _covered(by_kind["sleep"], start_us, n)
    known = np.isfinite(hr) | (activity != "") | asleep
    worn = known & ~_covered(by_kind["not_worn"], start_us, n)
    return Minutes(list(activity), hr, worn, asleep)


def _rows(record: Record, start_us: int, n: int) -> slice:
    first = max(0, (record.start_us - start_us) // MINUTE_US)
    return slice(first, min(n, -(-(record.end_us - start_us) // MINUTE_US)))


def _covered(records: Iterable[Record], start_us: int, n: int) -> NDArray[np.bool_]:
    mask = np.zeros(n, bool)
    for record in records:
        mask[_rows(record, start_us, n)] = True
    return mask


def _heart_rate(records: Iterable[Record], start_us: int, n: int) -> NDArray[np.float64]:
    total, count = np.zeros(n), np.zeros(n)
    for record in records:
        row = (record.start_us - start_us) // MINUTE_US
        if record.value is not None and 0 <= row < n:
            total[row] += record.value
            count[row] += 1
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return mean

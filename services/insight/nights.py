"""The night's record from its stages: one `sleep` record a period, in place of two thousand epochs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from pipelines.sleep.night import NightReport, sleep_periods, summarise_night
from pipelines.sleep.stages import FROM_LABEL, Stage
from services.store.records import Record, between

STAGE_KIND = "sleep_stage"
EPOCH_US = 30_000_000
HALF_DAY_US = 43_200_000_000
# Of the report's keys, those that are the record's own members.
_MEMBERS = frozenset({"start", "end", "utc_offset_s", "tst_min"})


def nights_of(conn: Connection, user_id: int, midnight_us: int) -> list[NightReport]:
    """Return the periods of sleep, longest first, between noon before and noon after a local midnight."""
    first = midnight_us - HALF_DAY_US
    stages = between(conn, user_id, [STAGE_KIND], first, midnight_us + HALF_DAY_US)
    if not stages:
        return []
    codes = np.full(2 * HALF_DAY_US // EPOCH_US, Stage.UNDEFINED, np.int8)
    for record in stages:
        codes[(record.start_us - first) // EPOCH_US] = FROM_LABEL.get(str(record.data.get("value")), Stage.UNDEFINED)
    offset = stages[-1].utc_offset_s
    # The grid of the records, not of the clock: the first one says how far an epoch lies off it.
    zero = first + (stages[0].start_us - first) % EPOCH_US
    return [
        summarise_night(codes[a:b], dt.datetime.fromtimestamp((zero + a * EPOCH_US) / 1e6, dt.UTC), offset)
        for a, b in sleep_periods(codes)
    ]


def figures_of(report: NightReport) -> tuple[float, dict[str, object]]:
    """Return (minutes asleep, `data`) of a report's record, as docs/records.md has them."""
    return report.figures.tst_min, {k: v for k, v in report.to_dict().items() if k not in _MEMBERS}


def overlaps(report: NightReport, said: Sequence[Record]) -> bool:
    """Return whether a client has said something of the same time: what it says stands."""
    start, end = (int(t.timestamp() * 1e6) for t in (report.start, report.end))
    return any(r.start_us < end and r.end_us > start for r in said)

"""Records added up: by minute, hour and local day; overlapping sources merged, never dropped."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from services.store.records import Record
from services.store.tables import records

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Bucket:
    """A span of time with what the values in it come to."""

    start_us: int
    end_us: int
    mean: float
    low: float
    high: float
    count: int
    date: dt.date | None = None


@dataclass(frozen=True)
class _Part:
    start_us: int
    utc_offset_s: int
    total: float
    low: float
    high: float
    count: int


def fixed_buckets(conn: Connection, user_id: int, kind: str, start_us: int, end_us: int, width_us: int) -> list[Bucket]:
    """Return the buckets of `width_us` that hold a value."""
    merged: dict[int, list[_Part]] = {}
    for part in _parts(conn, user_id, kind, start_us, end_us, width_us):
        merged.setdefault(part.start_us, []).append(part)
    return [_join(parts, start, start + width_us) for start, parts in sorted(merged.items())]


def day_buckets(
    conn: Connection, user_id: int, kind: str, start_us: int, end_us: int, zone: ZoneInfo | None
) -> list[Bucket]:
    """
    Return one bucket a local day: of `zone`, or of the wearer's own clock where `zone` is None.

    A day is as long as it was (23 to 25 h when clocks change); on the wearer's own clock a day of travel holds all
    that happened on it, so none is lost by flying west.
    """
    # A quarter of an hour divides every zone's offset, so no part straddles a local midnight.
    merged: dict[dt.date, list[_Part]] = {}
    for part in _parts(conn, user_id, kind, start_us, end_us, 15 * MINUTE_US):
        merged.setdefault(local_date(part.start_us, part.utc_offset_s, zone), []).append(part)
    found = []
    for date, parts in sorted(merged.items()):
        first, last = parts[0], parts[-1]
        span = day_span(date, first.utc_offset_s, last.utc_offset_s, zone)
        found.append(_join(parts, *span, date))
    return found


def local_date(us: int, utc_offset_s: int, zone: ZoneInfo | None = None) -> dt.date:
    """Return the date on the wearer's clock, or in `zone`."""
    moment = EPOCH + dt.timedelta(microseconds=us)
    return (moment.astimezone(zone) if zone else moment + dt.timedelta(seconds=utc_offset_s)).date()


def day_span(date: dt.date, first_offset_s: int, last_offset_s: int, zone: ZoneInfo | None) -> tuple[int, int]:
    """Return the UTC span of a local day."""
    midnight = dt.datetime.combine(date, dt.time())
    following = midnight + dt.timedelta(days=1)
    if zone is not None:
        return _us(midnight.replace(tzinfo=zone)), _us(following.replace(tzinfo=zone))
    return (
        _us(midnight.replace(tzinfo=dt.UTC)) - first_offset_s * 1_000_000,
        _us(following.replace(tzinfo=dt.UTC)) - last_offset_s * 1_000_000,
    )


def _us(moment: dt.datetime) -> int:
    delta = moment.astimezone(dt.UTC) - EPOCH
    return (delta.days * 86400 + delta.seconds) * 1_000_000


def _parts(conn: Connection, user_id: int, kind: str, start_us: int, end_us: int, width_us: int) -> list[_Part]:
    # The bucket floors towards the past before 1970, too: SQL's % keeps the sign of the dividend.
    rest = (records.c.start_us % width_us + width_us) % width_us
    bucket = (records.c.start_us - rest).label("bucket")
    value = records.c.value
    query = (
        select(bucket, records.c.utc_offset_s, func.sum(value), func.min(value), func.max(value), func.count())
        .where(records.c.user_id == user_id, records.c.kind == kind, records.c.deleted.is_(False))
        .where(records.c.start_us >= start_us, records.c.start_us < end_us, value.is_not(None))
        .group_by(bucket, records.c.utc_offset_s)
        .order_by(bucket, records.c.utc_offset_s)
    )
    return [_Part(int(b), int(o), float(t), float(lo), float(hi), int(n)) for b, o, t, lo, hi, n in conn.execute(query)]


def grid_means(conn: Connection, user_id: int, kind: str, start_us: int, n: int, width_us: int) -> list[float | None]:
    """Return the mean of `kind` in each of `n` spans of `width_us` from `start_us` on; None where there is none."""
    since = records.c.start_us - start_us
    place = (since - since % width_us).label("place")
    query = (
        select(place, func.avg(records.c.value))
        .where(records.c.user_id == user_id, records.c.kind == kind, records.c.deleted.is_(False))
        .where(records.c.start_us >= start_us, records.c.start_us < start_us + n * width_us)
        .where(records.c.value.is_not(None))
        .group_by(place)
    )
    means = {int(at) // width_us: float(mean) for at, mean in conn.execute(query)}
    return [means.get(k) for k in range(n)]


def _join(parts: Sequence[_Part], start_us: int, end_us: int, date: dt.date | None = None) -> Bucket:
    count = sum(p.count for p in parts)
    mean = sum(p.total for p in parts) / count
    return Bucket(start_us, end_us, mean, min(p.low for p in parts), max(p.high for p in parts), count, date)


def merged_total(found: Iterable[Record]) -> float:
    """
    Return the sum of a cumulative kind (steps) over records that may overlap.

    Where several sources cover the same time, the busiest of them counts for that stretch; where only one covers it,
    that one counts. No source is dropped as a whole.
    """
    rates = [
        (r.start_us, max(r.end_us, r.start_us + 1), (r.value or 0.0) / max(1, r.end_us - r.start_us), r.device_id)
        for r in found
    ]
    edges = sorted({edge for start, end, _, _ in rates for edge in (start, end)})
    starts = sorted(rates, key=lambda r: r[0])
    total, active, at = 0.0, [], 0
    for left, right in itertools.pairwise(edges):
        while at < len(starts) and starts[at][0] <= left:
            active.append(starts[at])
            at += 1
        active = [r for r in active if r[1] > left]
        by_device: dict[str | None, float] = {}
        for _, _, rate, device in active:
            by_device[device] = by_device.get(device, 0.0) + rate
        total += max(by_device.values(), default=0.0) * (right - left)
    return round(total, 3)

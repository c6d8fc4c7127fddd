"""Reads for people: series, nights, events and trends, on the wearer's clock or in a named time zone."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BeforeValidator, Field, WithJsonSchema
from sqlalchemy import Connection

from services.store import aggregate, records
from services.store.records import Record
from services.store.store import now_us
from services.sync.clientrecords import Kind, RecordBody, record_body
from services.sync.context import service, who
from services.sync.fields import Body, Instant, Reply, from_us, to_us
from services.sync.kinds import CUMULATIVE, DAILY, EVENTS
from services.sync.operation import operation
from services.sync.problems import Problem
from services.sync.wire import reply

blueprint = APIBlueprint("reads", __name__, abp_tags=[Tag(name="reads")])
DAY_S = 86_400
RAW_LIMIT = 5000
_WIDTHS = {"minute": aggregate.MINUTE_US, "hour": aggregate.HOUR_US}


def _zone(name: Any) -> Any:
    if name is None or isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a name of the IANA time zone data, such as Europe/Berlin") from error


Zone = Annotated[Any, BeforeValidator(_zone), WithJsonSchema({"type": "string", "maxLength": 64})]


class SpanQuery(Body):
    """A span of time, default the last day; without `tz` days are those of the wearer's own clock."""

    start: Annotated[Instant | None, Field(alias="from")] = None
    end: Annotated[Instant | None, Field(alias="to")] = None
    tz: Zone = None

    def span_us(self, days: int) -> tuple[int, int]:
        """Return the span in microseconds, `days` long where its start is not given."""
        end = to_us(self.end) if self.end else now_us() + 60_000_000
        start = to_us(self.start) if self.start else end - days * DAY_S * 1_000_000
        if start > end:
            raise Problem("invalid", "`from` lies after `to`; exchange them")
        return start, end


class SeriesQuery(SpanQuery):
    """Which span, and how fine."""

    resolution: Literal["raw", "minute", "hour", "day"] = "minute"


class KindPath(Body):
    """A kind of record."""

    kind: Kind


class Point(Reply):
    """A value, or what the values of a span come to."""

    start: dt.datetime
    end: dt.datetime
    value: float
    min: float
    max: float
    count: int
    date: dt.date | None = None


class Series(Reply):
    """Points in order of time; `next_from` goes on where a raw series was cut."""

    kind: str
    resolution: str
    points: list[Point]
    next_from: dt.datetime | None = None


class SleepQuery(SpanQuery):
    """Which span, and whether each hypnogram shall bring the heart rate that lies over it."""

    overlay: Literal["heart_rate"] | None = None


class Overlay(Reply):
    """A night's stages and heart rate on one grid of epochs, from the start of the sleep record on."""

    epoch_s: float
    hypnogram: str = Field(description="a letter an epoch: W, L, D, R, or ? for unknown")
    heart_rate: list[float | None] = Field(description="mean of each epoch in BPM; null where there is none")


class Night(Reply):
    """One night: the sleep that ends on `date`, and what other sources said of it."""

    date: dt.date
    sleep: RecordBody
    others: list[RecordBody]
    overlay: Overlay | None = None


class Nights(Reply):
    """Nights in order."""

    nights: list[Night]


class Events(Reply):
    """Events, newest first."""

    events: list[RecordBody]


class TrendDay(Reply):
    """One local day's figures; a kind that is absent was not measured."""

    date: dt.date
    values: dict[str, float]


class Trends(Reply):
    """Days in order."""

    days: list[TrendDay]


@operation(blueprint, "get", "/v1/series/<kind>", scopes=("companion", "watch"), reply=Series)
def get_series(path: KindPath, query: SeriesQuery) -> Response:
    """Read a kind over time"""
    user_id, store = who().user_id, service().store
    start, end = query.span_us(1)
    body: dict[str, Any] = {"kind": path.kind, "resolution": query.resolution, "points": []}
    if query.resolution == "raw":
        found = store.read(lambda c: records.between(c, user_id, [path.kind], start, end, RAW_LIMIT + 1))
        body["points"] = [_raw_point(r) for r in found[:RAW_LIMIT] if r.value is not None]
        if len(found) > RAW_LIMIT:
            body["next_from"] = from_us(found[RAW_LIMIT].start_us)
        return reply(body)
    if query.resolution == "day":
        buckets = store.read(lambda c: aggregate.day_buckets(c, user_id, path.kind, start, end, query.tz))
    else:
        width = _WIDTHS[query.resolution]
        buckets = store.read(lambda c: aggregate.fixed_buckets(c, user_id, path.kind, start, end, width))
    body["points"] = [_point(b) for b in buckets]
    if path.kind in CUMULATIVE:
        found = store.read(lambda c: records.between(c, user_id, [path.kind], start, end))
        for point, bucket in zip(body["points"], buckets, strict=True):
            point["value"] = aggregate.merged_total(r for r in found if bucket.start_us <= r.start_us < bucket.end_us)
    return reply(body)


def _raw_point(record: Record) -> dict[str, Any]:
    return {
        "start": from_us(record.start_us), "end": from_us(record.end_us), "value": record.value,
        "min": record.value, "max": record.value, "count": 1,
    }  # fmt: skip


def _point(bucket: aggregate.Bucket) -> dict[str, Any]:
    point = {
        "start": from_us(bucket.start_us), "end": from_us(bucket.end_us), "value": round(bucket.mean, 3),
        "min": bucket.low, "max": bucket.high, "count": bucket.count,
    }  # fmt: skip
    return point if bucket.date is None else {**point, "date": bucket.date.isoformat()}


@operation(blueprint, "get", "/v1/sleep", scopes=("companion", "watch"), reply=Nights)
def get_sleep(query: SleepQuery) -> Response:
    """Read nights"""
    user_id, store = who().user_id, service().store
    start, end = query.span_us(7)
    found = store.read(lambda c: records.between(c, user_id, ["sleep"], start, end))
    entries = nights(found, query.tz)
    if query.overlay is not None:
        mine = {record_body(r)["id"]: r for r in found}
        for entry in entries:
            record = mine[entry["sleep"]["id"]]
            entry["overlay"] = store.read(lambda c, r=record: _overlay(c, user_id, r))  # type: ignore[misc]
    return reply({"nights": entries})


def _overlay(conn: Connection, user_id: int, night: Record) -> dict[str, Any] | None:
    """Return the heart rate over a night's hypnogram; None for a night without stages."""
    stages = str(night.data.get("hypnogram") or "")
    if not stages or night.end_us <= night.start_us:
        return None
    width_us = (night.end_us - night.start_us) // len(stages)
    means = aggregate.grid_means(conn, user_id, "heart_rate", night.start_us, len(stages), max(1, width_us))
    rates = [None if mean is None else round(mean, 1) for mean in means]
    return {"epoch_s": width_us / 1e6, "hypnogram": stages, "heart_rate": rates}


def nights(found: list[Record], zone: ZoneInfo | None) -> list[dict[str, Any]]:
    """
    Return one entry a night. Records that overlap speak of one sleep: the longest stands, the others beside it.

    A night is named after the day on which it ends, on the clock that the wearer had then.
    """
    groups: list[list[Record]] = []
    for record in sorted(found, key=lambda r: (r.start_us, r.id)):
        if groups and record.start_us < max(r.end_us for r in groups[-1]):
            groups[-1].append(record)
        else:
            groups.append([record])
    entries = []
    for group in groups:
        ranked = sorted(group, key=lambda r: (r.start_us - r.end_us, r.id))
        date = aggregate.local_date(ranked[0].end_us, ranked[0].utc_offset_s, zone)
        entries.append(
            {
                "date": date.isoformat(), "sleep": record_body(ranked[0]),
                "others": [record_body(r) for r in ranked[1:]],
            }
        )  # fmt: skip
    return entries


@operation(blueprint, "get", "/v1/events", scopes=("companion", "watch", "caregiver"), reply=Events)
def get_events(query: SpanQuery) -> Response:
    """Read events: falls, irregular rhythm"""
    user_id = who().user_id
    start, end = query.span_us(30)
    found = service().store.read(lambda c: records.between(c, user_id, EVENTS, start, end))
    return reply({"events": [record_body(r) for r in reversed(found)]})


@operation(blueprint, "get", "/v1/trends", scopes=("companion",), reply=Trends)
def get_trends(query: SpanQuery) -> Response:
    """Read each day's figures"""
    user_id, store = who().user_id, service().store
    start, end = query.span_us(30)
    days: dict[dt.date, dict[str, float]] = {}
    for bucket in store.read(lambda c: aggregate.day_buckets(c, user_id, "heart_rate", start, end, query.tz)):
        if bucket.date is not None:
            days.setdefault(bucket.date, {})["heart_rate"] = round(bucket.mean, 2)
    found = store.read(lambda c: records.between(c, user_id, DAILY, start, end))
    by_day: dict[tuple[dt.date, str], list[Record]] = {}
    for record in found:
        # A day's figure belongs to the day on which it ends: a night to its morning, a whole day to itself.
        date = aggregate.local_date(max(record.start_us, record.end_us - 1), record.utc_offset_s, query.tz)
        by_day.setdefault((date, record.kind), []).append(record)
    for (date, kind), group in by_day.items():
        values = [r.value for r in group if r.value is not None]
        if values:
            total = aggregate.merged_total(group) if kind in CUMULATIVE else values[-1]
            days.setdefault(date, {})[kind] = round(total, 3)
    return reply({"days": [{"date": d.isoformat(), "values": days[d]} for d in sorted(days)]})

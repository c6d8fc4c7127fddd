"""`GET /v1/variability`: RMSSD beside SDNN, over the same beats, in the five minutes of the standard."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import asdict
from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from services.store import records
from services.store.records import Record
from services.sync.context import service, who
from services.sync.fields import Reply, from_us
from services.sync.operation import operation
from services.sync.reads import SpanQuery
from services.sync.wire import reply

blueprint = APIBlueprint("variability", __name__, abp_tags=[Tag(name="reads")])
KIND = "beats"
SPAN_US = 300_000_000
# Blocks of beats that are read at once: eight days at 24 s each.
LIMIT = 30_000


class Variability(Reply):
    """
    One span of five minutes. Each figure is of the same normal-to-normal intervals, and null where those are too few.

    RMSSD and SDNN measure different things, and neither stands in for the other.
    """

    start: dt.datetime
    end: dt.datetime
    device_id: str | None
    n: int = Field(description="intervals used")
    clean: float = Field(description="share of the intervals that were kept")
    mean_bpm: float | None
    rmssd_ms: float | None
    sdnn_ms: float | None
    pnn50: float | None
    lf_hf: float | None


class Variabilities(Reply):
    """Spans in which a beat was seen, in order; `next_from` goes on where the answer was cut."""

    spans: list[Variability]
    next_from: dt.datetime | None = None


@operation(blueprint, "get", "/v1/variability", scopes=("companion", "watch"), reply=Variabilities)
def get_variability(query: SpanQuery) -> Response:
    """Read heart-rate variability from beats"""
    user_id = who().user_id
    start, end = query.span_us(1)
    found = service().store.read(lambda c: records.between(c, user_id, [KIND], start, end, LIMIT + 1))
    body: dict[str, Any] = {}
    if len(found) > LIMIT:
        # The last span may go on beyond what was read: leave it to the next question.
        cut = found[LIMIT].start_us // SPAN_US * SPAN_US
        body["next_from"], found = from_us(cut), [r for r in found if r.start_us < cut]
    body["spans"] = spans(found)
    return reply(body)


def spans(found: list[Record]) -> list[dict[str, Any]]:
    """Return each device's five-minute spans (of UTC), with the variability of the beats in them."""
    import numpy as np

    from pipelines.hrv import variability

    def place(record: Record) -> tuple[int, str]:
        return record.start_us // SPAN_US, record.device_id or ""

    answer = []
    for (number, device), group in itertools.groupby(sorted(found, key=lambda r: (*place(r), r.start_us)), place):
        # Seconds of the boot's clock; after a reboot they begin again, and no interval spans that.
        times = [float(t) for record in group for t in record.data.get("times_s") or ()]
        figures = {k: v if v is None else round(v, 4) for k, v in asdict(variability(np.asarray(times))).items()}
        start = number * SPAN_US
        answer.append(
            {"start": from_us(start), "end": from_us(start + SPAN_US), "device_id": device or None, **figures}
        )
    return answer

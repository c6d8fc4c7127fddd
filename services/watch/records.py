"""Estimates made on the wrist become records: events at once, numbers as one value a minute."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from services.watch.clock import WatchClock
from services.watch.inference import WristEstimate

_RECORDS = uuid.UUID("5b9f3d0c-3f0a-4d4b-9f55-6a6f2c1f7a42")
MINUTE_S = 60.0


def rfc3339(moment: datetime) -> str:
    """Return an aware UTC time with milliseconds and Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RecordMaker:
    """
    Collects estimates of one watch until a record is due.

    Parameters
    ----------
    device : str
        Name of the watch; record ids follow from it, the kind and the span, so that a repetition is no new record.

    Notes
    -----
    A record a minute instead of an estimate every 2 s is what makes edge mode small: some 5 bytes a second.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._open: dict[tuple[str, str, int], list[WristEstimate]] = {}
        self._versions: dict[str, int] = {}

    def take(self, found: Sequence[WristEstimate], clock: WatchClock, now_s: float) -> list[dict[str, Any]]:
        """Return the records that are due at device time `now_s`."""
        due = []
        for item in found:
            value = item.estimate.value
            if isinstance(value, (int, float)) or item.estimate.kind == "activity":
                minute = int(item.estimate.start_s // MINUTE_S)
                self._open.setdefault((item.estimate.kind, item.boot_id, minute), []).append(item)
            elif value is not None:
                due.append(self._event(item, clock, now_s))
        boot_s = clock.monotonic_us(now_s) / 1e6
        over = [k for k in self._open if k[1] != clock.boot_id or (k[2] + 1) * MINUTE_S <= boot_s]
        return due + [self._minute(key, self._open.pop(key), clock, now_s) for key in over]

    def _event(self, item: WristEstimate, clock: WatchClock, now_s: float) -> dict[str, Any]:
        estimate = item.estimate
        body = self._body(item, estimate.start_s, estimate.end_s, clock, now_s)
        # What is said of the same span again is a later decision: a higher version of the same record.
        record_id = body["client_record_id"]
        self._versions[record_id] = body["client_record_version"] = self._versions.get(record_id, 0) + 1
        data = {**estimate.extras, **body["data"]}
        if "impact_s" in data:
            data["impact"] = rfc3339(_wall(clock, now_s, float(data.pop("impact_s"))))
        quality = round(float(estimate.quality), 3)
        return {**body, "value": estimate.value, "quality": quality, "data": data}

    def _minute(
        self, key: tuple[str, str, int], items: list[WristEstimate], clock: WatchClock, now_s: float
    ) -> dict[str, Any]:
        start_s = key[2] * MINUTE_S
        body = self._body(items[0], start_s, start_s + MINUTE_S, clock, now_s)
        estimates = [i.estimate for i in items if i.estimate.value is not None]
        body["quality"] = round(float(np.mean([e.quality for e in estimates])), 3) if estimates else 0.0
        if estimates and isinstance(estimates[0].value, str):
            labels = [str(e.value) for e in estimates]
            body["data"] |= {"n": len(labels)}
            return {**body, "value": max(sorted(set(labels)), key=labels.count)}
        values = [float(e.value) for e in estimates if e.value is not None]
        uncertain = [e.uncertainty for e in estimates if e.uncertainty is not None]
        if uncertain:
            body["uncertainty"] = round(float(np.median(uncertain)), 2)
        body["data"] |= {"n": len(values)}
        return {**body, "value": round(float(np.median(values)), 2) if values else None}

    def _body(
        self, item: WristEstimate, start_s: float, end_s: float, clock: WatchClock, now_s: float
    ) -> dict[str, Any]:
        span = f"{self._device}/{item.boot_id}/{item.estimate.kind}/{round(start_s * 1000)}"
        return {
            "client_record_id": str(uuid.uuid5(_RECORDS, span)),
            "client_record_version": 1,
            "kind": item.estimate.kind,
            "start": rfc3339(_wall(clock, now_s, start_s)),
            "end": rfc3339(_wall(clock, now_s, end_s)),
            "utc_offset_s": clock.utc_offset_s,
            "recording_method": "automatic",
            "data": {"task": item.task, "model_version": item.model_version},
        }


def _wall(clock: WatchClock, now_s: float, boot_s: float) -> datetime:
    """The wall clock of now, less what the monotonic clock says has passed since `boot_s` seconds after the boot."""
    now = clock.read(now_s)
    return now.wall - timedelta(seconds=now.monotonic_us / 1e6 - boot_s)

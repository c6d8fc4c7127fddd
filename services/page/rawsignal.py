"""The raw signal around an event and the movement of a night, from the chunks that are still kept."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from services.store import intake
from services.store.cipher import Cipher
from services.store.clock import Clock
from services.store.records import Record
from services.worker.assemble import assemble

BEFORE_US, AFTER_US = 5_000_000, 10_000_000
AXES = ("acc_x", "acc_y", "acc_z")
# Movement of a night is averaged over this.
MOVEMENT_S = 300


def motion_around(conn: Connection, user_id: int, record: Record, cipher: Cipher) -> NDArray[np.float32] | None:
    """
    Return the norm of the acceleration in g from 5 s before an event to 10 s after its start.

    None where no raw acceleration of the event's device is kept (edge mode, or retention has let it go).
    """
    if record.device_id is None:
        return None
    start, end = record.start_us - BEFORE_US, record.start_us + AFTER_US
    return _norm(conn, user_id, record.device_id, start, end, cipher)


def movement(conn: Connection, user_id: int, start_us: int, end_us: int, cipher: Cipher) -> list[float | None]:
    """
    Return the mean ENMO (what the norm exceeds 1 g by) in mg of each `MOVEMENT_S` of a span.

    None where a part has no raw acceleration; empty where the span has none at all.
    """
    devices = dict.fromkeys(row.device_id for row in intake.list_streams(conn, user_id))
    for device_id in devices:
        norm = _norm(conn, user_id, device_id, start_us, end_us, cipher)
        if norm is not None:
            n = max(1, round((end_us - start_us) / 1e6 / MOVEMENT_S))
            parts = [part[np.isfinite(part)] for part in np.array_split(norm, n)]
            return [float(1000 * np.maximum(p - 1.0, 0.0).mean()) if p.size else None for p in parts]
    return []


def _norm(
    conn: Connection, user_id: int, device_id: str, start_us: int, end_us: int, cipher: Cipher
) -> NDArray[np.float32] | None:
    """Return the norm of a device's acceleration over a span, NaN where it has holes; None where it has nothing."""
    streams = intake.list_streams(conn, user_id, device_id)
    for boot_id in dict.fromkeys(row.boot_id for row in streams):
        clock = intake.boot_clock(conn, user_id, device_id, boot_id)
        if clock is None:
            continue
        names = {row.stream_no: row.stream for row in streams if row.boot_id == boot_id}
        start, end = (_monotonic(clock, us) for us in (start_us, end_us))
        rows = intake.chunk_samples(conn, user_id, list(names), start, end)
        rates = {name: row.rate_hz for row in rows for name in json.loads(row.channels) if name in AXES}
        if set(rates) != set(AXES) or len(set(rates.values())) != 1:
            continue
        found = assemble(rows, names, rates, start, end, lambda row: intake.unpack(row, cipher))
        if set(found.channels) == set(AXES):
            axes = np.stack([found.channels[name].samples for name in AXES])
            norm: NDArray[np.float32] = np.sqrt((axes**2).sum(0))
            return norm
    return None


def _monotonic(clock: Clock, utc_us: int) -> int:
    """Return the boot's clock at a moment of UTC; the mapping is constant within a slot, so two steps are enough."""
    at = utc_us
    for _ in range(3):
        at = utc_us - clock.offset_us(at if at != utc_us else 0)
    return at

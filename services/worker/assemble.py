"""Stored chunks put together again: a `Recording` on the boot's own clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from data.recording import Channel, Recording
from services.store import intake
from services.store.cipher import Cipher
from services.worker.plan import Span


def spans_of(rows: Sequence[Row[Any]]) -> list[Span]:
    """Return the places of chunk rows."""
    return [Span(tuple(json.loads(r.channels)), r.rate_hz, r.t0_us, r.end_us) for r in rows]


def assemble(
    rows: Sequence[Row[Any]], names: Mapping[int, str], rates: Mapping[str, float], start_us: int, end_us: int,
    cipher: Cipher,
) -> Recording:  # fmt: skip
    """
    Return what `rows` hold of [start_us, end_us).

    Each sample goes to the nearest place of its channel's grid (k / rate since the boot), so it is moved by half a
    sample at most. Where chunks overlap, the one that starts first counts, then the stream's name: never the order
    of arrival. Nothing sensed: NaN. Chunks of another rate than `rates` says are of another run and left out.

    Parameters
    ----------
    names : mapping of int to str
        The streams' names by number, for that order.
    """
    ordered = sorted(rows, key=lambda r: (r.t0_us, names[r.stream_no], r.seq), reverse=True)
    grids: dict[str, tuple[int, NDArray[np.float32]]] = {}
    for name, rate in rates.items():
        first, last = _place(start_us, rate), _place(end_us, rate)
        grids[name] = (first, np.full(max(0, last - first), np.nan, np.float32))
    for row in ordered:
        wanted = [(i, c) for i, c in enumerate(json.loads(row.channels)) if rates.get(c) == row.rate_hz]
        if not wanted:
            continue
        samples = intake.unpack(row, cipher)
        for column, name in wanted:
            first, grid = grids[name]
            _lay(grid, _place(row.t0_us, row.rate_hz) - first, samples[:, column])
    channels = {
        name: Channel(name, rates[name], grid, t0_s=first / rates[name])
        for name, (first, grid) in grids.items()
        if grid.size and not np.isnan(grid).all()
    }
    return Recording("stream", "stream", channels)


def _place(time_us: int, rate_hz: float) -> int:
    return round(time_us * rate_hz / 1e6)


def _lay(grid: NDArray[np.float32], at: int, samples: NDArray[np.float32]) -> None:
    first, last = max(0, at), min(grid.size, at + samples.size)
    if first < last:
        grid[first:last] = samples[first - at : last - at]

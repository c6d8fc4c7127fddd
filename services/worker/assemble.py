"""Stored chunks put together again: a `Recording` on the boot's own clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from data.recording import Channel, Recording
from services.store import intake
from services.store.store import Store
from services.worker.plan import Span


def spans_of(rows: Sequence[Row[Any]]) -> list[Span]:
    """Return the places of chunk rows."""
    return [Span(tuple(json.loads(r.channels)), r.rate_hz, r.t0_us, r.end_us, bool(r.kept)) for r in rows]


class Samples:
    """
    The samples of one boot, as several tasks ask for them: each chunk is read and unpacked once.

    Each read is a transaction of its own, over before anything is computed: SQLite cannot begin its log anew while
    somebody reads, and under a day of samples the log would grow as long as the day.

    Parameters
    ----------
    store : Store
    user_id : int
    streams : mapping of int to str
        The streams' names by number.
    """

    def __init__(self, store: Store, user_id: int, streams: Mapping[int, str]) -> None:
        self._store, self._user_id, self._streams = store, user_id, streams
        self._span = (0, 0)
        self._rows: list[Row[Any]] = []
        self._unpacked: dict[tuple[int, int], NDArray[np.float32]] = {}

    def fetch(self, start_us: int, end_us: int) -> None:
        """Read the chunks of [start_us, end_us), and let go of what was read before."""
        numbers = list(self._streams)
        self._rows = self._store.read(lambda c: intake.chunk_samples(c, self._user_id, numbers, start_us, end_us))
        self._span, self._unpacked = (start_us, end_us), {}

    def forget(self) -> None:
        """Let go of what was read."""
        self._span, self._rows, self._unpacked = (0, 0), [], {}

    def recording(self, rates: Mapping[str, float], start_us: int, end_us: int) -> Recording:
        """Return what is stored of [start_us, end_us); see `assemble`."""
        if start_us < self._span[0] or end_us > self._span[1]:
            self.fetch(start_us, end_us)
        rows = [r for r in self._rows if r.t0_us < end_us and r.end_us > start_us]
        return assemble(rows, self._streams, rates, start_us, end_us, self._unpack)

    def _unpack(self, row: Row[Any]) -> NDArray[np.float32]:
        key = (row.stream_no, row.seq)
        if key not in self._unpacked:
            self._unpacked[key] = intake.unpack(row, self._store.cipher)
        return self._unpacked[key]


def assemble(
    rows: Sequence[Row[Any]], names: Mapping[int, str], rates: Mapping[str, float], start_us: int, end_us: int,
    unpack: Callable[[Row[Any]], NDArray[np.float32]],
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
    unpack : callable
        Returns the physical samples of a row, shape (n, n_channels).
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
        samples = unpack(row)
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

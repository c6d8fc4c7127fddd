"""
Which windows a boot's samples allow, cut into units of work. Pure: the plan depends on the set of chunks alone.

A *run* is a stretch in which every required channel is there at one rate, with no gap longer than `GAP_US`; a
decoder goes along a run and starts fresh at the next. A *unit* is the part of a run in one block of ten minutes of the
boot's clock; the decoder's state is kept at the end of each unit, so that late samples cost one unit, not the boot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipelines.task import WindowSpec

GAP_US = 30_000_000
BLOCK_US = 600_000_000
_EPS = 1e-6


@dataclass(frozen=True)
class Span:
    """One chunk's place: its channels, rate, and [start, end) on the boot's clock; `kept`: its samples are there."""

    channels: tuple[str, ...]
    rate_hz: float
    start_us: int
    end_us: int
    kept: bool = True


@dataclass(frozen=True)
class Run:
    """A stretch [start, end) in which `rates` holds for each channel."""

    start_us: int
    end_us: int
    rates: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """
    Windows [first, last) of one run in one block; `fresh` where the run begins with it.

    `frozen`: its samples are no longer kept, so what was computed stands.
    """

    first: int
    last: int
    fresh: bool
    rates: dict[str, float] = field(default_factory=dict)
    frozen: bool = False


def plan_runs(spans: Iterable[Span], required: frozenset[str], wanted: frozenset[str]) -> list[Run]:
    """Return the runs of a task that `required` some channels and can use those `wanted`."""
    ordered = sorted(spans, key=lambda s: (s.start_us, s.end_us, s.channels))
    covers = {name: _cover(ordered, name) for name in sorted(wanted)}
    runs: list[Run] | None = None
    for name in sorted(required):
        runs = covers[name] if runs is None else _intersect(runs, covers[name])
    if runs is None:  # nothing is required: any wanted channel will do
        runs = _union(covers.values())
    for name in sorted(wanted - required):
        runs = _cut(runs, covers[name], name)
    return runs


def _cover(spans: Sequence[Span], name: str) -> list[Run]:
    runs: list[Run] = []
    for span in spans:
        if name not in span.channels:
            continue
        last = runs[-1] if runs else None
        if last and span.start_us <= last.end_us + GAP_US and last.rates[name] == span.rate_hz:
            runs[-1] = Run(last.start_us, max(last.end_us, span.end_us), last.rates)
        else:
            # At another rate it begins a run of its own, from where the last one ends.
            start = max(span.start_us, last.end_us) if last else span.start_us
            if start < span.end_us:
                runs.append(Run(start, span.end_us, {name: span.rate_hz}))
    return runs


def _intersect(left: Sequence[Run], right: Sequence[Run]) -> list[Run]:
    found = []
    for a in left:
        for b in right:
            start, end = max(a.start_us, b.start_us), min(a.end_us, b.end_us)
            if start < end:
                found.append(Run(start, end, a.rates | b.rates))
    return found


def _union(covers: Iterable[Sequence[Run]]) -> list[Run]:
    merged: list[Run] = []
    for run in sorted((r for cover in covers for r in cover), key=lambda r: (r.start_us, r.end_us)):
        if merged and run.start_us <= merged[-1].end_us + GAP_US:
            last = merged[-1]
            merged[-1] = Run(last.start_us, max(last.end_us, run.end_us))
        else:
            merged.append(Run(run.start_us, run.end_us))
    return merged


def _cut(runs: Sequence[Run], cover: Sequence[Run], name: str) -> list[Run]:
    """Cut `runs` where an optional channel changes its rate; where it is absent they go on without it."""
    found = []
    for run in runs:
        inside = [c for c in cover if c.start_us < run.end_us and c.end_us > run.start_us]
        rest = run
        for before, after in itertools.pairwise(inside):
            if before.rates[name] != after.rates[name]:
                found.append(Run(rest.start_us, after.start_us, rest.rates | before.rates))
                rest = Run(after.start_us, run.end_us, run.rates)
        found.append(Run(rest.start_us, rest.end_us, rest.rates | (inside[-1].rates if inside else {})))
    return found


def plan_nights(runs: Sequence[Run], window: WindowSpec, cuts_us: Sequence[int]) -> list[Unit]:
    """
    Return one unit for each part of a run between two of `cuts_us` (the wearer's noons), each with a fresh decoder.

    For networks whose state cannot be saved: a day from noon to noon is computed as one, the night in its middle.
    """
    units: list[Unit] = []
    edges = [math.ceil(cut / 1e6 / window.step_s - _EPS) for cut in sorted(cuts_us)]
    for run in runs:
        first = max(0, math.ceil(run.start_us / 1e6 / window.step_s - _EPS))
        last = window.count(run.end_us / 1e6)
        inside = [first, *(e for e in edges if first < e < last), last]
        units += [Unit(a, b, True, run.rates) for a, b in itertools.pairwise(inside) if a < b]
    return units


def plan_units(runs: Sequence[Run], window: WindowSpec, horizon_us: int) -> list[Unit]:
    """Return the units of `runs` from the block that begins at `horizon_us`."""
    units: list[Unit] = []
    for run in runs:
        first = max(0, math.ceil(run.start_us / 1e6 / window.step_s - _EPS))
        last = window.count(run.end_us / 1e6)
        if last <= first:
            continue
        fresh = True
        while first < last:
            block = block_of(first, window)
            following = min(last, first_window(block + 1, window))
            if block * BLOCK_US >= horizon_us:
                units.append(Unit(first, following, fresh, run.rates))
            first, fresh = following, False
    return units


def block_of(index: int, window: WindowSpec) -> int:
    """Return the block in which window `index` starts."""
    return math.floor(index * window.step_s * 1e6 / BLOCK_US + _EPS)


def first_window(block: int, window: WindowSpec) -> int:
    """Return the first window that starts in `block`."""
    return math.ceil(block * BLOCK_US / 1e6 / window.step_s - _EPS)


def first_touched(time_us: int, window: WindowSpec) -> int:
    """Return the first window that sees samples at or after `time_us`."""
    return max(0, math.floor((time_us / 1e6 - window.length_s) / window.step_s + _EPS) + 1)


def last_touched(time_us: int, window: WindowSpec) -> int:
    """Return the last window that sees, directly or as context, samples before `time_us`."""
    return math.ceil((time_us / 1e6 + window.context_s) / window.step_s - _EPS) - 1

"""One task along one boot: what is stale, computed again, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from sqlalchemy import Connection

from data.recording import Recording
from pipelines.task import Estimate, Windows, WindowSpec
from services.store import intake, progress
from services.store.clock import Clock
from services.store.progress import Chain, UnitRow
from services.store.store import Store
from services.worker.assemble import Samples, spans_of
from services.worker.engine import Ability
from services.worker.plan import (
    BLOCK_US,
    GAP_US,
    Span,
    Unit,
    first_touched,
    first_window,
    last_touched,
    plan_nights,
    plan_runs,
    plan_units,
)  # fmt: skip

_END_US = 2**62
# A night is prepared in pieces, so that memory holds a few hours of its samples at most.
_PIECE_S = 2 * 3600.0


@dataclass(frozen=True)
class Boot:
    """One boot of one device, as the worker finds it."""

    user_id: int
    device_id: str
    boot_id: str
    clock: Clock
    streams: Mapping[int, str]  # number: name

    @cached_property
    def clock_text(self) -> str:
        """The clock as text, the same for the same clock."""
        return json.dumps([self.clock.anchors, self.clock.zones], separators=(",", ":"))


@dataclass(frozen=True)
class UnitResult:
    """What one unit says now. `append`: only added to what is stored."""

    row: UnitRow
    estimates: Sequence[Estimate]
    append: bool


@dataclass
class TaskResult:
    """What one task says of a part of a boot, ready to be written; `whole`: nothing more is to come."""

    ability: Ability
    chain: Chain | None
    units: list[UnitResult] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    whole: bool = True


@dataclass(frozen=True)
class Stale:
    """Windows [first, last] that changed samples or a changed clock touch."""

    first: int
    last: int

    def touches(self, unit: Unit) -> bool:
        """Return whether any window of `unit` is stale."""
        return self.first < unit.last and self.last >= unit.first


class Reader(Protocol):
    """Gives samples; see `assemble.Samples.recording`."""

    def __call__(self, rates: Mapping[str, float], start_us: int, end_us: int) -> Recording:
        """Return what is stored of [start_us, end_us) on the boot's clock."""
        ...


class Walk:
    """Goes along the units of one task: leaves them, adds to them, or computes them again."""

    def __init__(
        self, boot: Boot, ability: Ability, chain: Chain | None, units: Sequence[Unit], stored: Sequence[UnitRow],
        stale: Stale,
    ) -> None:  # fmt: skip
        self._boot, self._ability, self._chain = boot, ability, chain
        self._units, self._stale = units, stale
        self._by_first = {row.first: row for row in stored}
        self._ends = {row.last: row for row in stored}
        planned = {unit.first for unit in units}
        start = units[0].first if units else 0
        self._dropped = [row.first for row in stored if row.first not in planned and row.first >= start]
        self._at = 0
        self._dirty = False  # the decoder enters the next unit in another state than when that was computed
        self._previous: UnitRow | None = None

    @property
    def window(self) -> WindowSpec:
        """The task's windows."""
        return self._ability.task.window

    def pending(self) -> Unit | None:
        """Return what is to be computed next; None if all stands."""
        self._pass_standing()
        return self._part(self._units[self._at])[0] if self._at < len(self._units) else None

    def advance(self, read: Reader, limit_s: float) -> TaskResult:
        """Compute what is stale of the units that begin before `limit_s`."""
        result = TaskResult(self._ability, self._chain)
        while self.pending() is not None:
            unit = self._units[self._at]
            if unit.first * self.window.step_s >= limit_s:
                result.whole = False
                return result
            result.units.append(self._compute(unit, read))
        result.dropped = self._dropped
        return result

    def _pass_standing(self) -> None:
        while self._at < len(self._units):
            unit = self._units[self._at]
            row = self._by_first.get(unit.first)
            if unit.fresh:
                self._dirty = False
            if unit.frozen and (row is None or row.last >= unit.last):
                self._previous, self._dirty = row, False
            elif row is not None and not self._dirty and row.last == unit.last and not self._stale.touches(unit):
                self._previous = row
            else:
                return
            self._at += 1

    def _part(self, unit: Unit) -> tuple[Unit, UnitRow | None]:
        """Return what is to be computed of `unit`, and after which state: its end if all before stands, else all."""
        row = self._by_first.get(unit.first)
        if row is not None and not self._dirty and row.model_version == self._ability.version:
            goes_on = unit.frozen or row.last <= min(self._stale.first, unit.last)
            if goes_on and not self._ability.sequence:
                return replace(unit, first=row.last, fresh=False), row
        return unit, None if unit.fresh else (self._previous or self._ends.get(unit.first))

    def _compute(self, unit: Unit, read: Reader) -> UnitResult:
        part, entry = self._part(unit)
        ability = self._ability
        decoder = ability.decoder()
        if entry is not None and entry.model_version == ability.version and not ability.sequence:
            decoder.restore(json.loads(entry.state))
        windows = load_windows(read, ability, part)
        estimates = list(decoder.update(ability.predict(windows), windows)) if len(windows) else []
        if ability.sequence:
            estimates += decoder.finish()
        state = json.dumps(decoder.state(), sort_keys=True, separators=(",", ":"))
        now, row = UnitRow(unit.first, part.last, ability.version, state), self._by_first.get(unit.first)
        self._dirty = row is None or row.last != now.last or row.state != now.state
        self._previous = now
        self._at += 1
        return UnitResult(now, estimates, append=part.first != unit.first)


class BootWalk:
    """All tasks along one boot side by side, so that memory holds a slice of it and each chunk is unpacked once."""

    def __init__(self, store: Store, boot: Boot, walks: Sequence[Walk]) -> None:
        self.boot = boot
        self._walks = list(walks)
        self._samples = Samples(store, boot.user_id, boot.streams)

    def advance(self, slice_s: float) -> tuple[list[TaskResult], bool]:
        """Compute the next slice; return what each task says of it, and whether nothing is left."""
        parts = [(part, walk.window) for walk in self._walks if (part := walk.pending()) is not None]
        limit_s = min((part.first * window.step_s for part, window in parts), default=0.0) + slice_s
        if parts:
            # One read for all tasks; who needs more than that reads alone.
            seen = [_seen_us(part, window) for part, window in parts]
            until_us = round((limit_s + BLOCK_US / 1e6) * 1e6)
            self._samples.fetch(min(start for start, _ in seen), until_us)
        results = [walk.advance(self._samples.recording, limit_s) for walk in self._walks]
        self._walks = [walk for walk, result in zip(self._walks, results, strict=True) if not result.whole]
        self._samples.forget()
        return results, not self._walks


def plan_walks(conn: Connection, boot: Boot, abilities: Sequence[Ability], touched: tuple[int, int]) -> list[Walk]:
    """Plan what is stale of each task."""
    chains = progress.chains_of(conn, boot.user_id, boot.device_id, boot.boot_id)
    stale = {a.task.name: _stale_us(boot, chains.get(a.task.name), touched) for a in abilities}
    horizons = {a.task.name: _horizon(boot, a, stale[a.task.name][0]) for a in abilities}
    wanted = [a for a in abilities if stale[a.task.name][0] <= stale[a.task.name][1]]
    lowest = min((horizons[a.task.name][0] for a in wanted), default=0)
    spans = spans_of(intake.chunk_spans(conn, boot.user_id, list(boot.streams), max(0, lowest - 2 * GAP_US)))
    walks = []
    for ability in abilities:
        name = ability.task.name
        chain, (start_us, end_us) = chains.get(name), stale[name]
        if start_us > end_us:
            walks.append(Walk(boot, ability, chain, [], [], Stale(0, -1)))
            continue
        horizon, cuts = horizons[name]
        seen = [span for span in spans if span.end_us > horizon - 2 * GAP_US]
        units, origin = _plan(ability, seen, horizon, cuts)
        stored = progress.units_from(conn, boot.user_id, chain.chain_no, origin) if chain is not None else []
        window = ability.task.window
        touched_windows = Stale(first_touched(start_us, window), last_touched(end_us, window))
        walks.append(Walk(boot, ability, chain, thaw(units, seen, window), stored, touched_windows))
    return walks


def _stale_us(boot: Boot, chain: Chain | None, touched: tuple[int, int]) -> tuple[int, int]:
    """Return the span of the boot's clock that is stale for a task; empty (from above to) if nothing is."""
    # Never computed before (a boot that waited for its clock, a new task): everything is stale.
    start_us, end_us = touched if chain is not None else (0, _END_US)
    if chain is not None and chain.clock != boot.clock_text:
        moved = boot.clock.first_difference_us(read_clock(chain.clock)) if chain.clock else 0
        if moved is not None:
            return min(start_us, moved), _END_US
    return start_us, end_us


def _horizon(boot: Boot, ability: Ability, start_us: int) -> tuple[int, list[int]]:
    """Return from where a task is planned if all is stale from `start_us`, and the noons that cut it."""
    # Samples that come late can join two runs across a gap: look back as far as a gap may be.
    reach = max(0, start_us - GAP_US - round(ability.task.window.length_s * 1e6))
    if not ability.sequence or start_us >= _END_US:
        return reach // BLOCK_US * BLOCK_US, []
    cuts = boot.clock.noons(reach)
    return cuts[0], cuts


def _plan(ability: Ability, spans: Sequence[Span], horizon: int, cuts: Sequence[int]) -> tuple[list[Unit], int]:
    """Return the units from `horizon` on, and the first window that they may begin with."""
    window = ability.task.window
    runs = plan_runs(spans, ability.required, ability.wanted)
    if not ability.sequence:
        return plan_units(runs, window, horizon), first_window(horizon // BLOCK_US, window)
    origin = math.ceil(horizon / 1e6 / window.step_s - 1e-6)
    return [u for u in plan_nights(runs, window, cuts) if u.first >= origin], origin


def thaw(units: Sequence[Unit], spans: Sequence[Span], window: WindowSpec) -> list[Unit]:
    """Mark the units whose samples retention has let go: what was computed of them stands for ever."""
    gone = [(span.start_us / 1e6, span.end_us / 1e6) for span in spans if not span.kept]
    if not gone:
        return list(units)
    found = []
    for unit in units:
        start = unit.first * window.step_s - window.context_s
        end = (unit.last - 1) * window.step_s + window.length_s
        found.append(replace(unit, frozen=any(a < end and b > start for a, b in gone)))
    return found


def load_windows(read: Reader, ability: Ability, part: Unit) -> Windows:
    """Prepare windows [part.first, part.last) from the stored chunks, a piece at a time."""
    window, task = ability.task.window, ability.task
    each = max(1, round(_PIECE_S / window.step_s))
    pieces = []
    for first in range(part.first, max(part.last, part.first + 1), each):
        piece = Unit(first, min(part.last, first + each), False)
        pieces.append(task.prepare(read(part.rates, *_seen_us(piece, window)), (piece.first, piece.last)))
    return pieces[0] if len(pieces) == 1 else _joined(pieces)


def _joined(pieces: Sequence[Windows]) -> Windows:
    one = pieces[0]
    return Windows(
        {name: np.concatenate([p.inputs[name] for p in pieces]) for name in one.inputs},
        np.concatenate([p.start_s for p in pieces]), np.concatenate([p.end_s for p in pieces]),
        np.concatenate([p.quality for p in pieces]),
        {name: np.concatenate([p.extras[name] for p in pieces]) for name in one.extras},
    )  # fmt: skip


def _seen_us(part: Unit, window: WindowSpec) -> tuple[int, int]:
    """Return the span of samples that windows [part.first, part.last) see, in us."""
    start_us = max(0, round((part.first * window.step_s - window.context_s) * 1e6))
    return start_us, round(((part.last - 1) * window.step_s + window.length_s) * 1e6)


def read_clock(text: str) -> Clock:
    """Return the clock in `Boot.clock_text`."""
    anchors, zones = json.loads(text)
    return Clock(tuple((int(a), int(b)) for a, b in anchors), tuple((int(a), int(b)) for a, b in zones))

"""One task along one boot: what is stale, computed again, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row

from pipelines.task import Estimate, Windows, WindowSpec
from services.store import intake, progress, records
from services.store.cipher import Cipher
from services.store.clock import Clock
from services.store.progress import UnitRow
from services.store.records import Record
from services.worker.assemble import assemble, spans_of
from services.worker.engine import Ability
from services.worker.plan import (
    BLOCK_US,
    GAP_US,
    Unit,
    first_touched,
    first_window,
    last_touched,
    plan_nights,
    plan_runs,
    plan_units,
)  # fmt: skip

_END_US = 2**62


@dataclass(frozen=True)
class Boot:
    """One boot of one device, as the worker finds it."""

    user_id: int
    device_id: str
    boot_id: str
    clock: Clock
    streams: Mapping[int, str]  # number: name
    cipher: Cipher


@dataclass(frozen=True)
class UnitResult:
    """What one unit says now. `append`: only added to what is stored."""

    row: UnitRow
    estimates: Sequence[Estimate]
    append: bool


@dataclass
class TaskResult:
    """What one task says of a boot, ready to be written."""

    ability: Ability
    units: list[UnitResult] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Stale:
    """Windows [first, last] that changed samples or a changed clock touch."""

    first: int
    last: int

    def touches(self, unit: Unit) -> bool:
        """Return whether any window of `unit` is stale."""
        return self.first < unit.last and self.last >= unit.first


def compute_task(conn: Connection, boot: Boot, ability: Ability, touched: tuple[int, int]) -> TaskResult:
    """Compute what is stale of one task, reading from `conn`."""
    chain = progress.find_chain(conn, boot.user_id, boot.device_id, boot.boot_id, ability.task.name)
    # Never computed before (a boot that waited for its clock, a new task): everything is stale.
    start_us, end_us = touched if chain is not None else (0, _END_US)
    if chain is not None and chain.clock != clock_text(boot.clock):
        moved = boot.clock.first_difference_us(read_clock(chain.clock)) if chain.clock else 0
        if moved is not None:
            start_us, end_us = min(start_us, moved), _END_US
    if start_us > end_us:
        return TaskResult(ability)
    window = ability.task.window
    # Samples that come late can join two runs across a gap: look back as far as a gap may be.
    reach = max(0, start_us - GAP_US - round(window.length_s * 1e6))
    cuts = boot.clock.noons(reach) if ability.sequence else []
    horizon = cuts[0] if ability.sequence else reach // BLOCK_US * BLOCK_US
    spans = intake.chunk_spans(conn, boot.user_id, list(boot.streams), max(0, horizon - 2 * GAP_US))
    runs = plan_runs(spans_of(spans), ability.required, ability.wanted)
    if ability.sequence:
        origin = math.ceil(horizon / 1e6 / window.step_s - 1e-6)
        units = [u for u in plan_nights(runs, window, cuts) if u.first >= origin]
    else:
        origin = first_window(horizon // BLOCK_US, window)
        units = plan_units(runs, window, horizon)
    stale = Stale(first_touched(start_us, window), last_touched(end_us, window))
    stored = progress.units_from(conn, boot.user_id, chain.chain_no, origin) if chain is not None else []
    return _walk(conn, boot, ability, thaw(units, spans, window), stored, stale)


def thaw(units: Sequence[Unit], spans: Sequence[Row[Any]], window: WindowSpec) -> list[Unit]:
    """Mark the units whose samples retention has let go: what was computed of them stands for ever."""
    gone = [(row.t0_us / 1e6, row.end_us / 1e6) for row in spans if not row.kept]
    if not gone:
        return list(units)
    found = []
    for unit in units:
        start = unit.first * window.step_s - window.context_s
        end = (unit.last - 1) * window.step_s + window.length_s
        found.append(replace(unit, frozen=any(a < end and b > start for a, b in gone)))
    return found


def _walk(
    conn: Connection, boot: Boot, ability: Ability, units: Sequence[Unit], stored: Sequence[UnitRow], stale: Stale
) -> TaskResult:
    """Go along the units: keep, append to, or compute again."""
    result = TaskResult(ability)
    by_first = {row.first: row for row in stored}
    ends = {row.last: row for row in stored}
    dirty = False  # the decoder enters the next unit in another state than when that was computed
    previous: UnitRow | None = None
    for unit in units:
        if unit.fresh:
            dirty, entry = False, None
        else:
            entry = previous or ends.get(unit.first)
        row = by_first.get(unit.first)
        if unit.frozen and (row is None or row.last >= unit.last):
            previous, dirty = row, False
            continue
        if row is not None and not dirty and row.last == unit.last and not stale.touches(unit):
            previous = row
            continue
        usable = row is not None and not dirty and row.model_version == ability.version and not ability.sequence
        if row is not None and usable and (unit.frozen or row.last <= min(stale.first, unit.last)):
            outcome = _run(conn, boot, ability, Unit(row.last, unit.last, False, unit.rates), row, unit.first)
        else:
            outcome = _run(conn, boot, ability, unit, entry, unit.first)
        result.units.append(outcome)
        dirty = row is None or row.last != outcome.row.last or row.state != outcome.row.state
        previous = outcome.row
    planned = {unit.first for unit in units}
    start = units[0].first if units else 0
    result.dropped = [row.first for row in stored if row.first not in planned and row.first >= start]
    return result


def _run(conn: Connection, boot: Boot, ability: Ability, part: Unit, entry: UnitRow | None, first: int) -> UnitResult:
    """Compute windows [part.first, part.last) from the state in `entry`; `first` names the unit."""
    decoder = ability.decoder()
    if entry is not None and entry.model_version == ability.version and not ability.sequence:
        decoder.restore(json.loads(entry.state))
    windows = load_windows(conn, boot, ability, part)
    estimates = list(decoder.update(ability.predict(windows), windows)) if len(windows) else []
    if ability.sequence:
        estimates += decoder.finish()
    state = json.dumps(decoder.state(), sort_keys=True, separators=(",", ":"))
    return UnitResult(UnitRow(first, part.last, ability.version, state), estimates, append=part.first != first)


def load_windows(conn: Connection, boot: Boot, ability: Ability, part: Unit) -> Windows:
    """Prepare windows [part.first, part.last) from the stored chunks."""
    window = ability.task.window
    start_us = max(0, round((part.first * window.step_s - window.context_s) * 1e6))
    end_us = round(((part.last - 1) * window.step_s + window.length_s) * 1e6)
    rows: list[Row[Any]] = intake.chunk_samples(conn, boot.user_id, list(boot.streams), start_us, end_us)
    recording = assemble(rows, boot.streams, part.rates, start_us, end_us, boot.cipher)
    return ability.task.prepare(recording, (part.first, part.last))


def write_task(conn: Connection, boot: Boot, result: TaskResult) -> int:
    """Write what a task says, in the caller's transaction that has locked the user; return how many records changed."""
    name = result.ability.task.name
    chain = progress.open_chain(conn, boot.user_id, boot.device_id, boot.boot_id, name)
    changed = 0
    for unit in result.units:
        wanted = [r for e in unit.estimates if (r := _record(boot, result.ability, chain.chain_no, unit, e))]
        span = (unit.row.first, unit.row.first)
        # Two estimates of one span: the later decision stands, as it would after a recomputation.
        final = list({r.id: r for r in wanted}.values())
        changed += records.replace_units(conn, boot.user_id, chain.chain_no, span, final, unit.append)
    for first in result.dropped:
        changed += records.replace_units(conn, boot.user_id, chain.chain_no, (first, first), [], False)
    progress.put_units(conn, boot.user_id, chain.chain_no, [u.row for u in result.units])
    progress.drop_units(conn, boot.user_id, chain.chain_no, result.dropped)
    if chain.clock != clock_text(boot.clock):
        progress.set_clock(conn, boot.user_id, chain.chain_no, clock_text(boot.clock))
    return changed


def _record(boot: Boot, ability: Ability, chain_no: int, unit: UnitResult, estimate: Estimate) -> Record | None:
    if estimate.value is None:
        return None  # "cannot say" is the absence of a record
    start, end = round(estimate.start_s * 1e6), round(estimate.end_s * 1e6)
    start_us, end_us = boot.clock.utc_us(start), boot.clock.utc_us(end)
    data = dict(estimate.extras)
    number: float | None = None
    if isinstance(estimate.value, str):
        data["value"] = estimate.value
    else:
        number = round(float(estimate.value), 3)
    return Record(
        records.derived_id(boot.user_id, boot.device_id, ability.task.name, estimate.kind, start_us, end_us),
        estimate.kind, start_us, end_us, boot.clock.utc_offset_s(start), number, ability.task.name, data,
        _rounded(estimate.uncertainty), _rounded(estimate.quality), boot.device_id, ability.version,
        chain_no=chain_no, unit=unit.row.first,
    )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def clock_text(clock: Clock) -> str:
    """Return a clock as text, the same for the same clock."""
    return json.dumps([clock.anchors, clock.zones], separators=(",", ":"))


def read_clock(text: str) -> Clock:
    """Return the clock in `clock_text`'s text."""
    anchors, zones = json.loads(text)
    return Clock(tuple((int(a), int(b)) for a, b in anchors), tuple((int(a), int(b)) for a, b in zones))

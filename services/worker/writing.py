"""What was computed, written: records, units and the clock that placed them, of all tasks of a boot at once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from pipelines.task import Estimate
from services.store import progress, records
from services.store.progress import UnitRow
from services.store.records import Record
from services.worker.compute import Boot, TaskResult
from services.worker.engine import Ability


def write_results(conn: Connection, boot: Boot, results: Sequence[TaskResult]) -> int:
    """
    Write what tasks say of a boot, in the caller's transaction that has locked the user.

    Returns
    -------
    int
        How many records changed.
    """
    wanted: dict[bytes, Record] = {}
    whole: dict[int, list[int]] = {}
    computed: dict[int, list[UnitRow]] = {}
    for result in results:
        name = result.ability.task.name
        chain = result.chain or progress.chains_of(conn, boot.user_id, boot.device_id, boot.boot_id).get(name)
        chain = chain or progress.add_chain(conn, boot.user_id, boot.device_id, boot.boot_id, name)
        for unit in result.units:
            # Two estimates of one span: the later decision stands, as it would after a recomputation.
            found = [_record(boot, result.ability, chain.chain_no, unit.row.first, e) for e in unit.estimates]
            wanted |= {record.id: record for record in found if record is not None}
        stale = [unit.row.first for unit in result.units if not unit.append] + result.dropped
        if stale:
            whole[chain.chain_no] = stale
        computed[chain.chain_no] = [unit.row for unit in result.units]
        progress.drop_units(conn, boot.user_id, chain.chain_no, result.dropped)
        if result.whole and chain.clock != boot.clock_text:
            progress.set_clock(conn, boot.user_id, chain.chain_no, boot.clock_text)
    changed = records.replace_units(conn, boot.user_id, list(wanted.values()), whole)
    progress.put_units(conn, boot.user_id, computed)
    return changed


def _record(boot: Boot, ability: Ability, chain_no: int, unit: int, estimate: Estimate) -> Record | None:
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
        chain_no=chain_no, unit=unit,
    )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)

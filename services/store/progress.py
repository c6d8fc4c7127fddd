"""How far each task has come along each boot: chains, and the decoder's state at the end of each unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from services.store.sql import upsert
from services.store.tables import chains, units


@dataclass(frozen=True)
class Chain:
    """One task going along one boot of one device; `clock` is the mapping with which its records were placed."""

    chain_no: int
    clock: str


@dataclass(frozen=True)
class UnitRow:
    """What was computed: windows [first, last), and the decoder's state after them."""

    first: int
    last: int
    model_version: str
    state: str


def open_chain(conn: Connection, user_id: int, device_id: str, boot_id: str, task: str) -> Chain:
    """Return the chain, made if it is new. The user must be locked."""
    here = (
        (chains.c.user_id == user_id) & (chains.c.device_id == device_id)
        & (chains.c.boot_id == boot_id) & (chains.c.task == task)
    )  # fmt: skip
    row = conn.execute(select(chains.c.chain_no, chains.c.clock).where(here)).first()
    if row is not None:
        return Chain(row.chain_no, row.clock)
    number = 1 + (conn.execute(select(func.max(chains.c.chain_no)).where(chains.c.user_id == user_id)).scalar() or 0)
    conn.execute(
        insert(chains).values(
            user_id=user_id, chain_no=number, device_id=device_id, boot_id=boot_id, task=task, clock=""
        )
    )
    return Chain(number, "")


def find_chain(conn: Connection, user_id: int, device_id: str, boot_id: str, task: str) -> Chain | None:
    """Return the chain if there is one."""
    row = conn.execute(
        select(chains.c.chain_no, chains.c.clock).where(
            chains.c.user_id == user_id, chains.c.device_id == device_id, chains.c.boot_id == boot_id,
            chains.c.task == task,
        )
    ).first()  # fmt: skip
    return None if row is None else Chain(row.chain_no, row.clock)


def set_clock(conn: Connection, user_id: int, chain_no: int, clock: str) -> None:
    """Note the mapping with which the chain's records are placed now."""
    conn.execute(update(chains).where(chains.c.user_id == user_id, chains.c.chain_no == chain_no).values(clock=clock))


def units_from(conn: Connection, user_id: int, chain_no: int, first: int) -> list[UnitRow]:
    """Return the units that begin at window `first` or later, and the one that ends there, in order."""
    query = (
        select(units.c.first_window, units.c.last_window, units.c.model_version, units.c.state)
        .where(units.c.user_id == user_id, units.c.chain_no == chain_no)
        .order_by(units.c.first_window)
    )
    later = [UnitRow(*row) for row in conn.execute(query.where(units.c.first_window >= first))]
    before = conn.execute(
        query.where(units.c.first_window < first).order_by(None).order_by(units.c.first_window.desc()).limit(1)
    ).first()
    return ([UnitRow(*before)] if before is not None and before.last_window == first else []) + later


def put_units(conn: Connection, user_id: int, chain_no: int, rows: Sequence[UnitRow]) -> None:
    """Store what was computed."""
    upsert(
        conn, units,
        [
            {
                "user_id": user_id, "chain_no": chain_no, "first_window": r.first, "last_window": r.last,
                "model_version": r.model_version, "state": r.state,
            }
            for r in rows
        ],
        ["last_window", "model_version", "state"],
    )  # fmt: skip


def drop_units(conn: Connection, user_id: int, chain_no: int, firsts: Sequence[int]) -> None:
    """Forget units that the plan no longer has."""
    if firsts:
        conn.execute(
            delete(units).where(
                units.c.user_id == user_id, units.c.chain_no == chain_no, units.c.first_window.in_(firsts)
            )
        )

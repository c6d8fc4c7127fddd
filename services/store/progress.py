"""How far each task has come along each boot: chains, and the decoder's state at the end of each unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from services.store.sql import upsert
from services.store.tables import chains, units

# Built once: see `services.store.jobs`.
_OF_BOOT = select(chains.c.task, chains.c.chain_no, chains.c.clock).where(
    chains.c.user_id == bindparam("b_user"), chains.c.device_id == bindparam("b_device"),
    chains.c.boot_id == bindparam("b_boot"),
)  # fmt: skip
_LAST = select(func.max(chains.c.chain_no)).where(chains.c.user_id == bindparam("b_user"))
_ADD = insert(chains)
_CLOCK = update(chains).where(chains.c.user_id == bindparam("b_user"), chains.c.chain_no == bindparam("b_chain"))
_OF_CHAIN = (units.c.user_id == bindparam("b_user"), units.c.chain_no == bindparam("b_chain"))
# From the unit before `b_first` on, if there is one.
_FROM = (
    select(units.c.first_window, units.c.last_window, units.c.model_version, units.c.state)
    .where(
        *_OF_CHAIN,
        units.c.first_window >= func.coalesce(
            select(func.max(units.c.first_window)).where(*_OF_CHAIN, units.c.first_window < bindparam("b_first"))
            .scalar_subquery(),
            bindparam("b_first"),
        ),
    )
    .order_by(units.c.first_window)
)  # fmt: skip


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


def chains_of(conn: Connection, user_id: int, device_id: str, boot_id: str) -> dict[str, Chain]:
    """Return the chains of a boot by task."""
    rows = conn.execute(_OF_BOOT, {"b_user": user_id, "b_device": device_id, "b_boot": boot_id})
    return {row.task: Chain(row.chain_no, row.clock) for row in rows}


def add_chain(conn: Connection, user_id: int, device_id: str, boot_id: str, task: str) -> Chain:
    """Make a chain and return it. The user must be locked."""
    number = 1 + (conn.execute(_LAST, {"b_user": user_id}).scalar() or 0)
    values = {"user_id": user_id, "chain_no": number, "device_id": device_id, "boot_id": boot_id}
    conn.execute(_ADD, {**values, "task": task, "clock": ""})
    return Chain(number, "")


def set_clock(conn: Connection, user_id: int, chain_no: int, clock: str) -> None:
    """Note the mapping with which the chain's records are placed now."""
    conn.execute(_CLOCK, {"b_user": user_id, "b_chain": chain_no, "clock": clock})


def units_from(conn: Connection, user_id: int, chain_no: int, first: int) -> list[UnitRow]:
    """Return the units that begin at window `first` or later, and the one that ends there, in order."""
    rows = [UnitRow(*row) for row in conn.execute(_FROM, {"b_user": user_id, "b_chain": chain_no, "b_first": first})]
    return rows[1:] if rows and rows[0].first < first and rows[0].last != first else rows


def put_units(conn: Connection, user_id: int, found: Mapping[int, Sequence[UnitRow]]) -> None:
    """Store what was computed of each chain."""
    rows = [
        {
            "user_id": user_id, "chain_no": chain_no, "first_window": r.first, "last_window": r.last,
            "model_version": r.model_version, "state": r.state,
        }
        for chain_no, computed in found.items()
        for r in computed
    ]  # fmt: skip
    upsert(conn, units, rows, ("last_window", "model_version", "state"))


def drop_units(conn: Connection, user_id: int, chain_no: int, firsts: Sequence[int]) -> None:
    """Forget units that the plan no longer has."""
    if firsts:
        conn.execute(
            delete(units).where(
                units.c.user_id == user_id, units.c.chain_no == chain_no, units.c.first_window.in_(firsts)
            )
        )

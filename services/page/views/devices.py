"""*Devices*: each watch, what it runs and is offered, whether its data arrive whole, and what it keeps to itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, func, select

from services.page import queries
from services.page.wearer import Wearer
from services.store import accounts, intake, records
from services.store.clock import SLOT_US, Pair, fit_clock
from services.store.records import Record
from services.store.rollouts import rollouts, status_of
from services.store.tables import clock_pairs, quarantine
from services.store.tables import records as stored
from services.sync.context import service
from services.sync.problems import Problem

REQUEST, ANSWER = "raw_request", "raw_release"
ESTIMATES = ("heart_rate", "activity", "steps", "fall")
# What a watch in edge mode keeps of its raw signal; docs/mock-watch.md.
RAW_KEPT = dt.timedelta(hours=1)
REFUSALS_SHOWN, HOLES_SHOWN, REQUESTS_SHOWN = 3, 10, 3
# Over a shorter boot the grain of the readings hides what a crystal does.
DRIFT_LEAST_US = 6 * SLOT_US


@dataclass(frozen=True)
class Drift:
    """What the clock of a watch did: how fast it runs, over how long that was seen, and how often it was set."""

    ppm: float | None
    hours: float
    jumps: int


def view(conn: Connection, who: Wearer) -> list[dict[str, Any]]:
    """Return the wearer's devices, the paired ones first."""
    tasks = rollouts(conn, who.user_id)
    rows = sorted(accounts.list_devices(conn, who.user_id), key=lambda r: (r.revoked_us is not None, -r.created_us))
    return [
        {
            "device_id": row.device_id, "name": row.name, "model": row.model, "paired_us": row.created_us,
            "seen_us": row.seen_us, "revoked": row.revoked_us is not None, "status": status_of(row.status),
            "tasks": tasks.get(row.device_id, []), "drift": drift(_pairs(conn, who.user_id, row.device_id)),
            "requests": _requests(conn, who, row.device_id), **_arrived(conn, who, row.device_id),
        }
        for row in rows
    ]  # fmt: skip


def ask_raw(who: Wearer, device_id: str) -> str:
    """Ask a watch in edge mode for the raw signal of the last hour; return the key of what to say."""

    def ask(conn: Connection) -> bool:
        own = [r for r in accounts.list_devices(conn, who.user_id) if r.device_id == device_id and r.revoked_us is None]
        if not own:
            return False
        if status_of(own[0].status).get("edge") is not True:
            raise Problem("conflict", "this watch is not in edge mode: its raw signal is sent anyway; reload the page")
        # The hour up to what it last told of (a watch may be hours behind us); pressing twice asks once.
        last = _last_word(conn, who.user_id, device_id) or who.now_us
        end = -(-last // queries.MINUTE_US) * queries.MINUTE_US
        start = end - round(RAW_KEPT.total_seconds() * 1e6)
        ident = records.derived_id(who.user_id, device_id, REQUEST, REQUEST, start, end)
        asked = Record(ident, REQUEST, start, end, who.offset_s, None, "page", device_id=device_id)
        records.put(conn, who.user_id, [asked], records.by_id(conn, who.user_id, [ident]))
        return True

    return "raw_asked" if service().store.write(ask) else "no_such_device"


def _last_word(conn: Connection, user_id: int, device_id: str) -> int | None:
    """Return the end of the newest estimate that came from a device."""
    query = select(func.max(stored.c.end_us)).where(
        stored.c.user_id == user_id, stored.c.device_id == device_id, stored.c.kind.in_(ESTIMATES),
        stored.c.deleted.is_(False),
    )  # fmt: skip
    return conn.execute(query).scalar()


def drift(boots: Sequence[Sequence[Pair]]) -> Drift | None:
    """Return what the clock did over the longest boot; None before any reading came."""
    clocks = [(pairs, clock) for pairs in boots if (clock := fit_clock(pairs)) is not None]
    if not clocks:
        return None
    pairs, clock = max(clocks, key=lambda pc: pc[1].anchors[-1][0] - pc[1].anchors[0][0])
    (first, before), (last, after) = clock.anchors[0], clock.anchors[-1]
    span_us = (last - first) * SLOT_US
    slots = {p.monotonic_us // SLOT_US for p in pairs}
    ppm = (after - before) / span_us * 1e6 if span_us >= DRIFT_LEAST_US else None
    return Drift(ppm, span_us / 3.6e9, len(slots) - len(clock.anchors))


def _pairs(conn: Connection, user_id: int, device_id: str) -> list[list[Pair]]:
    c = clock_pairs.c
    query = select(c.boot_id, c.monotonic_us, c.wall_us, c.utc_offset_s).where(
        c.user_id == user_id, c.device_id == device_id
    )
    by_boot: dict[str, list[Pair]] = {}
    for boot_id, *pair in conn.execute(query):
        by_boot.setdefault(boot_id, []).append(Pair(*pair))
    return list(by_boot.values())


def _arrived(conn: Connection, who: Wearer, device_id: str) -> dict[str, Any]:
    """Return what came, the holes in it, and what was refused."""
    rows = intake.list_streams(conn, who.user_id, device_id)
    holes = [(row.stream, row.boot_id[:8], first, last) for row in rows for first, last in _holes(row.held)]
    here = (quarantine.c.user_id == who.user_id) & (quarantine.c.device_id == device_id)
    refused = conn.execute(
        select(quarantine.c.detail, quarantine.c.stream, quarantine.c.received_us)
        .where(here)
        .order_by(quarantine.c.received_us.desc())
        .limit(REFUSALS_SHOWN)
    ).all()
    return {
        "chunks": sum(last - first + 1 for row in rows for first, last in row.held),
        "streams": sorted({row.stream for row in rows}), "boots": len({row.boot_id for row in rows}),
        "missing": sum(last - first + 1 for *_, first, last in holes),
        "holes": [dict(zip(("stream", "boot", "first", "last"), hole, strict=True)) for hole in holes[:HOLES_SHOWN]],
        "refused": int(conn.execute(select(func.count()).select_from(quarantine).where(here)).scalar_one()),
        "refusals": [{"detail": r.detail, "stream": r.stream, "at": who.moment(r.received_us)} for r in refused],
    }  # fmt: skip


def _holes(held: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return [first, last] of each run of numbers that is lacking before what is held."""
    edges = [(-1, -1), *((int(first), int(last)) for first, last in held)]
    return [(before[1] + 1, after[0] - 1) for before, after in pairwise(edges) if after[0] > before[1] + 1]


def _requests(conn: Connection, who: Wearer, device_id: str) -> list[dict[str, Any]]:
    """Return the newest requests for raw signal and what came of them; None: the watch has not looked yet."""
    asked = [r for r in queries.latest(conn, who.user_id, [REQUEST], 20) if r.device_id == device_id][:REQUESTS_SHOWN]
    if not asked:
        return []
    answers = queries.latest(conn, who.user_id, [ANSWER], 100)
    let_go = {str(a.data.get("request")): a.value for a in answers if a.device_id == device_id}
    return [
        {
            "from": who.moment(r.start_us, r.utc_offset_s), "to": who.clock(r.end_us, r.utc_offset_s),
            "answered": r.id.hex() in let_go, "chunks": let_go.get(r.id.hex()),
        }
        for r in asked
    ]  # fmt: skip

"""Keeping a store in order: retention and down-sampling, purging tombstones and old logs, backups, recomputation."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, delete, func, select, update

from services.store import jobs, records
from services.store.accounts import lock_user
from services.store.aggregate import HOUR_US, MINUTE_US
from services.store.errors import StoreError
from services.store.intake import boot_clock, list_streams
from services.store.records import Record
from services.store.store import Store, now_us
from services.store.tables import audit, chains, chunks, clock_pairs, tokens, units, uploads, users
from services.store.tables import records as records_table

DAY_US = 86_400_000_000
_PAGE = 20_000
PROCESS = "process"


def user_ids(conn: Connection) -> list[int]:
    """Return every user's id."""
    return list(conn.execute(select(users.c.user_id)).scalars())


def let_samples_go(conn: Connection, user_id: int, before_us: int) -> int:
    """
    Drop samples sensed before a moment (UTC); what was computed of them stays, and so does the proof that they came.

    A boot that has no place in time yet is left alone.
    """
    lock_user(conn, user_id)
    gone = 0
    for stream in list_streams(conn, user_id):
        clock = boot_clock(conn, user_id, stream.device_id, stream.boot_id)
        if clock is None:
            continue
        limit = before_us - clock.offset_us(max(0, before_us - clock.offset_us(0)))
        gone += conn.execute(
            update(chunks)
            .where(chunks.c.user_id == user_id, chunks.c.stream_no == stream.stream_no)
            .where(chunks.c.end_us < limit, chunks.c.data.is_not(None))
            .values(data=None)
        ).rowcount
    return gone


def thin(conn: Connection, user_id: int, kinds: tuple[str, ...], before_us: int, width_us: int) -> int:
    """
    Replace estimates of `kinds` older than a moment by their means over `width_us`; return how many went.

    The means are records of their own (``data``: count, min, max, resolution_s), so the feed tells of them; the fine
    ones go without a tombstone, for a reader may keep what it has.
    """
    lock_user(conn, user_id)
    query = (
        select(records_table)
        .where(records_table.c.user_id == user_id, records_table.c.kind.in_(kinds))
        .where(records_table.c.deleted.is_(False), records_table.c.start_us < before_us // width_us * width_us)
        .where(records_table.c.end_us - records_table.c.start_us < width_us, records_table.c.source != "client")
        .where(records_table.c.value.is_not(None))
        .order_by(records_table.c.start_us)
        .limit(_PAGE)
    )
    found = [records.from_row(row) for row in conn.execute(query)]
    if len(found) == _PAGE:
        # The last bucket may go on beyond this page: leave it to the next.
        edge = found[-1].start_us // width_us
        found = [r for r in found if r.start_us // width_us < edge] or found
    groups: dict[tuple[str, str | None, str, int], list[Record]] = {}
    for record in found:
        groups.setdefault((record.kind, record.device_id, record.source, record.start_us // width_us), []).append(
            record
        )
    means = [_mean(user_id, group, width_us) for group in groups.values()]
    ids = [r.id for r in found]
    for at in range(0, len(ids), 500):
        conn.execute(
            delete(records_table).where(records_table.c.user_id == user_id, records_table.c.id.in_(ids[at : at + 500]))
        )
    records.put(conn, user_id, means, records.by_id(conn, user_id, [r.id for r in means]))
    return len(found)


def _mean(user_id: int, group: list[Record], width_us: int) -> Record:
    start = group[0].start_us // width_us * width_us
    counts = [int(r.data.get("count", 1)) for r in group]
    values = [r.value or 0.0 for r in group]
    total = sum(counts)
    first = group[0]
    record_id = records.derived_id(
        user_id, first.device_id or "", first.source, f"{first.kind}/{width_us}", start, start + width_us
    )
    return replace(
        first, id=record_id, start_us=start, end_us=start + width_us,
        value=round(sum(v * c for v, c in zip(values, counts, strict=True)) / total, 3),
        data={
            "count": total, "min": min(float(r.data.get("min", v)) for r, v in zip(group, values, strict=True)),
            "max": max(float(r.data.get("max", v)) for r, v in zip(group, values, strict=True)),
            "resolution_s": width_us // 1_000_000,
        },
        uncertainty=_average([r.uncertainty for r in group]), quality=_average([r.quality for r in group]),
        chain_no=None, unit=None,
    )  # fmt: skip


def _average(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(sum(known) / len(known), 3) if known else None


def purge(conn: Connection, user_id: int, tombstones_before_us: int, audit_before_us: int) -> int:
    """Drop old tombstones, audit entries, expired tokens and forgotten uploads; return how many tombstones went."""
    lock_user(conn, user_id)
    old = (
        (records_table.c.user_id == user_id) & records_table.c.deleted.is_(True)
        & (records_table.c.updated_us < tombstones_before_us)
    )  # fmt: skip
    newest = conn.execute(select(func.max(records_table.c.change_no)).where(old)).scalar()
    gone = conn.execute(delete(records_table).where(old)).rowcount
    if newest is not None:
        # A cursor before this may have missed a deletion: its reader must begin again (410).
        conn.execute(update(users).where(users.c.user_id == user_id).values(purged_change=newest))
    conn.execute(delete(audit).where(audit.c.user_id == user_id, audit.c.at_us < audit_before_us))
    conn.execute(delete(tokens).where(tokens.c.user_id == user_id, tokens.c.expires_us < now_us()))
    conn.execute(delete(uploads).where(uploads.c.user_id == user_id, uploads.c.created_us < now_us() - 7 * DAY_US))
    return gone


def retain(
    store: Store, *, raw_days: int, fine_days: int, tombstone_days: int, audit_days: int, kinds: tuple[str, ...]
) -> dict[str, int]:
    """Apply the retention to everybody, user by user and page by page, so that nobody waits long for it."""
    now = now_us()
    done = {"users": 0, "chunks": 0, "thinned": 0, "tombstones": 0}
    for user_id in store.read(user_ids):
        done["users"] += 1
        if raw_days:
            before = now - raw_days * DAY_US
            done["chunks"] += store.write(lambda c, u=user_id, b=before: let_samples_go(c, u, b))  # type: ignore[misc]
            done["thinned"] += _thin_all(store, user_id, kinds, before, MINUTE_US)
        if fine_days:
            done["thinned"] += _thin_all(store, user_id, kinds, now - fine_days * DAY_US, HOUR_US)
        marks = (now - tombstone_days * DAY_US, now - audit_days * DAY_US)
        done["tombstones"] += store.write(lambda c, u=user_id, m=marks: purge(c, u, *m))  # type: ignore[misc]
    return done


def _thin_all(store: Store, user_id: int, kinds: tuple[str, ...], before_us: int, width_us: int) -> int:
    total = 0
    while gone := store.write(lambda conn: thin(conn, user_id, kinds, before_us, width_us)):
        total += gone
    return total


def want_backfill(conn: Connection, task: str | None) -> int:
    """
    Ask for everything to be computed again, of one task or of all; return how many boots that concerns.

    Jobs of the table do the work, so it goes on where it stopped, beside what comes in, and `readyz` stays ready.
    """
    if task is not None:
        found = conn.execute(select(chains.c.user_id, chains.c.chain_no).where(chains.c.task == task)).all()
        for user_id, chain_no in found:
            # Units of no version are computed again whatever they hold.
            here = (units.c.user_id == user_id) & (units.c.chain_no == chain_no)
            conn.execute(update(units).where(here).values(model_version=""))
    boots = conn.execute(select(clock_pairs.c.user_id, clock_pairs.c.device_id, clock_pairs.c.boot_id).distinct()).all()
    for user_id, device_id, boot_id in boots:
        jobs.want(conn, user_id, PROCESS, f"{device_id}/{boot_id}", touched=(0, 2**61))
    return len(boots)


def back_up(store: Store, target: Path) -> None:
    """
    Copy an embedded store while it is being written to; the copy is whole, as of one moment.

    Raises
    ------
    StoreError
        For PostgreSQL, which has its own tools, or if `target` exists.
    """
    if store.path is None:
        raise StoreError("this store is on PostgreSQL; back it up with pg_dump or pg_basebackup")
    if target.exists():
        raise StoreError(f"{target} exists; name a file that does not")
    partial = target.with_name(target.name + ".part")
    source, copy = sqlite3.connect(store.path), sqlite3.connect(partial)
    try:
        source.backup(copy, pages=1024, sleep=0.01)
    finally:
        copy.close()
        source.close()
    partial.rename(target)

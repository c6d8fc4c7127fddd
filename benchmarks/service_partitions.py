"""
What partitions by time would bring on PostgreSQL: letting one day's samples go, and what it costs to write and read.

    python -m benchmarks.service_partitions

Two layouts hold the same 20 days of chunks. *In the row* is ours: the samples stand in the chunk's row, partitioned by
user; retention empties them and keeps identity and digest. *Beside* keeps the samples in a table of their own,
partitioned by day, so that retention drops a partition. docs/adr/0013-no-partitions-by-time.md reads the result.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.service_store import empty_store, write_result

RESULT = Path(__file__).parent / "results" / "service_partitions.json"
USERS, DAYS, CHUNKS_A_DAY, BYTES = 8, 20, 250, 6000
PARTS = 8
DAY_US = 86_400_000_000
READS = 2000
COMMAND = "python -m benchmarks.service_partitions"
_HEAD = (
    "user_id bigint, stream_no int, seq bigint, t0_us bigint, digest bytea, {column}, "
    "PRIMARY KEY (user_id, stream_no, seq)"
)


def in_the_row(conn: Any) -> None:
    """Make the layout in which a chunk's row holds its samples."""
    _hashed(conn, "chunks", _HEAD.format(column="data bytea"))


def beside(conn: Any) -> None:
    """Make the layout in which samples are a table by day."""
    _hashed(conn, "chunks", _HEAD.format(column="day int"))
    conn.execute(
        "CREATE TABLE samples (user_id bigint, stream_no int, seq bigint, day int, data bytea, "
        "PRIMARY KEY (day, user_id, stream_no, seq)) PARTITION BY RANGE (day)"
    )
    for day in range(DAYS):
        conn.execute(f"CREATE TABLE samples_{day} PARTITION OF samples FOR VALUES FROM ({day}) TO ({day + 1})")


def _hashed(conn: Any, name: str, columns: str) -> None:
    conn.execute(f"CREATE TABLE {name} ({columns}) PARTITION BY HASH (user_id)")
    for part in range(PARTS):
        conn.execute(
            f"CREATE TABLE {name}_p{part} PARTITION OF {name} FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
        )
    conn.execute(f"CREATE INDEX ON {name} (user_id, stream_no, t0_us)")


def fill(conn: Any, layout: str) -> float:
    """Store every chunk, a batch of two a transaction as a watch sends them; return microseconds a chunk."""
    began = time.perf_counter()
    for day in range(DAYS):
        for k in range(0, CHUNKS_A_DAY, 2):
            for user in range(USERS):
                with conn.transaction():
                    for seq in (day * CHUNKS_A_DAY + k, day * CHUNKS_A_DAY + k + 1):
                        put(conn, layout, user, seq, day)
    return (time.perf_counter() - began) * 1e6 / (DAYS * CHUNKS_A_DAY * USERS)


def put(conn: Any, layout: str, user: int, seq: int, day: int) -> None:
    """Store one chunk."""
    head = (user, 1, seq, seq * DAY_US // CHUNKS_A_DAY, os.urandom(32))
    data = os.urandom(BYTES)  # as good as compressed
    if layout == "in the row":
        conn.execute("INSERT INTO chunks VALUES (%s, %s, %s, %s, %s, %s)", (*head, data))
        return
    conn.execute("INSERT INTO chunks VALUES (%s, %s, %s, %s, %s, %s)", (*head, day))
    conn.execute("INSERT INTO samples VALUES (%s, %s, %s, %s, %s)", (user, 1, seq, day, data))


def read(conn: Any, layout: str) -> float:
    """Read two chunks by time, as the worker does, at many places; return microseconds a read."""
    query = "SELECT t0_us, data FROM chunks WHERE user_id = %s AND stream_no = 1 AND t0_us >= %s AND t0_us < %s"
    if layout == "beside":
        query = (
            "SELECT c.t0_us, s.data FROM chunks c JOIN samples s USING (user_id, stream_no, seq, day) "
            "WHERE c.user_id = %s AND c.stream_no = 1 AND c.t0_us >= %s AND c.t0_us < %s"
        )
    step = DAY_US // CHUNKS_A_DAY
    began = time.perf_counter()
    for k in range(READS):
        start = (k * 7919 % (DAYS * CHUNKS_A_DAY - 2)) * step
        assert len(conn.execute(query, (k % USERS, start, start + 2 * step)).fetchall()) == 2
    return (time.perf_counter() - began) * 1e6 / READS


def let_go(conn: Any, layout: str) -> dict[str, float]:
    """Let the first day's samples go; return seconds, and bytes of log and of disk."""
    before, size = _log(conn), _size(conn)
    began = time.perf_counter()
    with conn.transaction():
        if layout == "in the row":
            conn.execute("UPDATE chunks SET data = NULL WHERE t0_us < %s AND data IS NOT NULL", (DAY_US,))
        else:
            conn.execute("DROP TABLE samples_0")
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    conn.execute("VACUUM chunks")
    vacuum = time.perf_counter() - began
    return {
        "seconds": round(seconds, 4), "vacuum_seconds": round(vacuum, 4), "log_bytes": _log(conn) - before,
        "disk_bytes_given_back": size - _size(conn),
    }  # fmt: skip


def _log(conn: Any) -> int:
    return int(conn.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()[0])


def _size(conn: Any) -> int:
    return int(conn.execute("SELECT pg_database_size(current_database())").fetchone()[0])


def main() -> None:
    """Measure both layouts and write the result."""
    layouts = {"in the row": in_the_row, "beside": beside}
    found: dict[str, Any] = {}
    with empty_store("postgresql") as url:
        for layout, make in layouts.items():
            name = layout.replace(" ", "_")
            address = url.replace("postgresql+psycopg", "postgresql")
            with psycopg.connect(address, autocommit=True) as conn:
                conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            with psycopg.connect(address.replace("/bench?", f"/{name}?"), autocommit=True) as conn:
                conn.execute("SET synchronous_commit = off")  # what a sync takes would hide what a row takes
                make(conn)
                found[layout] = {
                    "write_us_a_chunk": round(fill(conn, layout), 1),
                    "read_us": round(read(conn, layout), 1),
                    "one_day_let_go": let_go(conn, layout),
                }  # fmt: skip
    row, by_day = found["in the row"], found["beside"]
    chunks = USERS * CHUNKS_A_DAY
    gone = [layout["one_day_let_go"]["seconds"] * 1e3 for layout in (by_day, row)]
    measured = (
        f"drop {gone[0]:.0f} ms against {gone[1]:.0f} ms for {chunks:,} chunks; "
        f"write {by_day['write_us_a_chunk'] / row['write_us_a_chunk'] - 1:+.0%}, "
        f"read {by_day['read_us'] / row['read_us'] - 1:+.0%}"
    )
    goal = {
        "goal": "samples partitioned by day on PostgreSQL: what a day's retention gains, what writing and reading lose",
        "target": "weighed in ADR 13", "measured": measured, "reached": None, "command": COMMAND,
    }  # fmt: skip
    write_result(RESULT.stem, {"chunks_a_day": chunks, "bytes_a_chunk": BYTES, "layouts": found, "goals": [goal]})


if __name__ == "__main__":
    main()

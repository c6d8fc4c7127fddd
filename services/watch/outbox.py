"""What the watch has sensed and the server has not yet acknowledged, kept through loss of power.

One SQLite file (or memory) holds the chunks, the records and the few values that must survive with them: which
boot this is, the next sequence numbers, how far was sensed, the tokens. They change together in one
transaction, so that a watch that is killed between two steps neither skips nor repeats a sequence number.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.watch.wire import Chunk

_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunk (
  boot_no INTEGER NOT NULL, boot_id TEXT NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL,
  t0_us INTEGER NOT NULL, rate_hz REAL NOT NULL, channels TEXT NOT NULL, encoding TEXT NOT NULL,
  scale REAL NOT NULL, offset REAL NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,
  confirmed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (boot_no, seq, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refused (what TEXT PRIMARY KEY, problem TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_COLUMNS = "boot_id, stream, seq, t0_us, rate_hz, channels, encoding, scale, offset, n, data"


@dataclass(frozen=True)
class Holding:
    """What one boot's stream still has in the outbox: first and last sequence number, and how many."""

    boot_id: str
    stream: str
    first: int
    last: int
    count: int


class Outbox:
    """
    Chunks and records until they are acknowledged.

    Parameters
    ----------
    path : Path, optional
        File that keeps them; without it they live in memory and die with the watch.
    """

    def __init__(self, path: Path | None = None) -> None:
        # The fleet hands a watch from thread to thread, though never to two at once.
        self._db = sqlite3.connect(str(path) if path else ":memory:", check_same_thread=False, isolation_level=None)
        if path:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value kept under `key`."""
        row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row[0])

    def keep(self, values: Mapping[str, Any]) -> None:
        """Keep JSON-able `values`."""
        self.add((), (), 0, values)

    def add(
        self, chunks: Iterable[Chunk], records: Iterable[Mapping[str, Any]], boot_no: int, state: Mapping[str, Any]
    ) -> None:
        """Store new chunks and records together with the state that they belong to, all or nothing."""
        with self._transaction():
            self._db.executemany(
                f"INSERT INTO chunk (boot_no, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [
                    (boot_no, c.boot_id, c.stream, c.seq, c.t0_us, c.rate_hz, json.dumps(c.channels), c.encoding,
                     c.scale, c.offset, c.n, c.data)
                    for c in chunks
                ],
            )  # fmt: skip
            self._db.executemany(
                "INSERT OR REPLACE INTO record VALUES (?,?,?)",
                [(r["client_record_id"], r["client_record_version"], json.dumps(r)) for r in records],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO state VALUES (?,?)", [(k, json.dumps(v)) for k, v in state.items()]
            )

    def next_chunks(self, max_bytes: int, max_count: int) -> list[Chunk]:
        """Return the oldest chunks that are not confirmed, all of one boot, within `max_bytes` (at least one)."""
        rows = self._db.execute(
            f"SELECT boot_no, {_COLUMNS} FROM chunk WHERE confirmed = 0 ORDER BY boot_no, seq, stream LIMIT ?",
            (max_count,),
        )
        taken: list[Chunk] = []
        size = 0
        for _, *fields in rows:
            chunk = _chunk(fields)
            size += len(chunk.data)
            if taken and (size > max_bytes or chunk.boot_id != taken[0].boot_id):
                break
            taken.append(chunk)
        return taken

    def next_records(self, max_count: int) -> list[dict[str, Any]]:
        """Return up to `max_count` records that wait."""
        rows = self._db.execute("SELECT body FROM record ORDER BY rowid LIMIT ?", (max_count,))
        return [json.loads(body) for (body,) in rows]

    def confirm(self, keys: Iterable[tuple[str, str, int]]) -> None:
        """Mark chunks as held by the server; they stay here until acknowledged."""
        with self._transaction():
            self._mark(keys, 1)

    def ask_again(self, keys: Iterable[tuple[str, str, int]]) -> int:
        """Mark chunks to be sent again; return how many of them are still here."""
        with self._transaction():
            return self._mark(keys, 0)

    def acknowledge(self, boot_id: str, stream: str, through: int) -> None:
        """Delete the chunks of a stream up to and with `through`."""
        self._db.execute("DELETE FROM chunk WHERE boot_id = ? AND stream = ? AND seq <= ?", (boot_id, stream, through))

    def accept_records(self, versions: Iterable[tuple[str, int]]) -> None:
        """Delete records that the server holds in this version or a newer one."""
        with self._transaction():
            self._db.executemany("DELETE FROM record WHERE id = ? AND version <= ?", versions)

    def refuse(self, key: tuple[str, str, int], problem: str) -> None:
        """Take a chunk that the server will never accept out of the way, and keep why."""
        with self._transaction():
            self._db.execute("DELETE FROM chunk WHERE boot_id = ? AND stream = ? AND seq = ?", key)
            self._db.execute("INSERT OR REPLACE INTO refused VALUES (?,?)", ("/".join(map(str, key)), problem))

    def refuse_record(self, record_id: str, problem: str) -> None:
        """Take a record that the server will never accept out of the way, and keep why."""
        with self._transaction():
            self._db.execute("DELETE FROM record WHERE id = ?", (record_id,))
            self._db.execute("INSERT OR REPLACE INTO refused VALUES (?,?)", (record_id, problem))

    @property
    def refused(self) -> dict[str, str]:
        """What the server refused for good, and its reason."""
        return dict(self._db.execute("SELECT what, problem FROM refused"))

    def holdings(self) -> list[Holding]:
        """Return what is held of each stream, for comparison with the server's manifest."""
        rows = self._db.execute(
            "SELECT boot_id, stream, min(seq), max(seq), count(*) FROM chunk GROUP BY boot_no, boot_id, stream"
        )
        return [Holding(*row) for row in rows]

    @property
    def unconfirmed(self) -> int:
        """How many chunks and records the server has not confirmed."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM chunk WHERE confirmed = 0) + (SELECT count(*) FROM record)"
        )
        return int(row.fetchone()[0])

    @property
    def held(self) -> int:
        """How many chunks are kept, confirmed or not."""
        return int(self._db.execute("SELECT count(*) FROM chunk").fetchone()[0])

    def _mark(self, keys: Iterable[tuple[str, str, int]], confirmed: int) -> int:
        statement = "UPDATE chunk SET confirmed = ? WHERE boot_id = ? AND stream = ? AND seq = ?"
        return sum(self._db.execute(statement, (confirmed, *key)).rowcount for key in keys)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT; sqlite3's own context manager begins only at the first write."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")


def _chunk(fields: list[Any]) -> Chunk:
    boot_id, stream, seq, t0_us, rate_hz, channels, encoding, scale, offset, n, data = fields
    return Chunk(
        boot_id, stream, seq, t0_us, rate_hz, tuple(json.loads(channels)), encoding, scale, offset, n, bytes(data)
    )

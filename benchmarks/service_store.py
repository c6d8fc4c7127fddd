"""What the service's benchmarks share: stores to run on, a seeded watch, and the comparison with a calm run."""

from __future__ import annotations

import json
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from services.store import intake, records
from services.store.store import Store
from services.store.tables import records as records_table

SECRET = "a secret of the benchmarks, 32 characters and more"
WALL0 = 1_764_000_000
RESULTS = Path(__file__).parent / "results"


@contextmanager
def empty_store(kind: str) -> Iterator[str]:
    """
    Give the URL of an empty store: ``sqlite``, ``postgresql`` in a throwaway cluster with syncing on, or ``pgbouncer``.

    The last is such a cluster behind a pgbouncer that gives each transaction one of four connections.
    """
    folder = Path(tempfile.mkdtemp(prefix="wristwise-bench-"))
    try:
        if kind == "sqlite":
            yield f"sqlite:///{folder / 'store.db'}"
            return
        with _cluster(folder, kind == "pgbouncer") as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _cluster(folder: Path, pooled: bool) -> Iterator[str]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    prefix: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        prefix = ["runuser", "-u", "postgres", "--"]

    def run(*command: Any) -> None:
        subprocess.run([*prefix, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/")

    data = folder / "data"
    run(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8")
    options = f"-k {folder} -c listen_addresses='' -c max_connections=200"
    run(programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    try:
        run(programs / "createdb", "-h", folder, "-U", "postgres", "bench")
        if not pooled:
            yield f"postgresql+psycopg://postgres@/bench?host={folder}"
            return
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host={folder} user=postgres\n[pgbouncer]\nauth_type = any\npool_mode = transaction\n"
            f"default_pool_size = 4\nmax_client_conn = 200\nunix_socket_dir = {folder}\npidfile = {folder / 'pid'}\n"
            f"logfile = {folder / 'pooler.log'}\n"
        )
        run("/usr/sbin/pgbouncer", "-q", "-d", config)
        yield f"postgresql+psycopg://postgres@/bench?host={folder}&port=6432&pooler=transaction"
    finally:
        if (folder / "pid").exists():
            os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
        run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


class SeededWatch:
    """Batches of one watch, the same for the same seed: late chunks, holes filled later, records, several boots."""

    def __init__(self, number: int) -> None:
        self.device_id = f"watch-{number}"
        self._number = number

    def batch(self, k: int) -> dict[str, Any]:
        """Return the k-th batch: 20 s of PPG at 8 Hz in two chunks, one of which may have been held back."""
        rng = random.Random(f"{self._number}/{k}")
        boot = str(uuid.UUID(int=self._number * 1000 + k // 200))
        seqs = [2 * (k % 200), 2 * (k % 200) + 1]
        if k % 7 == 3:
            seqs = seqs[:1]  # held back ...
        if k % 7 == 5:
            seqs = [*seqs, 2 * (k % 200 - 2) + 1]  # ... and sent two batches later
        rng.shuffle(seqs)
        at_s = 20.0 * (k % 200 + 1)
        sent = {
            "boot_id": boot, "monotonic_us": round(at_s * 1e6), "utc_offset_s": 3600,
            "wall": _rfc3339(WALL0 + k // 200 * 5000 + at_s),
        }  # fmt: skip
        batch: dict[str, Any] = {
            "batch_id": str(uuid.UUID(int=rng.getrandbits(128))), "device_id": self.device_id, "sent": sent,
            "chunks": [self._chunk(boot, seq) for seq in seqs],
        }  # fmt: skip
        if k % 5 == 0:
            batch["records"] = [
                {"client_record_id": f"note-{k % 50}", "client_record_version": k, "kind": "note",
                 "start": sent["wall"], "end": sent["wall"], "value": float(k)}
            ]  # fmt: skip
        return batch

    def _chunk(self, boot: str, seq: int) -> dict[str, Any]:
        level = 60 + (self._number * 13 + seq) % 60
        return {
            "boot_id": boot, "stream": "ppg", "seq": seq, "t0_us": seq * 10_000_000, "rate_hz": 8.0,
            "channels": ["ppg"], "encoding": "i2", "n": 80, "data": np.full(80, level, "<i2").tobytes(),
        }  # fmt: skip


def _rfc3339(seconds: float) -> str:
    return f"{np.datetime64(round(seconds * 1000), 'ms')}Z"


def packed(batch: dict[str, Any]) -> bytes:
    """Return a batch as it is sent."""
    return bytes(msgpack.packb(batch))


def live_state(store: Store, user_id: int) -> dict[str, Any]:
    """Return every live record by id, without numbers that depend on the order of arrival; and what is held."""

    def read(conn: Any) -> dict[str, Any]:
        held = {f"{s.device_id}/{s.key}": s.held for s in intake.list_streams(conn, user_id)}
        rows = conn.execute(records_table.select().where(records_table.c.user_id == user_id))
        live = [records.describe(r) for row in rows if not (r := records.from_row(row)).deleted]
        return {
            "held": held,
            "records": {r["id"].hex(): json.dumps(r, default=bytes.hex, sort_keys=True) for r in live},
        }

    return store.read(read)


def goal(text: str, target: str, measured: str, reached: bool | None, command: str) -> dict[str, Any]:
    """Return one row of a result's goals; `benchmarks.tables` shows them."""
    return {"goal": text, "target": target, "measured": measured, "reached": reached, "command": command}


def load_average() -> list[float]:
    """Return how busy this machine was, for the reader of a figure that hangs on the clock."""
    return [round(value, 1) for value in os.getloadavg()]


def write_result(name: str, result: dict[str, Any]) -> None:
    """Write a result file, and print it."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)

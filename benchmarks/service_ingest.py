"""
Sustained ingest: real-rate watches (PPG 64 Hz, acceleration 3 x 32 Hz, a batch each 60 s) on one core.

    python -m benchmarks.service_ingest --watches 2000 --minutes 5

The service (API and worker, SQLite, each commit synced) runs on one core; the load comes from another. Every watch is a
user of its own. What counts: was all answered, did the worker keep up, and how much of the core was used.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from sqlalchemy import insert

from benchmarks.service_store import SECRET, empty_store, goal, load_average, write_result
from services.store import accounts
from services.store.migrate import open_store
from services.store.store import now_us
from services.store.tables import devices, users
from services.sync.config import Settings
from services.sync.processes import Gunicorn, die_with_parent

SENDERS = 24
PERIOD_S = 60.0
RATES = {"ppg": 64.0, "acc": 32.0}


def people(url: str, count: int) -> list[tuple[str, str]]:
    """Make `count` users with a watch each; return (device, token)."""
    store = open_store(url)

    def work(conn: Any) -> list[tuple[str, str]]:
        rows = [{"user_id": n + 1, "name": f"u{n}", "secret_hash": b"-" * 48, "created_us": 0} for n in range(count)]
        conn.execute(insert(users), rows)
        conn.execute(
            insert(devices),
            [
                {"user_id": n + 1, "device_id": f"w{n}", "name": "w", "model": "m", "created_us": 0}
                for n in range(count)
            ],
        )
        return [(f"w{n}", accounts.issue(conn, n + 1, "watch", "bench", f"w{n}").access_token) for n in range(count)]

    found = store.write(work)
    store.close()
    return found


class Signal:
    """Minutes of plausible samples: a pulse with noise, a wrist at rest and in motion."""

    def __init__(self, minutes: int) -> None:
        rng = np.random.default_rng(1)
        t = np.arange(int(minutes * PERIOD_S * RATES["ppg"])) / RATES["ppg"]
        ppg = 2000 * np.sin(2 * np.pi * 1.2 * t) + 500 * np.sin(2 * np.pi * 2.4 * t) + rng.normal(0, 60, t.size)
        ta = np.arange(int(minutes * PERIOD_S * RATES["acc"])) / RATES["acc"]
        sway = 150 * np.sin(2 * np.pi * 0.9 * ta)[:, None] * np.array([1.0, 0.4, 0.2])
        acc = sway + rng.normal(0, 12, (ta.size, 3)) + np.array([0, 0, 1000])
        self.ppg, self.acc = ppg.astype("<i2"), acc.astype("<i2")

    def body(self, device: str, k: int, wall_us: int | None = None) -> bytes:
        """Return the k-th batch of a watch, sent at `wall_us` (default: now)."""
        boot = str(uuid.UUID(bytes=hashlib.md5(device.encode()).digest()))
        at_us = round((k + 1) * PERIOD_S * 1e6)
        now = f"{np.datetime64((wall_us or now_us()) // 1000, 'ms')}Z"
        n_ppg, n_acc = int(PERIOD_S * RATES["ppg"]), int(PERIOD_S * RATES["acc"])
        common = {"boot_id": boot, "seq": k, "t0_us": at_us - 60_000_000, "encoding": "i2"}
        chunks = [
            {**common, "stream": "ppg", "rate_hz": 64.0, "channels": ["ppg"], "n": n_ppg,
             "data": self.ppg[k * n_ppg : (k + 1) * n_ppg].tobytes()},
            {**common, "stream": "acc", "rate_hz": 32.0, "channels": ["acc_x", "acc_y", "acc_z"], "n": n_acc,
             "scale": 0.001, "data": self.acc[k * n_acc : (k + 1) * n_acc].tobytes()},
        ]  # fmt: skip
        sent = {"boot_id": boot, "monotonic_us": at_us, "wall": now, "utc_offset_s": 0}
        batch = {"batch_id": str(uuid.uuid4()), "device_id": device, "sent": sent, "chunks": chunks}
        return bytes(msgpack.packb(batch))


class Load:
    """Senders that keep to the timetable: watch w sends its k-th batch at (k + w / watches) periods."""

    def __init__(self, port: int, watches: list[tuple[str, str]], signal_: Signal, minutes: int) -> None:
        self._port, self._watches, self._signal, self._minutes = port, watches, signal_, minutes
        self._next, self._lock = 0, threading.Lock()
        self.latencies_s: list[float] = []
        self.late_s: list[float] = []
        self.failures = 0

    def run(self) -> None:
        """Send everything."""
        self._start = time.monotonic()
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        count = len(self._watches)
        while True:
            with self._lock:
                turn, self._next = self._next, self._next + 1
            if turn >= count * self._minutes:
                return
            k, w = divmod(turn, count)
            due = self._start + turn * PERIOD_S / count
            device, token = self._watches[w]
            body = self._signal.body(device, k)
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/msgpack"}
            try:
                link.request("POST", "/v1/batches", body, headers)
                answer = link.getresponse()
                answer.read()
                ok = answer.status == 200
            except (OSError, http.client.HTTPException):
                link.close()
                ok = False
            with self._lock:
                self.latencies_s.append(time.monotonic() - began)
                self.late_s.append(began - due)
                self.failures += not ok


class Watcher(threading.Thread):
    """Looks each second how old the oldest waiting work is: the time from data to heart rate, from above."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self.lags_s: list[float] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        link = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        while not self.over.wait(1.0):
            (oldest,) = link.execute("SELECT min(due_us) FROM jobs WHERE kind = 'process' AND NOT dead").fetchone()
            self.lags_s.append(0.0 if oldest is None else max(0.0, (now_us() - oldest) / 1e6))
        link.close()


def serve(url: str, port: int, core: int) -> int:
    """Fork the service onto one core and return its process id."""
    parent, child = os.getpid(), os.fork()
    if child:
        return child
    try:
        die_with_parent(parent)  # a benchmark that is killed leaves no server on its port
        os.sched_setaffinity(0, {core})
        settings = Settings(store=url, secret=SECRET, rate_per_minute=0, signin_per_minute=0, threads=SENDERS)
        Gunicorn(settings, f"127.0.0.1:{port}", processes=1, with_worker=True).run()
    finally:
        os._exit(0)


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def cpu_s(pids: list[int]) -> float:
    """Return the CPU seconds that processes have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(pids: list[int]) -> float:
    """Return the largest resident memory that any of the processes had."""
    peaks = []
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peaks.append(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
    return max(peaks)


def proportional_mb(pids: list[int]) -> float:
    """Return the memory of processes together, each page that they share counted once."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def quantile(values: list[float], q: float) -> float:
    """Return a quantile, rounded."""
    return round(float(np.quantile(values, q)), 4) if values else 0.0


def measure(watches: int, minutes: int) -> dict[str, Any]:
    """Run the load and return the figures."""
    with empty_store("sqlite") as url:
        path = Path(url.removeprefix("sqlite:///"))
        tokens = people(url, watches)
        port = 8391
        service = serve(url, port, 0)
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)) or {0})
        wait_ready(port)
        try:
            pids = family(service)
            before, watcher = cpu_s(pids), Watcher(path)
            watcher.start()
            load, started = Load(port, tokens, Signal(minutes), minutes), time.monotonic()
            load.run()
            seconds = time.monotonic() - started
            drained = drain(path)
            watcher.over.set()
            watcher.join()
            used, memory, together = cpu_s(pids) - before, resident_mb(pids), proportional_mb(pids)
        finally:
            os.kill(service, signal.SIGTERM)
            os.waitpid(service, 0)
        link = sqlite3.connect(path)
        records, bytes_, samples = link.execute(
            "SELECT (SELECT count(*) FROM records), sum(length(data)), sum(n * json_array_length(channels)) FROM chunks"
        ).fetchone()
        kinds = dict(link.execute("SELECT kind, count(*) FROM records GROUP BY kind"))
        link.close()
    batches = len(load.latencies_s)
    return {
        "watches": watches, "minutes": minutes, "batches": batches, "failures": load.failures,
        "seconds": round(seconds, 1), "drained_after_s": round(drained, 1), "server_cpu_s": round(used, 1),
        "share_of_core": round(used / (seconds + drained), 3), "cpu_ms_per_batch": round(used / batches * 1e3, 2),
        "watches_per_core": round(PERIOD_S * batches / used), "records": records, "kinds": kinds,
        "p50_ms": quantile(load.latencies_s, 0.5) * 1e3, "p99_ms": quantile(load.latencies_s, 0.99) * 1e3,
        "sent_late_p95_s": quantile(load.late_s, 0.95), "data_to_record_p95_s": quantile(watcher.lags_s, 0.95),
        "resident_mb": round(memory), "shared_out_mb": round(together),
        "stored_bytes_per_sample": round(bytes_ / samples, 3), "load_average": load_average(),
    }  # fmt: skip


def goals_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the issue asks of a run, and whether it was so."""
    watches, minutes = result["watches"], result["minutes"]
    command = f"python -m benchmarks.service_ingest --watches {watches} --minutes {minutes}"
    load = f"load average {result['load_average'][0]:.0f}"
    behind = max(result["drained_after_s"], result["sent_late_p95_s"])
    kept_up = result["failures"] == 0 and behind <= 5.0
    return [
        goal(
            "real-rate watches sustained a core (PPG 64 Hz, acceleration 3 x 32 Hz, 60 s batches; heart rate, falls, "
            "activity and steps computed)", "≥ 2,000 for ≥ 5 min",
            f"{watches:,} for {minutes} min, {result['failures']} refused, {behind:.1f} s behind at the end; "
            f"{result['cpu_ms_per_batch']} ms of CPU a batch, so {result['watches_per_core']:,} by CPU ({load})",
            kept_up and watches >= 2000 and minutes >= 5, command,
        ),
        goal(
            f"data to heart rate beside {watches:,} watches on that core", "p95 ≤ 5 s",
            f"{result['data_to_record_p95_s']:.1f} s ({load})", result["data_to_record_p95_s"] <= 5.0, command,
        ),
        goal(
            "resident memory of API and worker, each", "≤ 250 MB",
            f"{result['resident_mb']} MB the largest; {result['shared_out_mb']} MB all together, shared pages once",
            result["resident_mb"] <= 250, command,
        ),
    ]  # fmt: skip


def wait_ready(port: int) -> None:
    """Wait until the service answers."""
    for _ in range(300):
        try:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            link.request("GET", "/readyz")
            if link.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the service did not start")


def drain(path: Path) -> float:
    """Wait until no work is left and return how long that took."""
    started = time.monotonic()
    link = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    while link.execute("SELECT count(*) FROM jobs WHERE kind = 'process' AND NOT dead").fetchone()[0]:
        time.sleep(0.2)
    link.close()
    return time.monotonic() - started


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watches", type=int, default=2000)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--no-result", action="store_true", help="print only")
    options = parser.parse_args()
    result = measure(options.watches, options.minutes)
    result["goals"] = goals_of(result)
    if options.no_result:
        print(json.dumps(result))
    else:
        write_result("service_ingest", result)
    sys.exit(1 if result["failures"] else 0)


if __name__ == "__main__":
    main()

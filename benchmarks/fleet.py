"""A fleet of mock watches against `wristwise serve` in a process of its own: latency, and the return from offline."""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service_ingest import family, resident_mb
from data.synthetic.wearer import wearer
from services.commands.fleet import sentence
from services.store import accounts
from services.store.migrate import open_store
from services.sync.processes import die_with_parent
from services.watch import Companion, DeviceProfile, RunOptions
from services.watch.fleet import Fleet, FleetOptions, FleetReport

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "fleet.json"
COMMAND = "python -m benchmarks.fleet"
USERS = 16


@dataclass(frozen=True)
class Server:
    """A service in a process of its own."""

    url: str
    companions: list[Companion]
    pid: int

    def memory_mb(self) -> float:
        """The most resident memory that any of the service's processes ever had."""
        return resident_mb(family(self.pid))


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start `wristwise serve` on an empty store with some accounts; stop it at the end."""
    store = open_store(f"sqlite:///{folder / 'wristwise.db'}")
    pairs = [(f"user{n}", secrets.token_hex(16)) for n in range(USERS)]
    for name, secret in pairs:
        store.write(lambda conn, n=name, s=secret: accounts.create_user(conn, n, s))  # type: ignore[misc]
    store.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "WRISTWISE_RATE_PER_MINUTE": "0", "WRISTWISE_SIGNIN_PER_MINUTE": "0"}
    env |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "wristwise", "serve", "--data", str(folder), "--port", str(port)]
    # A benchmark that is killed leaves no server behind.
    process = subprocess.Popen(command, cwd=ROOT, env=env, preexec_fn=partial(die_with_parent, os.getpid()))
    url = f"http://127.0.0.1:{port}"
    companions = [Companion(url, name, secret) for name, secret in pairs]
    try:
        _wait(url)
        yield Server(url, companions, process.pid)
    finally:
        for companion in companions:
            companion.close()
        process.terminate()
        process.wait(30)


def run(options: FleetOptions) -> tuple[FleetReport, float]:
    """Return how a fresh server did, and the most memory in MB that one of its processes had."""
    worn = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=600.0, seed=0)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        fleet = Fleet(server.url, worn, server.companions, options)
        try:
            fleet.pair()
            print(f"{options.watches} watches are paired", file=sys.stderr)
            report = fleet.live()
            return report, server.memory_mb()
        finally:
            fleet.close()


def latency(minutes: float) -> dict[str, Any]:
    """64 clients on as many connections, each a batch of a minute's signal every six seconds."""
    report, memory_mb = run(FleetOptions(64, minutes / 6.0, 10.0, 64))
    print(sentence(report))
    return {
        "goal": "sync p99 at 64 clients that send as 640 watches at real rate (60 s batches), worker beside the API",
        "target": "≤ 150 ms", "measured": f"{report.p99_ms:.0f} ms (p50 {report.p50_ms:.0f} ms; {_busy()})",
        "reached": report.p99_ms <= 150 and report.complete == report.watches,
        "command": f"{COMMAND} latency", "memory_mb": round(memory_mb), "report": report.body(),
    }  # fmt: skip


def sustain(watches: int, minutes: float) -> dict[str, Any]:
    """Watches at real speed, for minutes."""
    report, memory_mb = run(FleetOptions(watches, minutes / 60.0, 1.0, 32))
    print(sentence(report))
    kept_up = report.lag_s < 2.0 and report.complete == report.watches
    return {
        "goal": f"ingest of {watches:,} watches at real rate for {minutes:g} min, worker beside the API",
        "target": "kept up", "reached": kept_up,
        "measured": f"{'kept up' if kept_up else 'fell behind'}, p99 {report.p99_ms:.0f} ms, "
        f"latest upload {report.lag_s:.1f} s late, largest process {memory_mb:.0f} MB ({_busy()})",
        "command": f"{COMMAND} sustain", "memory_mb": round(memory_mb), "report": report.body(),
    }  # fmt: skip


def come_back(watches: int, hours: float) -> dict[str, Any]:
    """Watches that come back at once after `hours` without a network; there they made chunks of five minutes."""
    offline = RunOptions(profile=DeviceProfile(chunk_s=300.0))
    report, memory_mb = run(FleetOptions(watches, 1 / 12.0, 60.0, 8, offline_hours=hours, options=offline))
    print(sentence(report))
    return {
        "goal": f"{watches} watches come back after {hours:g} h offline (chunks of 5 min): drained",
        "target": "≤ 120 s", "measured": f"{report.seconds:.0f} s for {report.bytes_sent / 1e6:.0f} MB, "
        f"largest process {memory_mb:.0f} MB ({_busy()})",
        "reached": report.seconds <= 120 and report.complete == report.watches,
        "command": f"{COMMAND} come-back", "memory_mb": round(memory_mb), "report": report.body(),
    }  # fmt: skip


def save(name: str, goal: dict[str, Any]) -> None:
    """Put one goal into the result file beside the others."""
    found: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"parts": {}}
    goal["load"] = [round(x, 1) for x in os.getloadavg()]
    found["parts"][name] = goal
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    found["goals"] = [found["parts"][key] for key in sorted(found["parts"])]
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure one part and save it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["latency", "sustain", "come-back"])
    parser.add_argument("--watches", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=5.0, help="real minutes of load")
    parser.add_argument("--hours", type=float, default=24.0)
    given = parser.parse_args()
    if given.part == "latency":
        save(given.part, latency(given.minutes))
    elif given.part == "sustain":
        save(given.part, sustain(given.watches or 2000, given.minutes))
    else:
        save(given.part, come_back(given.watches or 100, given.hours))


def _busy() -> str:
    return f"load average {os.getloadavg()[0]:.0f}"


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise SystemExit(f"no service at {url} after 30 s")


if __name__ == "__main__":
    main()

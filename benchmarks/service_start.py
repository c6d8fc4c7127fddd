"""
How long the service takes to start with a gigabyte stored, and what a sample costs at rest on real signals.

    python -m benchmarks.service_start
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.service_ingest import family, resident_mb
from benchmarks.service_store import SECRET, goal, load_average, write_result
from data.adapters.registry import ADAPTERS
from data.errors import WristwiseError
from data.recording import Channel
from services.store import accounts, codec
from services.store.migrate import open_store

SETS = ("wrist", "spc2015", "bami-1", "stress-predict")
GROUPS = (("ppg",), ("ppg_2",), ("acc_x", "acc_y", "acc_z"))
RECORDINGS = 6
COMMAND = "python -m benchmarks.service_start"


def stored_bytes(root: Path) -> dict[str, float]:
    """Return bytes a sample of the first recordings of each set, in chunks of 60 s of 16 bits (acceleration in mg)."""
    found = {}
    for name in SETS:
        size = count = 0
        try:
            for recording in itertools.islice(ADAPTERS[name].read(root), RECORDINGS):
                for group in GROUPS:
                    channels = [recording.channels[c] for c in group if c in recording.channels]
                    for chunk in chunks(channels):
                        size += len(codec.encode(chunk)[1])
                        count += chunk.size
        except WristwiseError:
            continue  # the set is not here
        found[name] = round(size / count, 3)
    return found


def chunks(channels: list[Channel]) -> list[np.ndarray[Any, Any]]:
    """Return 60 s pieces of the channels as a watch sends them."""
    if not channels:
        return []
    samples = np.nan_to_num(np.stack([c.samples for c in channels], axis=1))
    if channels[0].name.startswith("acc"):
        scaled = samples * 1000
    else:
        top = float(np.abs(samples).max()) or 1.0
        # Those that came as volts or as 24 bits: as a 14-bit converter would have given them.
        scaled = samples if 500 <= top <= 8000 else samples / top * 8000
    words = np.clip(np.round(scaled), -32768, 32767).astype("<i2")
    step = int(channels[0].fs_hz * 60)
    return [words[i : i + step] for i in range(0, len(words) - step + 1, step)]


def fill(path: Path, size: int) -> None:
    """Write `size` bytes of chunks into a new store."""
    store = open_store(f"sqlite:///{path}")
    user_id, _ = store.write(lambda conn: accounts.create_user(conn, "full"))
    store.close()
    link = sqlite3.connect(path)
    link.execute("PRAGMA synchronous=OFF")
    blob, n = np.random.default_rng(1).bytes(4600), size // 4600
    rows = (
        (user_id, s, q, q * 60_000_000, (q + 1) * 60_000_000, 64.0, '["ppg"]', "i2", "[1.0]", "[0.0]", 3840, b"d" * 32,
         "shuffle-zstd", blob)
        for s in range(1, 101) for q in range(n // 100)
    )  # fmt: skip
    link.executemany(f"INSERT INTO chunks VALUES ({','.join('?' * 14)})", rows)
    link.commit()
    link.close()


def start(folder: Path) -> tuple[float, float]:
    """Start `wristwise serve` on the store in `folder`; return (seconds until ready, resident MB)."""
    environment = {**os.environ, "WRISTWISE_SECRET": SECRET}
    command = [sys.executable, "-m", "wristwise", "serve", "--data", str(folder), "--port", "8392"]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                link = http.client.HTTPConnection("127.0.0.1", 8392, timeout=2)
                link.request("GET", "/readyz")
                if link.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.01)
        return time.monotonic() - began, resident_mb(family(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wristwise-start-") as name:
        folder = Path(name)
        fill(folder / "wristwise.db", int(options.gigabytes * 1e9))
        runs = [start(folder) for _ in range(3)]
        stored = (folder / "wristwise.db").stat().st_size
    seconds, load = [round(s, 2) for s, _ in runs], load_average()
    a_sample = stored_bytes(Path(os.environ.get("WRISTWISE_DATA", "/nowhere")))
    write_result(
        "service_start",
        {
            "stored_gb": round(stored / 1e9, 3), "seconds_until_ready": seconds,
            "resident_mb": round(max(m for _, m in runs)), "stored_bytes_per_sample": a_sample, "load_average": load,
            "goals": [
                goal(
                    f"`wristwise serve` ready with {stored / 1e9:.2f} GB stored", "≤ 2 s",
                    f"{sorted(seconds)[1]} s (median of {seconds}; load average {load[0]:.0f})",
                    sorted(seconds)[1] <= 2.0, COMMAND,
                ),
                goal(
                    "storage a sample, 16 bits, real recordings in chunks of 60 s", "≤ 1.2 B",
                    ", ".join(f"{name} {size:.2f} B" for name, size in a_sample.items()) or "no data set here",
                    max(a_sample.values()) <= 1.2 if a_sample else None, COMMAND,
                ),
            ],
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""From data to heart rate: how long after a batch was acknowledged its heart rates are in the feed, under load."""

from __future__ import annotations

import argparse
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from benchmarks.fleet import Server, save, serving
from data.synthetic.wearer import wearer
from services.watch import Assembly, DeviceProfile, RunOptions
from services.watch.fleet import Fleet, FleetOptions
from services.watch.link import HttpTransport
from services.watch.pace import Pace

PROBES = 4
PROBE_CHUNK_S = 10.0
COMMAND = "python -m benchmarks.heart_rate_delay"


class Probe:
    """A watch at real speed, and its wearer who follows the feed."""

    def __init__(self, server: Server, number: int, seconds: float) -> None:
        self._companion = server.companions[number]
        worn = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=seconds, seed=number)
        options = RunOptions(seed=1000 + number, profile=DeviceProfile(chunk_s=PROBE_CHUNK_S))
        self._watch = Assembly(worn, HttpTransport(server.url), options, on_code=self._companion.approve)
        self._watch.pair()
        self._answered: list[tuple[datetime, datetime]] = []
        self._over = threading.Event()
        self.delays_s: list[float] = []

    def sense(self) -> None:
        """Send each chunk as it ends."""
        pace = Pace(1.0)
        while self._watch.watch.now_s < self._watch.end_s:
            to_s = self._watch.watch.now_s + PROBE_CHUNK_S
            pace.wait_until(to_s)
            self._watch.watch.advance(to_s)
            while not self._watch.watch.sync().done:
                pass
            self._answered.append((self._watch.watch.clock.true_time(to_s), datetime.now(UTC)))
        self._over.wait(20.0)
        self._over.set()
        self._watch.close()

    def follow(self) -> None:
        """Note, for each heart rate that comes, how long ago the batch was acknowledged that completed it."""
        cursor = None
        while not self._over.is_set():
            query = {"kind": "heart_rate", "wait": 5} | ({"cursor": cursor} if cursor else {})
            page = self._companion.call("GET", f"/v1/changes?{urlencode(query)}")
            came, cursor = datetime.now(UTC), page["cursor"]
            for record in page["changes"]:
                if record["source"]["device_id"] != self._watch.name:
                    continue
                end = datetime.fromisoformat(record["end"])
                acknowledged = [at for until, at in list(self._answered) if until >= end]
                if acknowledged:
                    self.delays_s.append((came - acknowledged[0]).total_seconds())


def measure(watches: int, minutes: float) -> dict[str, Any]:
    """Return the goal: p95 of the delay while a fleet sends at real rate."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        worn = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=600.0, seed=0)
        fleet = Fleet(server.url, worn, server.companions[PROBES:], FleetOptions(watches, minutes / 60.0, 1.0, 16))
        fleet.pair()
        probes = [Probe(server, number, minutes * 60.0) for number in range(PROBES)]
        threads = [threading.Thread(target=t, daemon=True) for p in probes for t in (p.sense, p.follow)]
        for thread in threads:
            thread.start()
        report = fleet.live()
        for thread in threads:
            thread.join(60.0)
        fleet.close()
        delays = np.array([d for p in probes for d in p.delays_s])
    p50, p95 = np.percentile(delays, [50, 95])
    return {
        "goal": f"batch acknowledged to heart rate in the feed, p95, beside {watches:,} watches at real rate",
        "target": "≤ 5 s", "measured": f"{p95:.1f} s (p50 {p50:.1f} s, {delays.size} heart rates)",
        "reached": bool(p95 <= 5.0), "command": COMMAND, "report": report.body(),
    }  # fmt: skip


def main() -> None:
    """Measure, and put the goal beside the fleet's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watches", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=3.0, help="real minutes")
    given = parser.parse_args()
    goal = measure(given.watches, given.minutes)
    print(goal["measured"])
    save("delay", goal)


if __name__ == "__main__":
    main()

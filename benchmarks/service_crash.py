"""
A storm of `kill -9` over two APIs and two workers, at random moments and at named failpoints.

    python -m benchmarks.service_crash --store sqlite --kills 200

Four watches send without pause and send again what was not acknowledged; a reader follows the changes feed. Whatever
process dies is started again. In the end the store must hold exactly what a calm run of the same messages gives, the
reader exactly what the store holds, and no work may be left or given up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from benchmarks.pulse_task import pulse_ability
from benchmarks.service_store import SECRET, SeededWatch, empty_store, goal, live_state, packed, write_result
from services.store import accounts, failpoints, jobs
from services.store.migrate import open_store
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings
from services.sync.server import Workers, running
from services.worker.worker import Worker

WATCHES = 4
USER_ID = 4711
API_POINTS = ("store.before-commit", "store.after-commit")
WORKER_POINTS = ("worker.claimed", "worker.computed", "worker.written", "store.before-commit", "store.after-commit")


class Child:
    """One process of the service, forked from here so that a restart costs milliseconds."""

    def __init__(self, name: str, run: Callable[[], None], points: tuple[str, ...], rng: random.Random) -> None:
        self.name, self._run, self._points, self._rng = name, run, points, rng
        self.pid = 0
        self.start()

    def start(self) -> None:
        """Fork; half of the time with a failpoint armed that will kill it by itself."""
        point = self._rng.choice(self._points) if self._rng.random() < 0.5 else ""
        count = self._rng.randint(1, 12)
        self.pid = os.fork()
        if self.pid:
            return
        try:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            failpoints.arm(point, count)
            self._run()
        finally:
            os._exit(1)

    def dead(self) -> bool:
        """Return whether it has died."""
        return os.waitpid(self.pid, os.WNOHANG)[0] != 0

    def kill(self) -> None:
        """Kill it as a power failure would."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def api(url: str, port: int) -> Callable[[], None]:
    """Return what an API process does."""

    def run() -> None:
        settings = Settings(store=url, secret=SECRET, rate_per_minute=0, signin_per_minute=0, workers=0)
        with running(settings, [], port=port):
            threading.Event().wait()

    return run


def worker(url: str) -> Callable[[], None]:
    """Return what a worker process does."""

    def run() -> None:
        store = open_store(url)
        workers = Workers(store, Settings(workers=1), [pulse_ability()])
        workers.start()
        workers.join()

    return run


class Clients:
    """Watches and a reader, in threads of one forked process; their findings go to a file."""

    def __init__(self, ports: list[int], tokens: list[str], reader: str, stop: Path, found: Path) -> None:
        self._bases = [f"http://127.0.0.1:{p}" for p in ports]
        self._tokens, self._reader, self._stop, self._found = tokens, reader, stop, found
        self._sent = [0] * len(tokens)
        self._refused: list[str] = []

    def run(self) -> None:
        """Send and read until the stop file appears, then until everything is acknowledged and read."""
        threads = [threading.Thread(target=self._send, args=(i, t)) for i, t in enumerate(self._tokens)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._found.write_text(json.dumps({"sent": self._sent, "refused": self._refused}))

    def _send(self, number: int, token: str) -> None:
        watch, rng = SeededWatch(number), random.Random(number)
        k = 0
        while not self._stop.exists():
            body = packed(watch.batch(k))
            while not self._deliver(body, token, rng):
                time.sleep(0.02)
            if rng.random() < 0.1:  # the answer was lost: once more
                self._deliver(body, token, rng)
            k += 1
            self._sent[number] = k
            time.sleep(0.05)

    def _deliver(self, body: bytes, token: str, rng: random.Random) -> bool:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/msgpack",
            "Accept": "application/json",
        }
        try:
            answer = httpx.post(f"{rng.choice(self._bases)}/v1/batches", content=body, headers=headers, timeout=10)
        except httpx.HTTPError:
            return False
        if answer.status_code == 200:
            self._refused += [r["problem"]["detail"] for r in answer.json()["results"] if r["status"] == "rejected"]
            return True
        if answer.status_code not in (500, 503):
            self._refused.append(f"{answer.status_code} {answer.text[:200]}")
        return False


class FeedReader(threading.Thread):
    """Follows the feed through the storm, in the clients' process."""

    def __init__(self, bases: list[str], token: str, stop: Path) -> None:
        super().__init__(daemon=True)
        self._bases, self._token, self._over = bases, token, stop
        self.seen: dict[str, int] = {}
        self.cursor: str | None = None

    def step(self) -> bool:
        """Read one page; return whether more is there."""
        query = {"limit": "200"} | ({"cursor": self.cursor} if self.cursor else {})
        headers = {"Authorization": f"Bearer {self._token}"}
        page = httpx.get(f"{random.choice(self._bases)}/v1/changes", params=query, headers=headers, timeout=10).json()
        for change in page["changes"]:
            if change["deleted"]:
                self.seen.pop(change["id"], None)
            else:
                self.seen[change["id"]] = change["revision"]
        self.cursor = page["cursor"]
        return bool(page["more"] or page["changes"])

    def run(self) -> None:
        """Read until the storm is over; a page that fails is read again from the same cursor."""
        while not self._over.exists():
            try:
                if not self.step():
                    time.sleep(0.05)
            except (httpx.HTTPError, KeyError, ValueError):
                time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Return ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports


def prepare(url: str) -> tuple[list[str], str]:
    """Make the user and return the watches' tokens and the reader's."""
    store = open_store(url)
    with mock.patch("secrets.randbits", return_value=USER_ID):
        store.write(lambda conn: accounts.create_user(conn, "storm"))
    tokens = [
        store.write(lambda c, n=n: accounts.issue(c, USER_ID, "watch", "bench", f"watch-{n}")).access_token
        for n in range(WATCHES)
    ]
    reader = store.write(lambda c: accounts.issue(c, USER_ID, "companion", "bench")).access_token
    store.close()
    return tokens, reader


def storm(url: str, kills: int, folder: Path, seed: int) -> dict[str, Any]:
    """Run the storm and return what was found."""
    rng = random.Random(seed)
    tokens, reader_token = prepare(url)
    ports = free_ports(2)
    stop, found = folder / "stop", folder / "found.json"
    clients = os.fork()
    if not clients:
        code = 1
        try:
            feed = FeedReader([f"http://127.0.0.1:{p}" for p in ports], reader_token, stop)
            feed.start()
            Clients(ports, tokens, reader_token, stop, found).run()
            feed.join()
            (folder / "feed.json").write_text(json.dumps({"cursor": feed.cursor, "seen": feed.seen}))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    children = [Child(f"api-{i}", api(url, port), API_POINTS, rng) for i, port in enumerate(ports)]
    children += [Child(f"worker-{i}", worker(url), WORKER_POINTS, rng) for i in range(2)]
    died = {"killed": 0, "failpoint": 0}
    while sum(died.values()) < kills:
        time.sleep(rng.uniform(0.05, 0.5))
        for child in children:
            if child.dead():
                died["failpoint"] += 1
                child.start()
        victim = rng.choice(children)
        victim.kill()
        died["killed"] += 1
        victim.start()
    stop.touch()
    while os.waitpid(clients, os.WNOHANG)[0] == 0:  # what is under way must still be acknowledged
        time.sleep(0.1)
        for child in children:
            if child.dead():
                child.start()
    for child in children:
        child.kill()
    return {**died, **json.loads(found.read_text())}


def calm(sent: list[int], folder: Path) -> dict[str, Any]:
    """Return the state after the same messages without any trouble."""
    store = open_store(f"sqlite:///{folder / 'calm.db'}", durable=False)
    url_tokens, _ = prepare(store.url)
    settings = Settings(store=store.url, secret=SECRET, rate_per_minute=0)
    app = create_app(settings, store)
    http = app.test_client()
    for number, (count, token) in enumerate(zip(sent, url_tokens, strict=True)):
        for k in range(count):
            headers = {"Authorization": f"Bearer {token}"}
            http.post(
                "/v1/batches",
                data=packed(SeededWatch(number).batch(k)),
                content_type="application/msgpack",
                headers=headers,
            )
    Worker(store, [pulse_ability()]).drain()
    state = live_state(store, USER_ID)
    store.close()
    return state


def judge(url: str, outcome: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Finish the work that is left and compare with the calm run."""
    store = open_store(url)
    free_leases(store)
    Worker(store, [pulse_ability()]).drain()
    state, left = live_state(store, USER_ID), store.read(jobs.counts)
    feed = json.loads((folder / "feed.json").read_text())
    reader = FeedReader([], "", folder / "stop")
    reader.seen, reader.cursor = feed["seen"], feed["cursor"]
    app = create_app(Settings(store=url, secret=SECRET, rate_per_minute=0), store)
    token = store.write(lambda c: accounts.issue(c, USER_ID, "companion", "bench")).access_token
    http, more = app.test_client(), True
    while more:
        query = {"limit": 500} | ({"cursor": reader.cursor} if reader.cursor else {})
        page = http.get("/v1/changes", query_string=query, headers={"Authorization": f"Bearer {token}"}).json
        for change in page["changes"]:
            reader.seen.pop(change["id"], None) if change["deleted"] else reader.seen.update({change["id"]: 1})
        reader.cursor, more = page["cursor"], page["more"]
    store.close()
    expected = calm(outcome["sent"], folder)
    live = state["records"].keys()
    # What the insight follower writes of a day hangs on today's date, and the calm run has none.
    wanted, got = expected["records"], {k: v for k, v in state["records"].items() if '"source": "insight"' not in v}
    return {
        "acknowledged_batches": sum(outcome["sent"]), "refused": len(outcome["refused"]),
        "streams_that_differ": sum(state["held"].get(k) != v for k, v in expected["held"].items()),
        "records": len(wanted), "records_lost": len(wanted.keys() - got.keys()),
        "records_too_many": len(got.keys() - wanted.keys()),
        "records_that_differ": sum(got[k] != wanted[k] for k in wanted.keys() & got.keys()),
        "feed_lost": len(live - reader.seen.keys()), "feed_too_many": len(reader.seen.keys() - live),
        "jobs_left": left["waiting"] + left["dead"],
    }  # fmt: skip


def free_leases(store: Store) -> None:
    """Let leases of the dead run out at once: nobody lives any more."""
    store.write(lambda conn: conn.exec_driver_sql("UPDATE jobs SET lease_us = 0, due_us = 0"))


def main() -> None:
    """Run the storm and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "pgbouncer"), default="sqlite")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-result", action="store_true", help="print only")
    options = parser.parse_args()
    with empty_store(options.store) as url, empty_store("sqlite") as other:
        folder = Path(other.removeprefix("sqlite:///")).parent
        started = time.monotonic()
        outcome = storm(url, options.kills, folder, options.seed)
        result = {
            "store": options.store, "processes": "2 api, 2 worker", "kill_9": outcome["killed"],
            "killed_at_failpoints": outcome["failpoint"], **judge(url, outcome, folder),
            "seconds": round(time.monotonic() - started, 1),
        }  # fmt: skip
    bad = ("refused", "streams_that_differ", "records_lost", "records_too_many", "records_that_differ", "feed_lost",
           "feed_too_many", "jobs_left")  # fmt: skip
    wrong = sum(result[name] for name in bad)
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "pgbouncer": "PostgreSQL behind pgbouncer"}
    result["goals"] = [
        goal(
            f"acknowledged data lost, doubled or left undone over {result['kill_9'] + result['killed_at_failpoints']} "
            f"deaths of 2 API and 2 worker processes, {names[options.store]}",
            "0 over ≥ 200",
            f"{wrong} over {result['acknowledged_batches']} batches and {result['records']} records",
            wrong == 0 and result["kill_9"] + result["killed_at_failpoints"] >= 200,
            f"python -m benchmarks.service_crash --store {options.store} --kills {options.kills}",
        )
    ]
    if options.no_result:
        print(json.dumps(result))
    else:
        write_result(f"service_crash_{options.store}", result)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

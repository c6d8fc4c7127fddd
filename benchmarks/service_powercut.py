"""
Power cuts on SQLite: whatever was not synced is dropped, or half of it, in any order.

    python -m benchmarks.service_powercut --cuts 200

A service runs once with `powercut.c` preloaded, which logs every write and sync of the store, and every answer given.
Then, for many moments of that log, the files are rebuilt as a disk may hold them after a power cut: what was synced,
and of the rest a random part, torn at sectors of 512 bytes. Each must open, be sound, hold all that was acknowledged,
and, once the rest is sent again, end in the very state of a calm run.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.pulse_task import pulse_ability
from benchmarks.service_store import SECRET, SeededWatch, goal, live_state, packed, write_result
from services.store import accounts, jobs
from services.store.migrate import open_store
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings
from services.worker.worker import Worker

USER_ID, CLIENTS = 4711, 3
SECTOR = 512
ACK = "store.db.ack"


@dataclass(frozen=True)
class Operation:
    """One operation in the log."""

    kind: str
    path: str
    offset: int
    data: bytes


@dataclass
class DiskFile:
    """A file as the disk surely holds it, and what was written since the last sync."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def sync(self) -> None:
        """Everything pending is on the disk now."""
        for operation in self.pending:
            apply(self.synced, operation)
        self.pending.clear()

    def after_cut(self, rng: random.Random) -> bytes:
        """Return what the disk may hold after a power cut now: of what was not synced, any part."""
        image = bytearray(self.synced)
        share = rng.choice((0.0, 0.5, 0.9, 1.0))
        for operation in self.pending:
            if operation.kind == "T":
                if rng.random() < share:
                    apply(image, operation)
                continue
            for at in range(0, len(operation.data), SECTOR):
                if rng.random() < share:
                    part = Operation("W", "", operation.offset + at, operation.data[at : at + SECTOR])
                    apply(image, part)
        return bytes(image)


def apply(image: bytearray, operation: Operation) -> None:
    """Do `operation` to `image`."""
    if operation.kind == "T":
        del image[operation.offset :]
        image.extend(bytes(operation.offset - len(image)))
        return
    end = operation.offset + len(operation.data)
    if len(image) < end:
        image.extend(bytes(end - len(image)))
    image[operation.offset : end] = operation.data


def read_log(path: Path) -> Iterator[Operation]:
    """Yield the operations in order."""
    content = path.read_bytes()
    at = 0
    while at < len(content):
        kind = chr(content[at])
        (length,) = struct.unpack_from("<I", content, at + 1)
        name = content[at + 5 : at + 5 + length].decode()
        offset, size = struct.unpack_from("<QQ", content, at + 5 + length)
        start = at + 21 + length
        data = content[start : start + size] if kind == "W" else b""
        yield Operation(kind, name, offset, data)
        at = start + len(data)


def service(url: str, token: str, watches: list[int], batches: int) -> None:
    """Run API and worker in this process and note each answer in the log (runs with the library preloaded)."""
    store = open_store(url)
    app = create_app(Settings(store=url, secret=SECRET, rate_per_minute=0), store)
    worker = Worker(store, [pulse_ability()])
    thread = threading.Thread(target=worker.run)
    thread.start()
    acks = os.open(url.removeprefix("sqlite:///") + ".ack", os.O_WRONLY | os.O_CREAT, 0o600)
    tokens = token.split(",")

    def client(number: int) -> None:
        http = app.test_client()
        headers = {"Authorization": f"Bearer {tokens[number]}"}
        for k in range(batches):
            body = packed(SeededWatch(number).batch(k))
            answer = http.post("/v1/batches", data=body, content_type="application/msgpack", headers=headers)
            assert answer.status_code == 200, answer.status_code
            os.pwrite(acks, struct.pack("<II", number, k), 0)

    threads = [threading.Thread(target=client, args=(n,)) for n in watches]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    time.sleep(0.3)
    worker.stop()
    thread.join()
    os._exit(0)


def prepare(folder: Path) -> tuple[str, list[str]]:
    """Make an empty store with its user; return its URL and the watches' tokens."""
    url = f"sqlite:///{folder / 'store.db'}"
    store = open_store(url)
    with mock.patch("secrets.randbits", return_value=USER_ID):
        store.write(lambda conn: accounts.create_user(conn, "cut"))
    tokens = [
        store.write(lambda c, n=n: accounts.issue(c, USER_ID, "watch", "bench", f"watch-{n}")).access_token
        for n in range(CLIENTS)
    ]
    store.close()
    return url, tokens


def send_all(store: Store, tokens: list[str], batches: int) -> None:
    """Send every batch, whether it was acknowledged before or not, and do the work."""
    app = create_app(Settings(store=store.url, secret=SECRET, rate_per_minute=0), store)
    http = app.test_client()
    for number, token in enumerate(tokens):
        for k in range(batches):
            body = packed(SeededWatch(number).batch(k))
            headers = {"Authorization": f"Bearer {token}"}
            http.post("/v1/batches", data=body, content_type="application/msgpack", headers=headers)
    store.write(lambda conn: conn.exec_driver_sql("UPDATE jobs SET lease_us = 0, due_us = 0"))
    Worker(store, [pulse_ability()]).drain()


def check(folder: Path, acked: set[tuple[int, int]], tokens: list[str], batches: int, expected: Any) -> dict[str, int]:
    """Open what the disk holds and say what is wrong with it."""
    store = open_store(f"sqlite:///{folder / 'store.db'}", durable=False)
    try:
        sound = store.read(lambda conn: conn.exec_driver_sql("PRAGMA integrity_check").scalar()) == "ok"
        held = live_state(store, USER_ID)["held"]
        lost = 0
        for number, k in acked:
            for chunk in SeededWatch(number).batch(k)["chunks"]:
                ranges = held.get(f"watch-{number}/{chunk['boot_id']}/ppg", [])
                lost += not any(first <= chunk["seq"] <= last for first, last in ranges)
        send_all(store, tokens, batches)
        left = store.read(jobs.counts)
        differs = live_state(store, USER_ID) != expected
        return {"unsound": not sound, "lost": lost, "differs": differs, "jobs_left": left["waiting"] + left["dead"]}
    finally:
        store.close()


def main() -> None:
    """Run the service once, cut it many times, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-result", action="store_true", help="print only")
    parser.add_argument("--child", nargs=2, metavar=("URL", "TOKENS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        service(*options.child, list(range(CLIENTS)), options.batches)
    with tempfile.TemporaryDirectory(prefix="wristwise-cut-") as name:
        result = cut_many(Path(name), options.cuts, options.batches, random.Random(options.seed))
    wrong = sum(result[k] for k in ("unsound", "lost", "differs", "jobs_left"))
    result["goals"] = [
        goal(
            f"the same under {result['cuts']} power cuts (torn and reordered writes), SQLite", "0 over ≥ 200",
            f"{wrong} over {result['acknowledged_batches']} batches", wrong == 0 and result["cuts"] >= 200,
            f"python -m benchmarks.service_powercut --cuts {options.cuts}",
        )
    ]  # fmt: skip
    if options.no_result:
        print(result)
    else:
        write_result("service_powercut", result)
    sys.exit(1 if wrong else 0)


def cut_many(folder: Path, cuts: int, batches: int, rng: random.Random) -> dict[str, Any]:
    """Return the sum of what was wrong over `cuts` power cuts."""
    library = folder / "powercut.so"
    source = Path(__file__).with_name("powercut.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    calm_folder, run_folder, cut_folder = (folder / n for n in ("calm", "run", "cut"))
    for each in (calm_folder, run_folder):
        each.mkdir()
    calm_url, calm_tokens = prepare(calm_folder)
    calm = open_store(calm_url, durable=False)
    send_all(calm, calm_tokens, batches)
    expected = live_state(calm, USER_ID)
    calm.close()
    url, tokens = prepare(run_folder)
    begin = {p.name: p.read_bytes() for p in run_folder.iterdir()}
    log = folder / "log"
    environment = {**os.environ, "LD_PRELOAD": str(library), "POWERCUT_LOG": str(log), "POWERCUT_MATCH": "store.db"}
    command = [
        sys.executable,
        "-m",
        "benchmarks.service_powercut",
        "--batches",
        str(batches),
        "--child",
        url,
        ",".join(tokens),
    ]
    subprocess.run(command, check=True, env=environment)
    operations = list(read_log(log))
    moments = sorted(rng.sample(range(len(operations)), min(cuts, len(operations))))
    total = {"unsound": 0, "lost": 0, "differs": 0, "jobs_left": 0}
    files = {name: DiskFile(bytearray(content)) for name, content in begin.items() if not name.endswith("-shm")}
    acked: set[tuple[int, int]] = set()
    at = 0
    for moment in moments:
        for operation in operations[at:moment]:
            play(operation, files, acked)
        at = moment
        shutil.rmtree(cut_folder, ignore_errors=True)
        cut_folder.mkdir()
        for file_name, file in files.items():
            (cut_folder / file_name).write_bytes(file.after_cut(rng))
        for key, value in check(cut_folder, acked, tokens, batches, expected).items():
            total[key] += int(value)
    return {
        "cuts": len(moments),
        "writes_and_syncs": len(operations),
        "acknowledged_batches": CLIENTS * batches,
        **total,
    }


def play(operation: Operation, files: dict[str, DiskFile], acked: set[tuple[int, int]]) -> None:
    """Do one logged operation to the disk."""
    name = Path(operation.path).name
    if name == ACK:
        acked.add(struct.unpack("<II", operation.data))  # type: ignore[arg-type]
        return
    if name.endswith("-shm"):
        return  # rebuilt from the log by whoever opens first
    file = files.setdefault(name, DiskFile())
    if operation.kind == "S":
        file.sync()
    elif operation.kind == "U":
        files.pop(name)
    else:
        file.pending.append(operation)


if __name__ == "__main__":
    main()

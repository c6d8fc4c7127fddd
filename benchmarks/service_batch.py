"""
What a minute of a watch costs the service: CPU of the answer and of the work behind it, one thread, in one process.

    python -m benchmarks.service_batch

PPG at 64 Hz and acceleration at 3 x 32 Hz from several watches, a batch a minute, on SQLite with each commit synced;
and an hour of each at once, as after a time without a network. CPU time, not the clock: a busy machine adds some to it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.service_ingest import PERIOD_S, Signal, people
from benchmarks.service_store import SECRET, empty_store, goal, load_average, write_result
from data.recording import Channel, Recording
from services.store.migrate import open_store
from services.store.store import Store, now_us
from services.sync.app import create_app
from services.sync.config import Settings
from services.worker.engine import Ability, shipped_abilities
from services.worker.worker import Night, Worker

RESULT = Path(__file__).parent / "results" / "service_batch.json"
COMMAND = "python -m benchmarks.service_batch"
WARM = 2  # minutes before anything counts: first boots, first networks
# 2,000 watches send 33.3 batches a second: what one core has for each.
BUDGET_MS = 30.0


def cpu_ms(work: Callable[[], Any]) -> float:
    """Return the CPU time of this process for `work`, in ms."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


def tasks(abilities: tuple[Ability, ...], times: int) -> dict[str, dict[str, float]]:
    """Return the CPU in ms, least of `times`, that each task takes for the last of three minutes."""
    signal = Signal(3)
    channels = {"ppg": Channel("ppg", 64.0, signal.ppg.astype("f4"))}
    for column, name in enumerate(("acc_x", "acc_y", "acc_z")):
        channels[name] = Channel(name, 32.0, (signal.acc[:, column] * 0.001).astype("f4"))
    whole, found = Recording("load", "load", channels), {}
    for ability in abilities:
        task, window = ability.task, ability.task.window
        if ability.sequence or not ability.required <= channels.keys():
            continue
        first, last = round(2 * PERIOD_S / window.step_s), window.count(3 * PERIOD_S)
        part = whole.slice(first * window.step_s - window.context_s, 3 * PERIOD_S)
        windows = task.prepare(part, (first, last))
        outputs = ability.predict(windows)
        steps: dict[str, Callable[[], Any]] = {
            "prepare": lambda t=task, p=part, a=first, b=last: t.prepare(p, (a, b)),  # type: ignore[misc]
            "predict": lambda a=ability, w=windows: a.predict(w),  # type: ignore[misc]
            "decode": lambda a=ability, o=outputs, w=windows: a.decoder().update(o, w),  # type: ignore[misc]
        }
        found[task.name] = {"windows": len(windows)} | {
            name: round(min(cpu_ms(work) for _ in range(times)), 3) for name, work in steps.items()
        }
    return found


def batches(abilities: tuple[Ability, ...], watches: int, minutes: int) -> dict[str, float]:
    """Return CPU and statements of a batch, in the answer and in the worker; and the CPU of an hour at once."""
    with empty_store("sqlite") as url:
        tokens, signal, store = people(url, watches), Signal(60), open_store(url)
        settings = Settings(store=url, secret=SECRET, rate_per_minute=0, signin_per_minute=0)
        client, worker = create_app(settings, store).test_client(), Worker(store, abilities, night=Night(120, 3600))
        statements, began_us = _counted(store), now_us()

        def send(device: str, token: str, k: int) -> None:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/msgpack"}
            # Minutes pass here in seconds: the wall clock goes along, or it would contradict the watch's own.
            body = signal.body(device, k, began_us + round((k + 1) * PERIOD_S * 1e6))
            assert client.post("/v1/batches", data=body, headers=headers).status_code == 200

        def send_all(k: int) -> None:
            for device, token in tokens:
                send(device, token, k)

        answer = work = 0.0
        for k in range(minutes + WARM):
            if k == WARM:
                answer = work = 0.0
                statements.clear()
            answer += cpu_ms(lambda k=k: send_all(k))  # type: ignore[misc]
            work += cpu_ms(worker.drain)
        n = watches * minutes
        said = {"answer_ms": answer / n, "work_ms": work / n, "statements": statements["all"] / n}
        for k in range(minutes + WARM, 60):
            send_all(k)
        rest = cpu_ms(worker.drain) / watches / (60 - minutes - WARM) * 60
        store.close()
    return {name: round(value, 2) for name, value in {**said, "an_hour_at_once_ms": rest}.items()}


def _counted(store: Store) -> Counter[str]:
    found: Counter[str] = Counter()
    for engine in (store.engine, store.reader):
        event.listen(engine, "before_cursor_execute", lambda *_: found.update(("all",)))
    return found


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small version; prints only")
    options = parser.parse_args()
    threadpool_limits(1)
    abilities = shipped_abilities()
    said = batches(abilities, *((2, 2) if options.quick else (10, 8)))
    result = {"tasks": tasks(abilities, 2 if options.quick else 15), **said, "load_average": load_average()}
    spent = said["answer_ms"] + said["work_ms"]
    result["goals"] = [
        goal(
            "CPU of a real-rate minute of one watch: answered, stored, heart rate, falls, activity and steps computed",
            f"≤ {BUDGET_MS:.0f} ms (2,000 watches a core)",
            f"{spent:.1f} ms: {said['answer_ms']:.1f} the answer, {said['work_ms']:.1f} the work",
            spent <= BUDGET_MS, COMMAND,
        )
    ]  # fmt: skip
    if options.quick:
        print(json.dumps(result))
    else:
        write_result("service_batch", result)


if __name__ == "__main__":
    main()

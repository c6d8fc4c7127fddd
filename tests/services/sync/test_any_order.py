"""Any order, duplication and loss of messages ends in the same bytes (a Hypothesis state machine)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from services.store.migrate import open_store
from services.sync.app import create_app
from services.sync.config import Settings
from services.worker.worker import Worker
from tests.services.client import Person, wall
from tests.services.conftest import SECRET
from tests.services.dump import dump
from tests.services.fake_task import pulse_ability

# `python -m benchmarks.service_any_order` runs ten times as many.
EXAMPLES = int(os.environ.get("WRISTWISE_ANY_ORDER_EXAMPLES", "25"))
OTHER_BOOT = "22222222-2222-4222-8222-222222222222"


class Side:
    """One service with one wearer, on a copy of an empty store."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / f"{name}.db"
        shutil.copy(folder / "template.db", path)
        self.store = open_store(f"sqlite:///{path}", durable=False)
        app = create_app(
            Settings(store=self.store.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0), self.store
        )
        with mock.patch("secrets.randbits", return_value=7):  # derived ids hang on the user's: the same on both sides
            self.person = Person(app.test_client(), self.store)
        self.worker = Worker(self.store, [pulse_ability()])

    def send(self, batch: dict[str, Any]) -> None:
        assert self.person.send(batch).status_code == 200

    def state(self) -> str:
        self.worker.drain()
        return dump(self.store, self.person.user_id)


def messages(person: Person) -> list[dict[str, Any]]:
    """Half an hour of one watch: gaps, a change of rate, a reboot, a jumped clock, a flight, records, rubbish."""

    def at(seq: int, **changes: Any) -> dict[str, Any]:
        return person.chunk(seq, **changes)

    found = []
    for k in range(12):
        chunks = [at(seq) for seq in range(k * 6, k * 6 + 6) if seq not in (9, 10, 11, 12, 13, 14, 15, 31)]
        batch = person.batch(chunks, at_s=60 * k + 61)
        if k == 3:
            batch["sent"]["wall"] = wall(86_400)  # somebody set the clock, for one batch
        if k >= 8:
            batch["sent"]["utc_offset_s"] = -18_000
        found.append(batch)
    found.append(person.batch([at(9), at(31)], at_s=900))  # late, joins two runs
    fast = [at(s, t0_us=(s - 72) * 5_000_000 + 800_000_000, rate_hz=16.0) for s in range(72, 78)]
    found.append(person.batch(fast, at_s=905))
    found.append(person.batch([at(78, n=7), {"stream": "ppg"}], at_s=1000))
    rebooted = [person.chunk(s, boot_id=OTHER_BOOT) for s in range(3)]
    found.append({**person.batch(rebooted), "sent": {"monotonic_us": 31_000_000, "wall": wall(2000)}})
    for version in (1, 3, 2):
        record = {
            "client_record_id": "weight", "client_record_version": version, "kind": "weight",
            "start": wall(5), "end": wall(5), "value": 70.0 + version, "deleted": version == 2,
        }  # fmt: skip
        found.append(person.batch([], at_s=1010 + version, records=[record]))
    return found


class AnyOrder(RuleBasedStateMachine):
    """Feeds one side at random, then compares it with a side that got everything once and in order."""

    folder: Path
    expected: str
    counted: ClassVar[Counter[str]] = Counter()

    @initialize()
    def start(self) -> None:
        self.side = Side(self.folder, "other")
        self.messages = messages(self.side.person)
        self.missing = set(range(len(self.messages)))

    @rule(index=st.integers(0, 18))
    def deliver(self, index: int) -> None:
        """Sent, or sent again."""
        self.side.send(self.messages[index])
        self.missing.discard(index)
        self.counted["deliveries"] += 1

    @rule(index=st.integers(0, 18), keep=st.randoms(use_true_random=False))
    def deliver_in_another_cut(self, index: int, keep: Any) -> None:
        """The watch lost the answer and sends some of the chunks in another batch, in another order."""
        batch = self.messages[index]
        chunks = [c for c in batch["chunks"] if keep.random() < 0.5]
        keep.shuffle(chunks)
        self.side.send({**batch, "chunks": chunks})
        self.counted["deliveries"] += 1

    @rule()
    def work(self) -> None:
        self.side.worker.step()

    def teardown(self) -> None:
        if not hasattr(self, "missing"):
            return
        for index in sorted(self.missing):
            self.side.send(self.messages[index])
        try:
            assert self.side.state() == self.expected
            self.counted["sequences"] += 1
        finally:
            self.side.store.close()


def make_template(folder: Path) -> None:
    """Write an empty store to copy from."""
    open_store(f"sqlite:///{folder / 'template.db'}", durable=False).close()


def expected_state(folder: Path) -> str:
    """Return the state after every message once, in order, with the worker last."""
    side = Side(folder, "reference")
    for message in messages(side.person):
        side.send(message)
    state = side.state()
    side.store.close()
    return state


def test_any_order_duplication_and_loss_ends_in_the_same_bytes(record_property: Callable[[str, object], None]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_template(folder)
        AnyOrder.folder, AnyOrder.expected = folder, expected_state(folder)
        assert AnyOrder.expected.count('"heart_rate"') > 200
        run_state_machine_as_test(
            AnyOrder,
            settings=settings(
                max_examples=EXAMPLES, stateful_step_count=25, deadline=None, database=None, derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    for name, count in AnyOrder.counted.items():
        record_property(name, count)
    assert AnyOrder.counted["sequences"] >= EXAMPLES

"""The worker's loop: claim, compute, write, and give back what it cannot do."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from services.store import accounts, intake, jobs
from services.store.cipher import Cipher
from services.store.failpoints import failpoint
from services.store.jobs import Job
from services.store.store import Store, now_us
from services.worker.compute import Boot, TaskResult, compute_task, write_task
from services.worker.engine import Ability

_log = logging.getLogger("wristwise.worker")
PROCESS = "process"
# Tasks whose network needs a night at once: not with every batch, but when it has grown quiet.
NIGHT = "night"
# Jobs claimed and written together: their commits share one sync to disk.
GROUP = 16
# How often to look for work that another process asked for.
LOOK_S = 0.5


@dataclass(frozen=True)
class Night:
    """When to compute what needs a whole night: once it is quiet, but at least every so often."""

    quiet_s: float = 0.0
    every_s: float = 0.0

    def due_us(self, now: int, since: int) -> int:
        """Return when work that was first wanted at `since` is due, if more samples came just now."""
        return max(now, min(now + round(self.quiet_s * 1e6), since + round(self.every_s * 1e6)))


@dataclass(frozen=True)
class Done:
    """One job's outcome: what to write."""

    job: Job
    write: Callable[[Connection], None]


class Worker:
    """
    Turns chunks into records until it is told to stop.

    Parameters
    ----------
    store : Store
    abilities : sequence of Ability
        What can be computed; see `engine.shipped_abilities`.
    handlers : mapping of str to callable, optional
        Further kinds of work: a function of (store, job) that returns what to write.
    night : Night, optional
        When to compute the tasks that need a night at once.
    """

    def __init__(
        self,
        store: Store,
        abilities: Sequence[Ability],
        handlers: Mapping[str, Callable[[Store, Job], Callable[[Connection], None]]] | None = None,
        night: Night | None = None,
    ) -> None:
        self._store = store
        self._live = tuple(a for a in abilities if not a.sequence)
        self._whole = tuple(a for a in abilities if a.sequence)
        self._night = night or Night()
        self._handlers = {PROCESS: self._process, NIGHT: self._compute_night, **(handlers or {})}
        self._owner = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop`; then give back what was claimed."""
        while not self._stopping.is_set():
            seen = self._store.commits()
            if not self.step():
                self._store.wait(seen, LOOK_S)
        self._store.write(lambda conn: jobs.release(conn, self._owner))

    def stop(self) -> None:
        """Finish the group under way, then return from `run`."""
        self._stopping.set()

    def step(self) -> int:
        """Do one group of jobs and return how many there were."""
        # Looking first: a claim is a commit, and a commit wakes whoever waits for one, ourselves too.
        if not self._store.read(lambda conn: jobs.any_due(conn, list(self._handlers))):
            return 0
        claimed = self._store.write(lambda conn: jobs.claim(conn, self._owner, list(self._handlers), GROUP))
        failpoint("worker.claimed")
        done = [outcome for job in claimed if (outcome := self._try(job)) is not None]
        # Everybody locks users in this order, so no two workers wait for each other.
        done.sort(key=lambda outcome: outcome.job.user_id)
        failpoint("worker.computed")
        if done:
            try:
                self._store.write(lambda conn: _apply_all(conn, done))
            except Exception:
                self._apply_alone(done)
        failpoint("worker.written")
        return len(claimed)

    def drain(self, limit: int = 10_000) -> None:
        """Work until nothing is due (tests, backfill)."""
        for _ in range(limit):
            if not self.step():
                return

    def _try(self, job: Job) -> Done | None:
        try:
            return Done(job, self._handlers[job.kind](self._store, job))
        except Exception as error:
            self._give_back(job, error)
            return None

    def _apply_alone(self, done: Sequence[Done]) -> None:
        """One of a group cannot be written: write the others, and give back that one."""
        for outcome in done:
            try:
                self._store.write(lambda conn, outcome=outcome: _apply(conn, outcome))  # type: ignore[misc]
            except Exception as error:
                self._give_back(outcome.job, error)

    def _give_back(self, job: Job, error: Exception) -> None:
        # The kind of error only: its text may hold what a body measured. The job's row keeps the text.
        dead = self._store.write(lambda conn: jobs.fail(conn, job, f"{type(error).__name__}: {error}"))
        outcome = "given up" if dead else "tried again later"
        _log.warning("job %s of kind %s failed with %s, %s", job.key, job.kind, type(error).__name__, outcome)

    def _process(self, store: Store, job: Job) -> Callable[[Connection], None]:
        write_live = self._compute(store, job, self._live)

        def write(conn: Connection) -> None:
            write_live(conn)
            if self._whole:
                now = now_us()
                since = jobs.wanted_since(conn, job.user_id, NIGHT, job.key) or now
                touched = (job.touched_us, job.touched_end_us) if job.touched_us <= job.touched_end_us else None
                jobs.want(
                    conn, job.user_id, NIGHT, job.key, touched=touched, payload={"since_us": since},
                    due_us=self._night.due_us(now, since),
                )  # fmt: skip

        return write

    def _compute_night(self, store: Store, job: Job) -> Callable[[Connection], None]:
        return self._compute(store, job, self._whole)

    def _compute(self, store: Store, job: Job, abilities: Sequence[Ability]) -> Callable[[Connection], None]:
        device_id, _, boot_id = job.key.rpartition("/")

        def compute(conn: Connection) -> tuple[Boot, list[TaskResult]] | None:
            boot = open_boot(conn, job.user_id, device_id, boot_id, store.cipher)
            if boot is None:
                return None
            touched = (job.touched_us, job.touched_end_us)
            return boot, [compute_task(conn, boot, ability, touched) for ability in abilities]

        computed = store.read(compute)

        def write(conn: Connection) -> None:
            if computed is not None:
                for result in computed[1]:
                    write_task(conn, computed[0], result)

        return write


def open_boot(conn: Connection, user_id: int, device_id: str, boot_id: str, cipher: Cipher) -> Boot | None:
    """Return a boot that can be placed in time, else None: its samples wait for a clock reading."""
    clock = intake.boot_clock(conn, user_id, device_id, boot_id)
    streams = {row.stream_no: row.stream for row in intake.list_streams(conn, user_id, device_id, boot_id)}
    return Boot(user_id, device_id, boot_id, clock, streams, cipher) if clock is not None and streams else None


def _apply_all(conn: Connection, done: Sequence[Done]) -> None:
    for outcome in done:
        _apply(conn, outcome)


def _apply(conn: Connection, outcome: Done) -> None:
    # The user first, then the job: everybody locks in that order.
    if accounts.lock_user(conn, outcome.job.user_id) is None or not jobs.hold(conn, outcome.job):
        return  # deleted meanwhile, or the lease ran out and somebody else has it
    outcome.write(conn)
    jobs.finish(conn, outcome.job)

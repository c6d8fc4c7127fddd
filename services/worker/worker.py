"""The worker's loop: claim, compute, write, and give back what it cannot do."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from services.store import accounts, intake, jobs
from services.store.failpoints import failpoint
from services.store.jobs import Job
from services.store.store import Store, now_us
from services.worker.compute import Boot, BootWalk, TaskResult, plan_walks
from services.worker.engine import Ability
from services.worker.writing import write_results

_log = logging.getLogger("wristwise.worker")
PROCESS = "process"
# Tasks whose network needs a night at once: not with every batch, but when it has grown quiet.
NIGHT = "night"
# Jobs under way at once, written together: their commits share one sync to disk.
GROUP = 16
# A day that comes at once is computed in slices, between which newer work has its turn; so much of a boot a slice.
SLICE_S = 900.0
# Jobs of more than a slice that are under way at once: the rest of the group is for what has just been sensed.
LONG = 4
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


Write = Callable[[Connection], None]


@dataclass(frozen=True)
class Slice:
    """A part of a job, computed: what to write, and whether it is the last."""

    write: Write
    last: bool = True


@dataclass
class Going:
    """A job under way: its slices to come, and the one that is to be written."""

    job: Job
    slices: Iterator[Slice]
    slice: Slice = Slice(lambda _: None)
    over: bool = False


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
        handlers: Mapping[str, Callable[[Store, Job], Write]] | None = None,
        night: Night | None = None,
    ) -> None:
        self._store = store
        self._live = tuple(a for a in abilities if not a.sequence)
        self._whole = tuple(a for a in abilities if a.sequence)
        self._night = night or Night()
        self._handlers = dict(handlers or {})
        self._kinds = [PROCESS, NIGHT, *self._handlers]
        self._going: list[Going] = []
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
        """Do a slice of each job under way, with new ones among them; return how many there were."""
        self._claim()
        if not self._going:
            return 0
        failpoint("worker.claimed")
        group = list(self._going)
        done = [going for going in group if self._advance(going)]
        # Everybody locks users in this order, so no two workers wait for each other.
        done.sort(key=lambda going: going.job.user_id)
        failpoint("worker.computed")
        if done:
            try:
                self._store.write(lambda conn: _apply_all(conn, done))
            except Exception:
                self._apply_alone(done)
        self._going = [going for going in group if not going.over]
        failpoint("worker.written")
        return len(group)

    def _claim(self) -> None:
        # Looking first: a claim is a commit, and a commit wakes whoever waits for one, ourselves too.
        room = GROUP - len(self._going)
        if not room or not self._store.read(lambda conn: jobs.any_due(conn, self._kinds)):
            return
        longest = round(SLICE_S * 1e6) if len(self._going) >= LONG else None
        claimed = self._store.write(lambda conn: jobs.claim(conn, self._owner, self._kinds, room, longest))
        self._going += [Going(job, self._slices(job)) for job in claimed]

    def drain(self, limit: int = 10_000) -> None:
        """Work until nothing is due (tests, backfill)."""
        for _ in range(limit):
            if not self.step():
                return

    def _advance(self, going: Going) -> bool:
        try:
            going.slice = next(going.slices)
        except Exception as error:
            self._give_back(going, error)
        return not going.over

    def _apply_alone(self, done: Sequence[Going]) -> None:
        """One of a group cannot be written: write the others, and give back that one."""
        for going in done:
            try:
                self._store.write(lambda conn, going=going: _apply(conn, going))  # type: ignore[misc]
            except Exception as error:
                self._give_back(going, error)

    def _give_back(self, going: Going, error: Exception) -> None:
        going.over, job = True, going.job
        # The kind of error only: its text may hold what a body measured. The job's row keeps the text.
        dead = self._store.write(lambda conn: jobs.fail(conn, job, f"{type(error).__name__}: {error}"))
        outcome = "given up" if dead else "tried again later"
        _log.warning("job %s of kind %s failed with %s, %s", job.key, job.kind, type(error).__name__, outcome)

    def _slices(self, job: Job) -> Iterator[Slice]:
        if job.kind == PROCESS:
            yield from self._compute(job, self._live, self._want_night if self._whole else None)
        elif job.kind == NIGHT:
            yield from self._compute(job, self._whole, None)
        else:
            yield Slice(self._handlers[job.kind](self._store, job))

    def _want_night(self, conn: Connection, job: Job) -> None:
        now = now_us()
        since = jobs.wanted_since(conn, job.user_id, NIGHT, job.key) or now
        touched = (job.touched_us, job.touched_end_us) if job.touched_us <= job.touched_end_us else None
        jobs.want(
            conn, job.user_id, NIGHT, job.key, touched=touched, payload={"since_us": since},
            due_us=self._night.due_us(now, since),
        )  # fmt: skip

    def _compute(
        self, job: Job, abilities: Sequence[Ability], then: Callable[[Connection, Job], None] | None
    ) -> Iterator[Slice]:
        """Compute a boot slice by slice; `then` is done with the last."""
        store = self._store
        device_id, _, boot_id = job.key.rpartition("/")
        touched = (job.touched_us, job.touched_end_us)

        def plan(conn: Connection) -> BootWalk | None:
            boot = open_boot(conn, job.user_id, device_id, boot_id)
            return None if boot is None else BootWalk(store, boot, plan_walks(conn, boot, abilities, touched))

        walk, last = store.read(plan), False
        while not last:
            results, last = walk.advance(SLICE_S) if walk is not None else ([], True)

            def write(conn: Connection, results: list[TaskResult] = results, last: bool = last) -> None:
                if walk is not None:
                    write_results(conn, walk.boot, results)
                if last and then is not None:
                    then(conn, job)

            yield Slice(write, last)


def open_boot(conn: Connection, user_id: int, device_id: str, boot_id: str) -> Boot | None:
    """Return a boot that can be placed in time, else None: its samples wait for a clock reading."""
    clock = intake.boot_clock(conn, user_id, device_id, boot_id)
    streams = {row.stream_no: row.stream for row in intake.boot_streams(conn, user_id, device_id, boot_id)}
    return Boot(user_id, device_id, boot_id, clock, streams) if clock is not None and streams else None


def _apply_all(conn: Connection, done: Sequence[Going]) -> None:
    for going in done:
        _apply(conn, going)


def _apply(conn: Connection, going: Going) -> None:
    # The user first, then the job: everybody locks in that order.
    job = going.job
    if accounts.lock_user(conn, job.user_id) is None or not jobs.hold(conn, job):
        going.over = True  # deleted meanwhile, or the lease ran out and somebody else has it
        return
    going.slice.write(conn)
    if going.slice.last:
        jobs.finish(conn, job)
        going.over = True
    else:
        jobs.renew(conn, job)

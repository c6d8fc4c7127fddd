"""`Store`: transactions on SQLite (one writer, group commit) or PostgreSQL (many processes)."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from services.store.cipher import Cipher
from services.store.errors import StoreError
from services.store.failpoints import failpoint

T = TypeVar("T")
Work = Callable[[Connection], T]
# A group commit waits for nobody: it takes what has queued up while the last one was syncing.
GROUP = 64
# PostgreSQL: serialization_failure, deadlock_detected.
RETRY_SQLSTATES = {"40001", "40P01"}
POOLER = "pooler"


def now_us() -> int:
    """Return the present in microseconds of UTC."""
    return time.time_ns() // 1000


class Store:
    """
    A store of one URL.

    Parameters
    ----------
    url : str
        ``sqlite:///path`` or ``postgresql+psycopg://...``; with ``pooler=transaction`` in its query where a pooler
        such as pgbouncer stands in front and gives each transaction another connection.
    durable : bool, default=True
        False skips the sync to disk at each commit (tests only).
    data_key : str, default=""
        Encrypts samples at rest; see `Cipher`.

    Notes
    -----
    `write` returns only after the commit is on stable storage. The work given to it may run more than once, so
    it must have no effect but that on its connection.
    """

    def __init__(self, url: str, *, durable: bool = True, data_key: str = "") -> None:
        self.url = url
        self.cipher = Cipher(data_key)
        self._durable = durable
        self._listeners = threading.Condition()
        self._commits = 0
        self._closed = False
        self._closers: list[Callable[[], None]] = []
        if url.startswith("sqlite"):
            self.engine = _sqlite_engine(url, durable, query_only=False)
            self.reader = _sqlite_engine(url, durable, query_only=True)
            self._writer: _GroupWriter | None = _GroupWriter(self.engine, self._committed)
        elif url.startswith("postgresql"):
            self.engine = self.reader = _postgres_engine(url)
            self._writer = None
        else:
            raise StoreError(f"the store's URL must begin with sqlite or postgresql, got {url.split(':')[0]!r}")

    @property
    def sqlite(self) -> bool:
        """Whether this is the embedded store."""
        return self._writer is not None

    @property
    def path(self) -> Path | None:
        """The file of an embedded store."""
        return Path(str(self.engine.url.database)) if self.sqlite else None

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its result once that is durable."""
        self._check_open()
        if self._writer is not None:
            return self._writer.submit(work)
        result = self._write_postgres(work)
        self._committed()
        return result

    def read(self, work: Work[T]) -> T:
        """Run `work` in a read-only snapshot."""
        self._check_open()
        with self.reader.connect() as conn, conn.begin():
            return work(conn)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed; open it again before you use it")

    def _write_postgres(self, work: Work[T]) -> T:
        for attempt in range(8):
            try:
                with self.engine.begin() as conn:
                    result = work(conn)
                    failpoint("store.before-commit")
                failpoint("store.after-commit")
                return result
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in RETRY_SQLSTATES or attempt == 7:
                    raise
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    def _committed(self) -> None:
        with self._listeners:
            self._commits += 1
            self._listeners.notify_all()

    def commits(self) -> int:
        """Return how many commits this process has made; give it to `wait`."""
        return self._commits

    def wait(self, seen: int, timeout_s: float) -> None:
        """Wait until this process has committed since `seen`, at most `timeout_s`."""
        with self._listeners:
            self._listeners.wait_for(lambda: self._commits != seen, timeout_s)

    def ping(self) -> None:
        """Raise unless the store answers."""
        self.read(lambda conn: conn.exec_driver_sql("SELECT 1").scalar())

    def before_close(self, work: Callable[[], None]) -> None:
        """Have `work` done, once, before the store closes: what was gathered in memory is written then."""
        self._closers.append(work)

    def close(self) -> None:
        """Finish what was submitted and let all connections go."""
        for work in self._closers:
            work()
        self._closers.clear()
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        with self._listeners:
            self._commits += 1
            self._listeners.notify_all()
        self.reader.dispose()
        self.engine.dispose()


def _postgres_engine(url: str) -> Engine:
    parsed = make_url(url)
    pooler = parsed.query.get(POOLER, "none")
    if pooler not in ("none", "transaction"):
        raise StoreError(f"{POOLER} in the store's URL must be transaction, or left out, got {pooler!r}; correct it")
    # A statement that was prepared on one connection is not there on the next that the pooler gives.
    options = {"prepare_threshold": None} if pooler == "transaction" else {}
    return create_engine(
        parsed.difference_update_query([POOLER]), pool_size=16, max_overflow=16, pool_pre_ping=True, pool_recycle=1800,
        connect_args=options,
    )  # fmt: skip


def _sqlite_engine(url: str, durable: bool, *, query_only: bool) -> Engine:
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=8, max_overflow=56, connect_args={"check_same_thread": False, "timeout": 30}
    )

    @event.listens_for(engine, "connect")
    def _connect(raw: Any, _: Any) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves; the driver's own transactions know no IMMEDIATE
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: a commit is synced before it is answered, so that a power cut takes nothing that was acknowledged.
        cursor.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=30000")
        # In KiB. Readers are many, one a thread, and what they read lies in the system's own cache as well.
        cursor.execute(f"PRAGMA cache_size={-2000 if query_only else -16000}")
        cursor.execute("PRAGMA temp_store=MEMORY")
        # What is deleted is overwritten: a deleted account leaves no bytes in the file.
        cursor.execute("PRAGMA secure_delete=ON")
        if query_only:
            cursor.execute("PRAGMA query_only=1")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN" if query_only else "BEGIN IMMEDIATE")

    return engine


class _GroupWriter:
    """One thread that writes: what queues up while a commit syncs shares the next one."""

    def __init__(self, engine: Engine, committed: Callable[[], None]) -> None:
        self._engine = engine
        self._committed = committed
        self._queue: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, work: Work[T]) -> T:
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed; open it again before you write")
            # Started at the first write, not in the constructor: a server forks its workers in between.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                self._thread.start()
            self._queue.put((work, future))
        return future.result()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None and thread.is_alive():
            self._queue.put(None)
            thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            while len(group) < GROUP and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    self._queue.put(None)
                    break
                group.append(item)
            self._commit(group)

    def _commit(self, group: list[tuple[Work[Any], Future[Any]]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        failed: list[tuple[Future[Any], BaseException]] = []
        try:
            with self._engine.connect() as conn, conn.begin():
                for work, future in group:
                    try:
                        with conn.begin_nested():
                            done.append((future, work(conn)))
                    except OperationalError:
                        raise  # disk full, I/O error: nobody in this group is safe
                    except BaseException as error:
                        failed.append((future, error))
                failpoint("store.before-commit")
            failpoint("store.after-commit")
        except BaseException as error:
            for _, future in group:
                future.set_exception(error)
            return
        self._committed()
        for future, result in done:
            future.set_result(result)
        for future, fault in failed:
            future.set_exception(fault)

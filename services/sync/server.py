"""Running the API and the worker: both in this process for a while (tests, the demo), or the worker in its own."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from werkzeug.serving import WSGIRequestHandler, make_server

from services.insight.follow import Follower
from services.logs import write_logs
from services.store.hooks import DELIVER
from services.store.migrate import open_store
from services.store.store import Store
from services.sync.clientrecords import record_body
from services.sync.config import Settings
from services.sync.context import Service
from services.sync.memory import give_back_memory
from services.worker.deliver import deliverer
from services.worker.worker import Night, Worker

if TYPE_CHECKING:
    from services.worker.engine import Ability


@dataclass(frozen=True)
class Running:
    """A service that runs in this process."""

    url: str
    store: Store
    settings: Settings


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive, as gunicorn has it

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: ARG002
        logging.getLogger("wristwise.http").debug(message, *args)


@contextmanager
def running(
    settings: Settings, abilities: Sequence[Ability] | None = None, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Running]:
    """
    Run the API and the worker in threads of this process; port 0 takes a free one.

    Parameters
    ----------
    abilities : sequence of Ability, optional
        What the worker computes; default: every registered task whose bundle is shipped.
    """
    from services.sync.app import create_app  # here: a worker's process has no use for it

    store = open_store(settings.store, data_key=settings.data_key)
    app = create_app(settings, store)
    server = make_server(host, port, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True  # type: ignore[attr-defined]
    workers = Workers(store, settings, abilities)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    workers.start()
    try:
        yield Running(f"http://{host}:{server.server_port}", store, settings)
    finally:
        service: Service = app.extensions["wristwise"]
        service.stopping.set()
        server.shutdown()
        server.server_close()
        workers.stop()
        store.close()


class Workers:
    """
    Worker threads beside an API, or alone.

    The abilities are loaded by the first of them, so that an API beside answers before all bundles are open.
    """

    def __init__(self, store: Store, settings: Settings, abilities: Sequence[Ability] | None = None) -> None:
        # Windows are small matrices: BLAS threads would only wait for each other (measured: four times the CPU).
        threadpool_limits(1, user_api="blas")
        self._store, self._settings, self._abilities = store, settings, abilities
        self._follower = Follower(store, settings.insight_every_s)
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._stopping = False
        self._starter = threading.Thread(target=self._work, name="workers", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._starter.start()
        self._follower.start()

    def _work(self) -> None:
        if self._abilities is None and self._settings.workers:
            from services.worker.engine import shipped_abilities

            self._abilities = shipped_abilities()
        night = Night(self._settings.night_quiet_s, self._settings.night_every_s)
        handlers = {DELIVER: deliverer(record_body, bool(self._settings.private_hooks))}
        with self._lock:
            if self._stopping:
                return
            self._workers = [
                Worker(self._store, self._abilities or (), handlers, night) for _ in range(self._settings.workers)
            ]
        threads = [threading.Thread(target=w.run, name=f"worker-{i}", daemon=True) for i, w in enumerate(self._workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def ask_to_stop(self) -> None:
        """Ask every worker to finish what is under way; `join` waits for it."""
        with self._lock:
            self._stopping = True
            for worker in self._workers:
                worker.stop()
        self._follower.stop()

    def stop(self) -> None:
        """Finish what is under way and give back the rest."""
        self.ask_to_stop()
        self.join()

    def join(self) -> None:
        """Wait until the workers end."""
        self._starter.join()
        self._follower.join()


def work(settings: Settings) -> None:
    """Compute until SIGTERM or SIGINT, in a process that does nothing else."""
    write_logs(settings.log_level)
    give_back_memory(1 << 20)  # a minute's matrices are smaller; those of a day that comes at once are not
    store = open_store(settings.store, data_key=settings.data_key)
    workers = Workers(store, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: workers.ask_to_stop())
    workers.start()
    workers.join()
    store.close()

"""The service under gunicorn: processes that answer and, for `serve`, one beside them that computes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from services.logs import write_logs
from services.store.migrate import open_store
from services.sync.config import Settings
from services.sync.memory import give_back_memory

if TYPE_CHECKING:
    from services.sync.context import Service

# The worker gives way: what a watch sends is answered first, and computed with the time that is left.
NICE = 5
GRACE_S = 20
_PR_SET_PDEATHSIG = 1


class _ServerLog(Logger):  # type: ignore[misc]
    """Gunicorn's own log, in our lines."""

    def setup(self, cfg: Any) -> None:
        """Let the handler of the root write, instead of one of gunicorn's."""
        write_logs(cfg.loglevel)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
        self.error_log.setLevel("WARNING")


class Gunicorn(BaseApplication):  # type: ignore[misc]
    """
    The service under gunicorn: threads in one process, or in several on PostgreSQL.

    Parameters
    ----------
    processes : int
        Processes that answer.
    with_worker : bool
        Keep a process beside them that computes. A process of its own, not a thread: Python runs one thread at a
        time, and an answer would wait for the mathematics of others.
    """

    def __init__(self, settings: Settings, bind: str, processes: int, with_worker: bool) -> None:
        self.settings, self.with_worker = settings, with_worker
        self._options: dict[str, Any] = {
            "bind": bind, "workers": processes, "worker_class": "gthread", "threads": settings.threads,
            "keepalive": 30, "graceful_timeout": GRACE_S, "timeout": 120, "accesslog": None,
            "loglevel": settings.log_level, "logger_class": _ServerLog,
            "worker_exit": _close, "control_socket_disable": True,
        }  # fmt: skip
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its options, as far as the installed version knows them."""
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Open the store in the process that uses it, never before the fork."""
        from services.sync.app import create_app  # here: neither the master nor the worker has a use for it

        give_back_memory(256 << 10)
        store = open_store(self.settings.store, data_key=self.settings.data_key)
        app = create_app(self.settings, store)
        _open.append(app.extensions["wristwise"])
        return app

    def run(self) -> None:
        """Serve until SIGTERM."""
        _Master(self).run()


class _Master(Arbiter):  # type: ignore[misc]
    """Gunicorn's master, which keeps a worker beside the processes that answer."""

    def __init__(self, app: Gunicorn) -> None:
        self._worker = 0
        super().__init__(app)

    def manage_workers(self) -> None:
        """As gunicorn's, called at least once a second; start the worker, again if it died."""
        super().manage_workers()
        if self.app.with_worker and not _alive(self._worker):
            self._worker = self._spawn()

    def stop(self, graceful: bool = True) -> None:
        """As gunicorn's; the worker finishes its group meanwhile."""
        until = time.monotonic() + GRACE_S
        if _alive(self._worker):
            os.kill(self._worker, signal.SIGTERM)
        super().stop(graceful)
        while _alive(self._worker):
            if time.monotonic() > until:
                os.kill(self._worker, signal.SIGKILL)
            time.sleep(0.02)

    def _spawn(self) -> int:
        master = os.getpid()
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            for number in (*self.SIGNALS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            die_with_parent(master)
            for listener in self.LISTENERS:
                listener.sock.close()
            os.nice(NICE)
            from services.sync.server import work

            work(self.app.settings)
            status = 0
        except Exception:
            self.log.exception("the worker's process ended by an error")
        finally:
            os._exit(status)


def _alive(pid: int) -> bool:
    """Return whether a child still runs; reap it if not. 0 stands for none."""
    try:
        return pid > 0 and os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:  # gunicorn reaped it
        return False


def die_with_parent(parent: int) -> None:
    """Have this process sent SIGTERM when its `parent` dies, by whatever death (Linux; elsewhere it has to be told)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before it could be watched
            os.kill(os.getpid(), signal.SIGTERM)


_open: list[Service] = []


def _close(arbiter: Any, process: Any) -> None:  # noqa: ARG001
    """Close this process's store once gunicorn has answered what was under way."""
    for service in _open:
        service.stopping.set()
        service.store.close()
    _open.clear()

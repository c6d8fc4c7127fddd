"""A sync service inside this process, for tests and demonstrations: no port to choose, one user, her secret known."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from services.store import accounts, jobs
from services.store.store import Store
from services.sync.config import Settings
from services.sync.server import running
from services.watch import Companion
from services.worker.engine import Ability

OWNER = "wearer"


class LocalService:
    """
    API and worker in threads of this process, on a SQLite file.

    Parameters
    ----------
    path : Path
        The store; it is made where it is absent.
    abilities : tuple of Ability, optional
        What the worker computes; default: every task with its shipped bundle.
    **settings
        Fields of `services.sync.config.Settings`; rate limits are off unless given.

    Attributes
    ----------
    url : str
        Address of the running service; it stays the same through `stop` and `start`.
    store : Store
        Its store, for tests that look inside.
    owner_secret : str
        Secret of the account `OWNER`.
    companion : Companion
        The user's phone, signed in: approves watches, reads what came of them.
    """

    def __init__(self, path: Path, abilities: tuple[Ability, ...] | None = None, **settings: Any) -> None:
        self.path = path
        self._abilities = abilities
        given = {"store": f"sqlite:///{path}", "secret": secrets.token_hex(32)}
        self._settings = Settings(
            **{**given, "rate_per_minute": 0, "signin_per_minute": 0, "night_quiet_s": 0, **settings}
        )
        self.owner_secret = secrets.token_hex(16)
        self._running = ExitStack()
        self._port = 0
        self.url = ""
        self.store: Store
        self.companion: Companion

    def start(self) -> None:
        """Serve, on a free port of the loopback, until `stop`."""
        service = self._running.enter_context(running(self._settings, self._abilities, port=self._port))
        self.url, self.store = service.url, service.store
        self._port = int(self.url.rsplit(":", 1)[1])
        if not self.store.read(accounts.has_users):
            self.store.write(lambda conn: accounts.create_user(conn, OWNER, self.owner_secret))
        self.companion = Companion(self.url, OWNER, self.owner_secret)
        self._running.callback(self.companion.close)

    def stop(self) -> None:
        """Stop serving; the store stays, and `start` goes on with it."""
        self._running.close()

    def add_user(self, name: str) -> Companion:
        """Make another user and return her companion."""
        _, secret = self.store.write(lambda conn: accounts.create_user(conn, name))
        companion = Companion(self.url, name, secret)
        self._running.callback(companion.close)
        return companion

    def settle(self, timeout_s: float = 60.0) -> bool:
        """Wait until no work is left; return whether that came about in time."""
        return self.companion.wait_until(lambda: self.store.read(jobs.counts)["waiting"] == 0, timeout_s, every_s=0.02)

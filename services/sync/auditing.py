"""The audit log: who read or changed what of whom. Gathered by minute, written every few seconds and at the end."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from services.store.errors import StoreError
from services.store.sql import insert_ignore
from services.store.store import Store, now_us
from services.store.tables import audit, users

FLUSH_S = 5.0
_log = logging.getLogger("wristwise.sync")
_MINUTE_US = 60_000_000
# A watch that sends says nothing of whom it reads; everything else is written down.
SILENT = frozenset({"batches.post_batch"})


class Audit:
    """Entries of one process that wait to be written; an entry is (user, minute, actor, action)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: Counter[tuple[int, int, str, str]] = Counter()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        store.before_close(self.flush)

    def note(self, user_id: int, actor: str, action: str) -> None:
        """Write down that `actor` did `action` on the data of a user."""
        minute = now_us() // _MINUTE_US * _MINUTE_US
        with self._lock:
            self._waiting[user_id, minute, actor, action] += 1
            if self._timer is None:
                self._timer = threading.Timer(FLUSH_S, self._flush_in_time)
                self._timer.daemon = True
                self._timer.start()

    def forget(self, user_id: int) -> None:
        """Drop what waits about a user who is being deleted."""
        with self._lock:
            self._waiting = Counter({k: n for k, n in self._waiting.items() if k[0] != user_id})

    def _flush_in_time(self) -> None:
        try:
            self.flush()
        except (StoreError, SQLAlchemyError) as error:
            # The store was closed or is away: what is lost is the log of reads that it could not have answered.
            _log.error("the audit log could not be written: %s", type(error).__name__)

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, Counter()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
        rows = [
            {
                "user_id": user_id, "entry_id": hashlib.sha256(f"{minute}/{actor}/{action}".encode()).hexdigest()[:32],
                "at_us": minute, "actor": actor, "action": action, "detail": "",
            }
            for user_id, minute, actor, action in sorted(waiting)
        ]  # fmt: skip
        for row in rows:
            self._store.write(lambda conn, row=row: _write(conn, row))  # type: ignore[misc]


def _write(conn: Any, row: dict[str, Any]) -> None:
    # The account may have been deleted since: then there is nobody to tell.
    if conn.execute(select(users.c.user_id).where(users.c.user_id == row["user_id"])).first() is not None:
        insert_ignore(conn, audit, [row])


def keep_audit(app: Flask, log: Audit) -> None:
    """Note every authorised request to `app`."""

    def note(response: Response) -> Response:
        access = g.get("access")
        if access is not None and request.endpoint not in SILENT and response.status_code < 400:
            actor = f"{access.scope}/{access.device_id or access.client_id}"
            log.note(access.user_id, actor, f"{request.method} {request.url_rule.rule if request.url_rule else ''}")
        return response

    app.after_request(note)

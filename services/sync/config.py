"""Settings of the service, from the environment; docs/service.md has the table, a test keeps it true."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from data.errors import WristwiseError
from services.logs import LEVELS


class SettingError(WristwiseError, ValueError):
    """A setting is missing or cannot be."""


def _setting(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Settings:
    """
    Every setting; the environment's name is ``WRISTWISE_`` and the field's name in capitals.

    Raises
    ------
    SettingError
        From `from_env`, if a value cannot be read.
    """

    store: str = _setting("", "URL of the store: sqlite:///FILE or postgresql+psycopg://…; required for api and worker")
    secret: str = _setting("", "signs cursors, 32 characters or more; required for api; `serve` keeps its own")
    data_key: str = _setting("", "base64 of 32 bytes: encrypts samples at rest; empty: not encrypted")
    public_url: str = _setting("", "how people reach this service; default: the address of each request")
    max_body: int = _setting(8 << 20, "bytes of a request as sent")
    max_decompressed: int = _setting(32 << 20, "bytes of a request once decompressed")
    max_upload: int = _setting(256 << 20, "bytes of a user's open resumable uploads")
    max_chunks: int = _setting(512, "chunks a batch")
    rate_per_minute: int = _setting(300, "requests a minute and token; 0: no limit")
    signin_per_minute: int = _setting(20, "sign-ins and pairing codes tried a minute and address")
    max_wait_s: int = _setting(30, "longest long poll of /v1/changes")
    max_waiting: int = _setting(32, "long polls held at once in a process; beyond it they are answered at once")
    max_live: int = _setting(32, "live streams held at once in a process; beyond it 503")
    live_s: int = _setting(600, "life of one live stream; the client reconnects with Last-Event-ID")
    quarantine_bytes: int = _setting(64 << 20, "bytes of refused requests and chunks kept for each user")
    tombstone_days: int = _setting(90, "how long deletions stay in the feed")
    raw_days: int = _setting(30, "how long samples are kept; 0: for ever")
    fine_days: int = _setting(365, "how long every estimate is kept, hours remain; 0: for ever")
    audit_days: int = _setting(365, "how long the audit log is kept")
    private_hooks: int = _setting(0, "1: webhooks may go to http and to private addresses (a box at home, tests)")
    metrics_token: str = _setting("", "bearer token that /metrics asks for; empty: it is open")
    night_quiet_s: int = _setting(120, "whole nights are computed once nothing has come for so long ...")
    night_every_s: int = _setting(3600, "... but at least this often while samples come")
    insight_every_s: int = _setting(120, "how often context, findings and reminders are brought up to date")
    log_level: str = _setting(
        "warning", "lines of JSON on stderr from here on: debug, info (each request), warning, error"
    )
    workers: int = _setting(1, "worker threads beside the API in `serve`")
    threads: int = _setting(16, "threads of one API process")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Read the environment; `given` wins over it."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for item in fields(cls):
            name = f"WRISTWISE_{item.name.upper()}"
            if name not in environ or item.name in given:
                continue
            try:
                values[item.name] = int(environ[name]) if isinstance(item.default, int) else environ[name]
            except ValueError as error:
                raise SettingError(f"{name} must be a whole number, got {environ[name]!r}; correct it") from error
        found = cls(**values, **given)
        if found.log_level not in LEVELS:
            raise SettingError(
                f"WRISTWISE_LOG_LEVEL must be one of {', '.join(LEVELS)}, got {found.log_level!r}; correct it"
            )
        return found

    def check_secret(self) -> Settings:
        """Return these settings if they have a secret that will do."""
        if len(self.secret) < 32:
            raise SettingError(
                f"WRISTWISE_SECRET must have at least 32 characters, got {len(self.secret)}; "
                "make one with `python -c 'import secrets; print(secrets.token_hex(32))'`"
            )
        return self

"""What one app holds, and who is asking: the only two things that a route finds around it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from flask import current_app, g

from services.store.accounts import Access
from services.store.store import Store
from services.sync.auditing import Audit
from services.sync.config import Settings
from services.sync.metrics import Metrics


@dataclass(frozen=True)
class Service:
    """The parts of one app."""

    store: Store
    settings: Settings
    audit: Audit
    metrics: Metrics = field(default_factory=Metrics)
    waiting: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(1))
    live: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(1))
    stopping: threading.Event = field(default_factory=threading.Event)


def service() -> Service:
    """Return the parts of the app that answers this request."""
    return cast(Service, current_app.extensions["wristwise"])


def who() -> Access:
    """Return who is asking; only behind `operation` with scopes."""
    return cast(Access, g.access)

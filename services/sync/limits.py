"""Rates: a bucket of tokens for each caller, and a smaller one for those who try secrets and codes."""

from __future__ import annotations

import threading
import time

from flask import Flask, g, request

from services.sync.problems import Problem

# Where a secret, a code or a token is tried without being signed in.
GUESSING = frozenset({"pairing.post_session", "pairing.device_authorization", "pairing.token", "pairing.decide"})
_MAX_CALLERS = 100_000


class Buckets:
    """Token buckets by caller: `per_minute` tokens, refilled evenly, as many in store at most."""

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / 60.0
        self._size = float(per_minute)
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, caller: str) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        if self._rate <= 0:
            return 0.0
        now = time.monotonic()
        with self._lock:
            if len(self._left) > _MAX_CALLERS:
                # Who has not called for a minute has a full bucket, and needs no entry.
                self._left = {k: v for k, v in self._left.items() if now - v[1] < 60}
            left, since = self._left.get(caller, (self._size, now))
            left = min(self._size, left + (now - since) * self._rate)
            if left < 1:
                self._left[caller] = (left, now)
                return (1 - left) / self._rate
            self._left[caller] = (left - 1, now)
            return 0.0


def limit(app: Flask, per_minute: int, signin_per_minute: int) -> None:
    """Refuse callers of `app` who come too often; runs after the guard, so that the caller is known."""
    general, guessing = Buckets(per_minute), Buckets(signin_per_minute)

    def check() -> None:
        access = g.get("access")
        wait_s = general.take(f"{access.user_id}/{access.family}" if access else request.remote_addr or "")
        if request.endpoint in GUESSING:
            wait_s = max(wait_s, guessing.take(f"{request.endpoint}/{request.remote_addr}"))
        if wait_s > 0:
            raise Problem(
                "too-many-requests", f"too many requests; try again in {wait_s:.0f} s, and send larger batches",
                {"Retry-After": str(max(1, round(wait_s)))},
            )  # fmt: skip

    app.before_request(check)

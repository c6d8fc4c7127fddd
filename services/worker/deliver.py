"""Webhook deliveries: signed, in order, repeated until the receiver says yes or the job is given up."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import Connection

from data.errors import WristwiseError
from services.store import hooks, records
from services.store.hooks import Hook
from services.store.jobs import Job
from services.store.records import Record
from services.store.store import Store

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 5.0
SIGNATURE = "Wristwise-Signature"


class DeliveryError(WristwiseError, OSError):
    """A receiver cannot be reached, or says no."""


def sign(secret: bytes, body: bytes, now_s: int) -> str:
    """Return the signature header: time and HMAC-SHA256 of "time.body", so that a replay can be told by its age."""
    mac = hmac.new(secret, f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={mac}"


def check_address(url: str, allow_private: bool) -> None:
    """
    Raise `DeliveryError` unless `url` is https to a public address: a hook must not reach into our own network.

    `allow_private` (tests, a caregiver's box at home) takes http and private addresses, too.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port or 443
    except ValueError as error:  # a port, or a name, that cannot be
        raise DeliveryError("a webhook's address cannot be read; check host and port") from error
    if parts.scheme not in ("https", "http") or not host:
        raise DeliveryError("a webhook's address must be https://…; give a whole address")
    if allow_private:
        return
    if parts.scheme != "https":
        raise DeliveryError("a webhook's address must be https, so that nobody reads along; use https")
    try:
        found = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise DeliveryError(f"the host {host!r} is not known; check the address") from error
    if any(not ipaddress.ip_address(info[4][0]).is_global for info in found):
        raise DeliveryError("a webhook's address must not lie in a private network; use a public one")


def post(hook: Hook, body: bytes, signature: str) -> httpx.Response:
    """Send `body`, or raise `DeliveryError` where nobody answers."""
    import httpx  # a server that tells nobody need not load it

    headers = {"Content-Type": "application/json", SIGNATURE: signature, "User-Agent": "wristwise"}
    try:
        return httpx.post(hook.url, content=body, headers=headers, timeout=TIMEOUT_S, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryError(
            f"{urlsplit(hook.url).hostname} does not answer ({type(error).__name__}); see that it can be reached"
        ) from error


def verify(hook: Hook) -> None:
    """
    Make a receiver prove itself: it must echo a signed challenge, and refuse a false signature with 401 or 403.

    Raises
    ------
    DeliveryError
        If it does either wrong.
    """
    challenge = hashlib.sha256(hook.secret + hook.hook_id.encode()).hexdigest()[:32]
    body = json.dumps({"type": "verification", "challenge": challenge}).encode()
    answer = post(hook, body, sign(hook.secret, body, int(time.time())))
    if not answer.is_success or challenge not in answer.text:
        raise DeliveryError(f"the receiver must echo the challenge with 2xx, it said {answer.status_code}; mend it")
    answer = post(hook, body, sign(b"not the secret", body, int(time.time())))
    if answer.status_code not in (401, 403):
        raise DeliveryError(
            f"the receiver must refuse a false signature with 401, it said {answer.status_code}; check {SIGNATURE}"
        )


Handler = Callable[[Store, Job], Callable[[Connection], None]]


def _nothing(conn: Connection) -> None:
    """Write nothing: the hook is gone, or was never verified."""


def deliverer(describe: Callable[[Record], object], allow_private: bool) -> Handler:
    """Return the worker's handler for deliveries; `describe` gives the body of a record."""

    def handle(store: Store, job: Job) -> Callable[[Connection], None]:
        found = store.read(lambda conn: hooks.find(conn, job.user_id, job.key))
        if found is None or not found.verified:
            return _nothing
        hook = found
        page = store.read(lambda conn: records.changes(conn, hook.user_id, hook.change_no, hooks.PAGE, hook.kinds))
        if page.records:
            check_address(hook.url, allow_private)
            content = {"type": "records", "hook_id": hook.hook_id, "records": [describe(r) for r in page.records]}
            body = json.dumps(content).encode()
            answer = post(hook, body, sign(hook.secret, body, int(time.time())))
            if not answer.is_success:
                raise DeliveryError(f"the receiver answered {answer.status_code}")

        def write(conn: Connection) -> None:
            hooks.delivered(conn, hook.user_id, hook.hook_id, page.through)
            if page.more:
                hooks.tell(conn, hook.user_id, set(hook.kinds))

        return write

    return handle

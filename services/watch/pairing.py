"""How a watch gets its tokens (RFC 8628) and keeps them fresh (rotation), without ever seeing a password."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from services.watch.link import Answer, LinkDown, Request, ServerRefused, Transport
from services.watch.outbox import Outbox
from services.watch.pace import real_now_s, real_sleep

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# RFC 8628 section 3.2: the interval when the server names none, and 3.5: what slow_down adds to it.
DEFAULT_INTERVAL_S = 5.0
SLOW_DOWN_S = 5.0
LONGEST_INTERVAL_S = 60.0
# So often a server may say "too many" or "not now" to one request before the watch believes it.
BUSY_TRIES = 10


@dataclass(frozen=True)
class PairingCode:
    """What the watch shows: the wearer types `user_code` at `verification_uri`."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in_s: float
    interval_s: float
    device_code: str


@dataclass(frozen=True)
class Tokens:
    """A token pair; `device_id` is the server's name for this watch."""

    access: str
    refresh: str
    device_id: str


class Pairing:
    """
    The watch's side of the device grant.

    Parameters
    ----------
    transport : Transport
    outbox : Outbox
        Keeps the tokens, so that a restarted watch is still paired.
    client_id : str
        Name of this kind of device.
    device : dict
        Name, model and firmware that the companion shows.
    on_code : callable, optional
        Called with the `PairingCode`; shows it, or (in a test) approves it.
    sleep : callable
        Waits between polls.
    """

    def __init__(
        self,
        transport: Transport,
        outbox: Outbox,
        *,
        client_id: str = "wristwise-watch",
        device: dict[str, str] | None = None,
        on_code: Callable[[PairingCode], None] | None = None,
        sleep: Callable[[float], None] = real_sleep,
    ) -> None:
        self._transport, self._outbox = transport, outbox
        self._client_id, self._device = client_id, dict(device or {})
        self._on_code, self._sleep = on_code, sleep

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that are held, or None before pairing."""
        kept = self._outbox.get("tokens")
        return None if kept is None else Tokens(**kept)

    def pair(self) -> Tokens:
        """Show a code, wait until it is approved, and return the tokens.

        Raises
        ------
        ServerRefused
            If the wearer says no, or the code runs out.
        LinkDown
            If the server cannot be reached.
        """
        code = self.ask_for_code()
        if self._on_code is not None:
            self._on_code(code)
        return self.wait_for_approval(code)

    def ask_for_code(self) -> PairingCode:
        """Return a new code to show."""
        answer = self._form("/oauth/device_authorization", client_id=self._client_id, scope="watch", **self._device)
        if answer.status != 200:
            raise ServerRefused(f"the server gives no pairing code: {answer.problem}")
        body = answer.value
        return PairingCode(
            user_code=body["user_code"],
            verification_uri=body["verification_uri"],
            verification_uri_complete=body.get("verification_uri_complete", body["verification_uri"]),
            expires_in_s=float(body["expires_in"]),
            interval_s=float(body.get("interval", DEFAULT_INTERVAL_S)),
            device_code=body["device_code"],
        )

    def wait_for_approval(self, code: PairingCode) -> Tokens:
        """Poll as RFC 8628 says: no faster than the interval, slower after slow_down, until the code runs out."""
        interval_s = code.interval_s
        deadline_s = real_now_s() + code.expires_in_s
        while real_now_s() < deadline_s:
            try:
                answer = self._form(
                    "/oauth/token", grant_type=DEVICE_GRANT, device_code=code.device_code, client_id=self._client_id
                )
            except LinkDown:
                # RFC 8628 section 3.5: on a connection timeout, back off exponentially.
                interval_s = min(2 * interval_s, LONGEST_INTERVAL_S)
                self._sleep(interval_s)
                continue
            if answer.status == 200:
                return self._keep(answer.value)
            error = (answer.value or {}).get("error")
            if error == "slow_down":
                interval_s += SLOW_DOWN_S
            elif error != "authorization_pending":
                raise ServerRefused(f"pairing ended without a token: {answer.problem}; start it again")
            self._sleep(interval_s)
        raise ServerRefused(f"code {code.user_code} ran out before it was approved; start pairing again")

    def refresh(self) -> Tokens | None:
        """Exchange the refresh token; None when it is no longer good and the watch must be paired again."""
        held = self.tokens
        if held is None:
            return None
        answer = self._form(
            "/oauth/token", grant_type="refresh_token", refresh_token=held.refresh, client_id=self._client_id
        )
        if answer.status == 200:
            return self._keep(answer.value)
        if answer.status in (400, 401):
            self._outbox.keep({"tokens": None})
            return None
        raise LinkDown(f"the token could not be refreshed: {answer.problem}; it will be tried again")

    def _keep(self, body: dict[str, Any]) -> Tokens:
        held = self.tokens
        tokens = Tokens(
            access=body["access_token"],
            refresh=body.get("refresh_token") or (held.refresh if held else ""),
            device_id=str(body.get("device_id") or (held.device_id if held else "")),
        )
        self._outbox.keep({"tokens": asdict(tokens)})
        return tokens

    def _form(self, path: str, **fields: str) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = Request("POST", path, urlencode(fields).encode(), headers)
        for _ in range(BUSY_TRIES):
            answer = self._transport.send(request)
            if answer.status not in (429, 503):
                break
            self._sleep(answer.retry_after_s or DEFAULT_INTERVAL_S)
        return answer

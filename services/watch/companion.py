"""The wearer's side over HTTP, as far as a mock needs it: sign in, approve a watch, read what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from services.watch.link import Answer, HttpTransport, Request, ServerRefused, Transport
from services.watch.pace import real_now_s, real_sleep
from services.watch.pairing import BUSY_TRIES, DEFAULT_INTERVAL_S, PairingCode
from services.watch.wire import JSON, pack


class Companion:
    """
    A signed-in wearer.

    Parameters
    ----------
    server : str
        Address of the service.
    name, secret : str
        Account; the service prints the owner's secret once, on its first start.
    transport : Transport, optional
        Instead of HTTP to `server`.
    """

    def __init__(self, server: str, name: str, secret: str, transport: Transport | None = None) -> None:
        self._transport = transport or HttpTransport(server)
        self._name, self._secret = name, secret
        self._token: str | None = None

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()

    def approve(self, code: PairingCode) -> None:
        """Approve the watch that shows `code`; give it to `run_watch` as `on_code`."""
        self.call("POST", f"/v1/pairings/{quote(code.user_code)}", {"approve": True})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the value that a route answers with.

        Raises
        ------
        ServerRefused
            If the answer is not a success; the sentence is the server's own.
        LinkDown
            If there is no answer.
        """
        fresh = self._token is None
        if fresh:
            self._sign_in()
        answer = self._send(method, path, body)
        if answer.status == 401 and not fresh:
            self._sign_in()
            answer = self._send(method, path, body)
        return _value(answer, f"{method} {path}")

    def changes(self, cursor: str | None = None, kind: str | None = None) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """Yield pages of changes (of one kind, if named) and the cursor after each, until there are no more for now."""
        fixed = {"limit": "2000"} | ({"kind": kind} if kind else {})
        more = True
        while more:
            query = fixed | ({"cursor": cursor} if cursor else {})
            page = self.call("GET", f"/v1/changes?{urlencode(query)}")
            cursor, more = str(page["cursor"]), bool(page.get("more"))
            yield page["changes"], cursor

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the newest revision of every record that is not deleted, in order of start."""
        newest: dict[str, dict[str, Any]] = {}
        for page, _ in self.changes(kind=kind):
            for record in page:
                if record["revision"] >= newest.get(record["id"], record)["revision"]:
                    newest[record["id"]] = record
        alive = [r for r in newest.values() if not r["deleted"]]
        return sorted(alive, key=lambda r: (r["start"], r["kind"], r["id"]))

    def wait_until(self, done: Callable[[], object], timeout_s: float = 30.0, every_s: float = 0.1) -> bool:
        """Call `done` until it returns something true, or the time is over; return whether it did."""
        deadline_s = real_now_s() + timeout_s
        while not done():
            if real_now_s() > deadline_s:
                return False
            real_sleep(every_s)
        return True

    def _sign_in(self) -> None:
        self._token = None
        signed_in = self._send("POST", "/v1/sessions", {"name": self._name, "secret": self._secret})
        self._token = str(_value(signed_in, "sign in")["access_token"])

    def _send(self, method: str, path: str, body: Any) -> Answer:
        headers = {"Accept": JSON} | ({"Content-Type": JSON} if body is not None else {})
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(method, path, b"" if body is None else pack(body, JSON), headers)
        for _ in range(BUSY_TRIES):
            answer = self._transport.send(request)
            if answer.status not in (429, 503):
                break
            real_sleep(answer.retry_after_s or DEFAULT_INTERVAL_S)
        return answer


def _value(answer: Answer, what: str) -> Any:
    if not 200 <= answer.status < 300:
        raise ServerRefused(f"{what}: the server answers {answer.status}, {answer.problem}")
    return answer.value

"""One HTTP exchange between watch and server, and how long to wait before the next try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import numpy as np

from data.errors import WristwiseError
from services.watch.pace import real_now
from services.watch.wire import JSON, unpack


class LinkDown(WristwiseError, ConnectionError):
    """No answer came: the request may or may not have arrived."""


class ServerRefused(WristwiseError, RuntimeError):
    """The server answered, and the answer was no."""


@dataclass(frozen=True)
class Request:
    """What the watch sends; `path` begins with a slash, or is a whole URL that the server named."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The decoded body, or None where it cannot be decoded."""
        return unpack(self.body, self.headers.get("content-type", JSON))

    @property
    def problem(self) -> str:
        """The problem detail in one line: type, then what the server says of it."""
        value = self.value
        if not isinstance(value, dict):
            return f"status {self.status}"
        kind = str(value.get("type") or value.get("error") or f"status {self.status}").rsplit("/", 1)[-1]
        said = value.get("detail") or value.get("error_description") or value.get("title") or ""
        return f"{kind}: {said}" if said else kind

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asks to wait, from Retry-After (seconds or date), or None."""
        text = self.headers.get("retry-after")
        if not text:
            return None
        try:
            return max(0.0, float(text))
        except ValueError:
            pass
        try:
            return max(0.0, (parsedate_to_datetime(text) - real_now()).total_seconds())
        except (TypeError, ValueError):
            return None


class Transport(Protocol):
    """Carries a request to a server."""

    def send(self, request: Request) -> Answer:
        """Return the answer, or raise `LinkDown`."""
        ...

    def break_off(self, request: Request) -> None:
        """Begin to send, and fall silent half way through the body."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class HttpTransport:
    """HTTP with kept-alive connections.

    Parameters
    ----------
    server_url : str
        ``http://host:port`` or ``https://…``.
    client : httpx.Client, optional
        Share one among watches; it is then not closed with this transport.
    """

    def __init__(self, server_url: str, client: httpx.Client | None = None) -> None:
        parts = urlsplit(server_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"server must be an address such as http://127.0.0.1:8787. Got {server_url!r} instead.")
        self.server_url = server_url.rstrip("/")
        self._own = client is None
        # trust_env=False: a proxy set for the workplace must not see a wearer's signals on the way home.
        self._client = client or httpx.Client(trust_env=False)

    def send(self, request: Request) -> Answer:
        """Return the server's answer, or raise `LinkDown`."""
        url = request.path if "://" in request.path else self.server_url + request.path
        try:
            response = self._client.request(
                request.method,
                url,
                content=request.body or None,
                headers=dict(request.headers),
                timeout=request.timeout_s,
            )
        except httpx.HTTPError as error:
            raise LinkDown(f"no answer from {url}: {error or type(error).__name__}; it will be tried again") from error
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)

    def break_off(self, request: Request) -> None:
        """Promise the whole body, send half of it, and close the connection."""
        parts = urlsplit(self.server_url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.netloc, timeout=request.timeout_s)
        try:
            connection.putrequest(request.method, request.path)
            for name, value in {**request.headers, "Content-Length": str(len(request.body))}.items():
                connection.putheader(name, value)
            connection.endheaders()
            connection.send(request.body[: len(request.body) // 2])
        except OSError as error:
            raise LinkDown(f"no answer from {self.server_url}: {error}; it will be tried again") from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections that this transport opened itself."""
        if self._own:
            self._client.close()


class Backoff:
    """
    Exponential waits with full jitter, so that a thousand watches do not come back in the same second.

    Parameters
    ----------
    rng : numpy.random.Generator
    base_s, cap_s : float
        First and longest wait.

    References
    ----------
    M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, rng: np.random.Generator, base_s: float = 1.0, cap_s: float = 300.0) -> None:
        self._rng, self._base_s, self._cap_s = rng, base_s, cap_s
        self.failures = 0

    def failed(self) -> float:
        """Count a failure and return the seconds to wait, on top of what the server may have asked for."""
        ceiling_s = min(self._cap_s, self._base_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return float(self._rng.uniform(0.0, ceiling_s))

    def succeeded(self) -> None:
        """Begin again with the first wait."""
        self.failures = 0

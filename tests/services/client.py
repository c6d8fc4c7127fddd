"""A person with a watch, for the service's tests: speaks HTTP to Flask's test client and nothing else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
from flask.testing import FlaskClient

from services.store import accounts
from services.store.store import Store

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
WALL0 = 1_764_000_000  # 2025-11-24T16:00:00Z


def wall(seconds: float) -> str:
    """Return a moment `seconds` after WALL0 as RFC 3339."""
    from services.sync.fields import from_us

    return from_us(round((WALL0 + seconds) * 1e6))


@dataclass
class Person:
    """One user with a companion token and one paired watch."""

    http: FlaskClient
    store: Store
    name: str = "ada"
    device_id: str = "watch-1"
    boot_id: str = "11111111-1111-4111-8111-111111111111"
    companion: dict[str, str] = field(default_factory=dict)
    watch: dict[str, str] = field(default_factory=dict)
    user_id: int = 0
    secret: str = ""

    def __post_init__(self) -> None:
        self.user_id, self.secret = self.store.write(lambda conn: accounts.create_user(conn, self.name))
        self.companion = bearer(self.store.write(lambda c: accounts.issue(c, self.user_id, "companion", "test")))
        self.watch = bearer(self.pair(self.device_id))

    def pair(self, device_id: str) -> Any:
        """Pair a watch over HTTP and return the token reply."""
        asked = self.http.post("/oauth/device_authorization", data={"client_id": "w", "device_id": device_id}).json
        approved = self.http.post(f"/v1/pairings/{asked['user_code']}", json={}, headers=self.companion)
        assert approved.status_code == 200
        form = {"client_id": "w", "device_code": asked["device_code"], "grant_type": GRANT}
        return self.http.post("/oauth/token", data=form).json

    def chunk(self, seq: int, **changes: Any) -> dict[str, Any]:
        """Return 10 s of PPG at 8 Hz, number `seq` of the stream; its level tells it from others."""
        samples = (np.full((80, 1), 60 + seq % 40, "<i2")).tobytes()
        return {
            "boot_id": self.boot_id, "stream": "ppg", "seq": seq, "t0_us": seq * 10_000_000, "rate_hz": 8.0,
            "channels": ["ppg"], "encoding": "i2", "scale": 1.0, "offset": 0.0, "n": 80, "data": samples, **changes,
        }  # fmt: skip

    def batch(self, chunks: list[Any], at_s: float = 0.0, **changes: Any) -> dict[str, Any]:
        """Return a batch sent `at_s` seconds after the boot."""
        sent = {"boot_id": self.boot_id, "monotonic_us": round(at_s * 1e6), "wall": wall(at_s), "utc_offset_s": 3600}
        return {"batch_id": str(uuid.uuid4()), "device_id": self.device_id, "sent": sent, "chunks": chunks, **changes}

    def send(self, batch: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        """POST a batch as MessagePack and return the response."""
        return self.http.post(
            "/v1/batches", data=msgpack.packb(batch), content_type="application/msgpack",
            headers={"Accept": "application/json", **(headers or self.watch)},
        )  # fmt: skip

    def changes(self, cursor: str | None = None, **query: Any) -> Any:
        """Return the JSON of GET /v1/changes."""
        query |= {"cursor": cursor} if cursor else {}
        return self.http.get("/v1/changes", query_string=query, headers=self.companion).json


def bearer(tokens: Any) -> dict[str, str]:
    """Return the header for a token reply or pair."""
    token = tokens["access_token"] if isinstance(tokens, dict) else tokens.access_token
    return {"Authorization": f"Bearer {token}"}

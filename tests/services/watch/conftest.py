"""A server in a few lines that keeps the sync contract by the letter, for tests of the watch alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from data.recording import Recording
from data.synthetic.wearer import wearer
from services.watch import RunOptions, WatchReport, run_watch
from services.watch.encoder import decode
from services.watch.link import Answer, Request
from services.watch.wire import unpack


class ContractServer:
    """Keeps what it is sent, and answers as docs/service.md says."""

    def __init__(self) -> None:
        self.chunks: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.token, self.refresh = "a0", "r0"
        self.polls = 0
        self.script: list[Callable[[Request], Answer | None]] = []
        self.requests: list[Request] = []

    def send(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.path.startswith("/oauth/"):
            return self.oauth(request.path, {k: v[0] for k, v in parse_qs(request.body.decode()).items()})
        if request.path == "/v1/manifest" or request.method == "GET":
            return reply(404, {"type": "https://x/problems/not-found"})
        answer = self.script.pop(0)(request) if self.script else None
        if answer is not None:
            return answer
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return reply(401, {"type": "https://x/problems/token", "detail": "get a new token"})
        body = unpack(request.body, request.headers["Content-Type"])
        if not isinstance(body, dict):
            return reply(400, {"type": "https://x/problems/malformed-body", "detail": "send it again"})
        return reply(200, self.batch(body))

    def break_off(self, request: Request) -> None:
        """Half a body is no message."""

    def close(self) -> None:
        """Nothing to close."""

    def oauth(self, path: str, form: dict[str, str]) -> Answer:
        if path.endswith("device_authorization"):
            self.device_id = form["device_id"]
            return reply(200, {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": "http://x/pair",
                               "expires_in": 600, "interval": 1})  # fmt: skip
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] != self.refresh:
                return reply(400, {"error": "invalid_grant"})
            self.token, self.refresh = self.token + "+", self.refresh + "+"
        self.polls += 1
        return reply(200, {"access_token": self.token, "refresh_token": self.refresh, "device_id": self.device_id})

    def batch(self, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies.append(body)
        self.sent.append(body["sent"])
        results = []
        for chunk in body["chunks"]:
            key = (chunk["boot_id"], chunk["stream"], chunk["seq"])
            known = self.chunks.setdefault(key, chunk)
            same = known is chunk or known == chunk
            status = "stored" if known is chunk else "duplicate" if same else "rejected"
            results.append({"boot_id": key[0], "stream": key[1], "seq": key[2], "status": status})
        for record in body.get("records", ()):
            self.records[record["client_record_id"]] = record
        streams = {(c["boot_id"], c["stream"]) for c in body["chunks"]}
        acked, missing = {}, {}
        for boot, stream in streams:
            held = sorted(k[2] for k in self.chunks if k[:2] == (boot, stream))
            holes = [i for i in range(held[-1]) if i not in held]
            acked[f"{boot}/{stream}"] = holes[0] - 1 if holes else held[-1]
            if holes:
                missing[f"{boot}/{stream}"] = [[i, i] for i in holes]
        acked = {k: v for k, v in acked.items() if v >= 0}
        return {"results": results, "acked_through": acked, "missing": missing, "records": []}

    def counts(self, stream: str) -> np.ndarray:
        """All samples of a stream in order of boot and number."""
        boots = list(dict.fromkeys(k[0] for k in self.chunks))
        keys = sorted((k for k in self.chunks if k[1] == stream), key=lambda k: (boots.index(k[0]), k[2]))
        parts = [
            decode(self.chunks[k]["data"], self.chunks[k]["encoding"], len(self.chunks[k]["channels"])) for k in keys
        ]
        return np.concatenate(parts)


def reply(status: int, body: Any, **headers: str) -> Answer:
    kind = "application/json" if status == 200 else "application/problem+json"
    return Answer(status, {"content-type": kind, **headers}, json.dumps(body).encode())


@pytest.fixture
def contract_server() -> ContractServer:
    return ContractServer()


@pytest.fixture
def recording() -> Recording:
    return wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=600, seed=3)


@pytest.fixture
def run(contract_server: ContractServer, recording: Recording) -> Callable[..., WatchReport]:
    """Run a watch through the recording as fast as it goes, without a wait."""

    def go(**options: Any) -> WatchReport:
        return run_watch(
            "http://watch.test", recording, float("inf"), options=RunOptions(**options),
            transport=contract_server, sleep=lambda _: None,
        )  # fmt: skip

    return go


@pytest.fixture
def make_server() -> type[ContractServer]:
    return ContractServer

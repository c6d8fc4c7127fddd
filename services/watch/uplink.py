"""From outbox to server: build a batch, read the answer, decide what may be deleted and what goes again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zstandard

from services.watch.battery import Battery
from services.watch.clock import ClockReading
from services.watch.link import Answer, Backoff, LinkDown, Request, ServerRefused, Transport
from services.watch.outbox import Outbox
from services.watch.pairing import Pairing, Tokens
from services.watch.wire import JSON, MSGPACK, Chunk, pack, sent_body

_BATCHES = uuid.UUID("c1a5c3f0-92a4-4d0e-8e83-94f2ab5b6f11")
# Statuses that say "not now": the same bytes may well be taken later.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
# A request that was refused as a whole is tried so often as it is, in case it was damaged on the way.
WHOLE_TRIES = 3
DEFAULT_LIMITS = {"max_bytes": 2_000_000, "max_chunks": 256, "max_records": 500}


@dataclass
class Tally:
    """What the uplink did; counts and bytes."""

    requests: int = 0
    retries: int = 0
    batches: int = 0
    bytes_sent: int = 0
    payload_bytes: dict[str, int] = field(default_factory=dict)
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    records: int = 0
    asked_again: int = 0
    refreshes: int = 0
    pairings: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    def count_answer(self, name: str) -> None:
        """Count an answer by status, or ``none``."""
        self.answers[name] = self.answers.get(name, 0) + 1


@dataclass(frozen=True)
class SyncOutcome:
    """One try.

    Attributes
    ----------
    done : bool
        Nothing waits any more.
    wait_s : float
        Device seconds to hold off after a failure.
    asked_s : float
        Real seconds that the server asked for.
    """

    done: bool
    wait_s: float = 0.0
    asked_s: float = 0.0


@dataclass(frozen=True)
class _Batch:
    body: dict[str, Any]
    chunks: tuple[Chunk, ...]
    records: tuple[dict[str, Any], ...]
    wire: bytes


class Uplink:
    """
    Sends what the outbox holds until the server has acknowledged it.

    Parameters
    ----------
    outbox : Outbox
    transport : Transport
    pairing : Pairing
    rng : numpy.random.Generator
        For jitter.
    battery : Battery
        Pays for the radio.
    content_type : str
        `wire.MSGPACK` or `wire.JSON`.
    limits : mapping, optional
        ``max_bytes``, ``max_chunks``, ``max_records`` of a batch.
    seed : int
        Names the batches.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        pairing: Pairing,
        rng: np.random.Generator,
        battery: Battery,
        *,
        content_type: str = MSGPACK,
        limits: Mapping[str, int] | None = None,
        seed: int = 0,
    ) -> None:
        if content_type not in (MSGPACK, JSON):
            raise ValueError(f"content_type must be {MSGPACK} or {JSON}. Got {content_type!r} instead.")
        self.outbox, self.transport, self.pairing, self.battery = outbox, transport, pairing, battery
        self.backoff = Backoff(rng)
        self.tally = Tally()
        self.on_reply: Callable[[Mapping[str, Any]], None] | None = None
        self._content_type = content_type
        self._limits = {**DEFAULT_LIMITS, **(limits or {})}
        self._seed = seed
        self._in_flight: _Batch | None = None
        self._whole_refusals = 0
        self._fewer = 1

    def sync(self, reading: ClockReading, status: Mapping[str, Any]) -> SyncOutcome:
        """Try to send one batch.

        Parameters
        ----------
        reading : ClockReading
            Both clocks now.
        status : mapping
            Battery, firmware and the like, for the companion.

        Raises
        ------
        ServerRefused
            If pairing is refused.
        PowerLost
            If a fault script kills the watch here.
        """
        try:
            tokens = self.pairing.tokens or self._pair()
            batch = self._in_flight or self._build(tokens, reading, status)
            if batch is None:
                return SyncOutcome(done=True)
            self.tally.retries += self._in_flight is not None
            self._in_flight = batch
            answer = self._authorised("/v1/batches", batch.wire, tokens, self._content_type)
        except LinkDown:
            self.tally.count_answer("none")
            return SyncOutcome(done=False, wait_s=self.backoff.failed())
        self.tally.count_answer(str(answer.status))
        return self._judge(batch, answer)

    def compare(self, made: Mapping[str, int]) -> list[tuple[str, str, int]] | None:
        """Ask the server's manifest which of the chunks 0 … n - 1 of each ``boot/stream`` it lacks; None: it has none.

        Raises
        ------
        LinkDown
            If no answer comes.
        """
        tokens = self.pairing.tokens
        if tokens is None:
            return None
        claims = [
            {"boot_id": name.partition("/")[0], "stream": name.partition("/")[2], "ranges": [[0, n - 1]]}
            for name, n in made.items()
            if n > 0
        ]
        answer = self._authorised(
            "/v1/manifest", pack({"device_id": tokens.device_id, "streams": claims}, JSON), tokens
        )
        reply = answer.value
        if answer.status != 200 or not isinstance(reply, dict):
            return None
        return [
            (str(state["boot_id"]), str(state["stream"]), seq)
            for state in reply["streams"]
            for first, last in state["missing"]
            for seq in range(int(first), int(last) + 1)
        ]

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET, authorised as this watch.

        Raises
        ------
        LinkDown
            If no answer comes.
        """
        tokens = self.pairing.tokens or self._pair()
        answer = self.transport.send(Request("GET", path, headers=_bearer(tokens, headers)))
        if answer.status == 401:
            self.tally.refreshes += 1
            tokens = self.pairing.refresh() or self._pair()
            answer = self.transport.send(Request("GET", path, headers=_bearer(tokens, headers)))
        return answer

    def _pair(self) -> Tokens:
        self.tally.pairings += 1
        return self.pairing.pair()

    def _build(self, tokens: Tokens, reading: ClockReading, status: Mapping[str, Any]) -> _Batch | None:
        limit = max(1, self._limits["max_chunks"] // self._fewer)
        chunks = tuple(self.outbox.next_chunks(self._limits["max_bytes"] // self._fewer, limit))
        records = tuple(self.outbox.next_records(max(1, self._limits["max_records"] // self._fewer)))
        if not chunks and not records:
            return None
        number = int(self.outbox.get("batches", 0))
        # The pair must belong to the boot of the chunks: for an older boot, the last one that was noticed.
        sent = sent_body(reading)
        if chunks and chunks[0].boot_id != reading.boot_id:
            sent = self.outbox.get(f"clock/{chunks[0].boot_id}", sent)
        body: dict[str, Any] = {
            "batch_id": str(uuid.uuid5(_BATCHES, f"{self._seed}/{tokens.device_id}/{number}")),
            "device_id": tokens.device_id,
            "sent": sent,
            "chunks": [c.body() for c in chunks],
            "status": dict(status),
        }
        if records:
            body["records"] = list(records)
        self.outbox.keep({"batches": number + 1})
        return _Batch(body, chunks, records, pack(body, self._content_type))

    def _authorised(self, path: str, body: bytes, tokens: Tokens, content_type: str = JSON) -> Answer:
        """Send with the access token; where that is refused, with a fresh one."""
        answer = self._send(path, body, tokens, content_type)
        if answer.status != 401:
            return answer
        self.tally.count_answer("401")
        self.tally.refreshes += 1
        fresh = self.pairing.refresh() or self._pair()
        return self._send(path, body, fresh, content_type)

    def _send(self, path: str, body: bytes, tokens: Tokens, content_type: str) -> Answer:
        headers = _bearer(tokens, {"Content-Type": content_type, "Accept": content_type})
        if self._worth_squeezing(content_type):
            body = zstandard.ZstdCompressor(level=3).compress(body)
            headers["Content-Encoding"] = "zstd"
        self.tally.requests += 1
        self.tally.bytes_sent += len(body)
        self.battery.send(len(body))
        return self.transport.send(Request("POST", path, body, headers))

    def _worth_squeezing(self, content_type: str) -> bool:
        """Chunks are compressed already; words are not, and neither is JSON's base64."""
        return content_type == JSON or (self._in_flight is not None and not self._in_flight.chunks)

    def _judge(self, batch: _Batch, answer: Answer) -> SyncOutcome:
        reply = answer.value
        if answer.status == 200 and isinstance(reply, dict):
            self._settle(batch, reply)
            return SyncOutcome(self.outbox.unconfirmed == 0, asked_s=float(reply.get("retry_after_s") or 0.0))
        if answer.status in _LATER or answer.status in (200, 401):
            return SyncOutcome(False, self.backoff.failed(), answer.retry_after_s or 0.0)
        return self._refused_whole(batch, answer)

    def _settle(self, batch: _Batch, reply: Mapping[str, Any]) -> None:
        """Believe the reply: what is stored, what may be deleted, what is missing."""
        self._in_flight, self._whole_refusals, self._fewer = None, 0, 1
        self.backoff.succeeded()
        self.tally.batches += 1
        for chunk in batch.chunks:
            size = self.tally.payload_bytes.get(chunk.stream, 0)
            self.tally.payload_bytes[chunk.stream] = size + len(chunk.data)
        confirmed = []
        for result in reply.get("results", ()):
            key = (str(result["boot_id"]), str(result["stream"]), int(result["seq"]))
            if result["status"] == "rejected":
                self.tally.rejected += 1
                self.outbox.refuse(key, _reason(result.get("problem")))
                continue
            self.tally.stored += result["status"] == "stored"
            self.tally.duplicates += result["status"] == "duplicate"
            confirmed.append(key)
        self.outbox.confirm(confirmed)
        for name, through in reply.get("acked_through", {}).items():
            boot_id, _, stream = name.partition("/")
            self.outbox.acknowledge(boot_id, stream, int(through))
        self._resend_missing(reply.get("missing", {}))
        self._settle_records(batch, reply)
        if self.on_reply is not None:
            self.on_reply(reply)

    def _resend_missing(self, missing: Mapping[str, Any]) -> None:
        for name, spans in missing.items():
            boot_id, _, stream = name.partition("/")
            holes = [(boot_id, stream, seq) for first, last in spans for seq in range(int(first), int(last) + 1)]
            self.tally.asked_again += self.outbox.ask_again(holes)

    def _settle_records(self, batch: _Batch, reply: Mapping[str, Any]) -> None:
        """One answer a record, in order: what became of it, or a problem detail."""
        accepted = []
        for record, result in zip(batch.records, reply.get("records") or (), strict=False):
            record_id = record["client_record_id"]
            if "client_record_id" not in result:
                self.tally.rejected += 1
                self.outbox.refuse_record(record_id, _reason(result))
            else:
                self.tally.records += 1
                accepted.append((record_id, int(record["client_record_version"])))
        self.outbox.accept_records(accepted)

    def _refused_whole(self, batch: _Batch, answer: Answer) -> SyncOutcome:
        """A batch that is refused as a whole is sent again, then in halves, until the one bad chunk is known."""
        self._whole_refusals += 1
        if answer.status != 413 and self._whole_refusals < WHOLE_TRIES:
            return SyncOutcome(False, self.backoff.failed(), answer.retry_after_s or 0.0)
        self._in_flight, self._whole_refusals = None, 0
        if len(batch.chunks) + len(batch.records) > 1:
            self._fewer = min(self._fewer * 2, 2 * max(self._limits.values()))
            return SyncOutcome(False, self.backoff.failed(), answer.retry_after_s or 0.0)
        if answer.status == 403:
            raise ServerRefused(f"the server does not let this watch write: {answer.problem}")
        self.tally.rejected += 1
        for chunk in batch.chunks:
            self.outbox.refuse(chunk.key, answer.problem)
        for record in batch.records:
            self.outbox.refuse_record(record["client_record_id"], answer.problem)
        self._fewer = 1
        return SyncOutcome(done=self.outbox.unconfirmed == 0)


def _bearer(tokens: Tokens, headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {tokens.access}"}


def _reason(problem: Any) -> str:
    if isinstance(problem, dict):
        kind = str(problem.get("type", "")).rsplit("/", 1)[-1]
        return f"{kind}: {problem.get('detail') or problem.get('title') or ''}".rstrip(": ")
    return str(problem or "refused without a reason")

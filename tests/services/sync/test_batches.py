"""Batches: judged chunk by chunk, durable, idempotent."""

from __future__ import annotations

import base64

import numpy as np
import zstandard

from services.worker.worker import Worker
from tests.services.client import Person


def statuses(response) -> list[str]:
    return [r["status"] for r in response.json["results"]]


def test_a_chunk_is_stored_once_and_acknowledged(ada: Person) -> None:
    first = ada.send(ada.batch([ada.chunk(0), ada.chunk(1)], 20))
    assert first.status_code == 200
    assert statuses(first) == ["stored", "stored"]
    assert first.json["acked_through"] == {f"{ada.boot_id}/ppg": 1}
    again = ada.send(ada.batch([ada.chunk(1), ada.chunk(0)], 20))
    assert statuses(again) == ["duplicate", "duplicate"]


def test_holes_are_asked_for_and_the_prefix_ends_before_them(ada: Person) -> None:
    sent = ada.send(ada.batch([ada.chunk(0), ada.chunk(3), ada.chunk(5)], 60))
    assert sent.json["acked_through"] == {f"{ada.boot_id}/ppg": 0}
    assert sent.json["missing"] == {f"{ada.boot_id}/ppg": [[1, 2], [4, 4]]}
    filled = ada.send(ada.batch([ada.chunk(s) for s in (4, 2, 1)], 60))
    assert filled.json["acked_through"] == {f"{ada.boot_id}/ppg": 5}
    assert filled.json["missing"] == {}


def test_other_bytes_under_a_stored_identity_are_rejected_and_the_first_stay(ada: Person) -> None:
    ada.send(ada.batch([ada.chunk(0)], 10))
    other = ada.send(ada.batch([ada.chunk(0, data=bytes(160)), ada.chunk(1)], 20))
    assert statuses(other) == ["rejected", "stored"]
    assert other.json["results"][0]["problem"]["type"].endswith("/chunk-conflict")
    assert statuses(ada.send(ada.batch([ada.chunk(0)], 10))) == ["duplicate"]


def test_one_bad_row_does_not_lose_the_batch(ada: Person) -> None:
    chunks = [ada.chunk(0), ada.chunk(1, n=79), "nonsense", ada.chunk(2, rate_hz=0), ada.chunk(3)]
    sent = ada.send(ada.batch(chunks, 40))
    assert statuses(sent) == ["stored", "rejected", "rejected", "rejected", "stored"]
    assert "79 of 1 channels in i2 is 158 bytes, but 160 came" in sent.json["results"][1]["problem"]["detail"]


def test_the_same_samples_in_another_encoding_are_the_same_chunk(ada: Person) -> None:
    samples = np.arange(80, dtype="<i2")[:, None] * 411
    deltas = np.diff(samples.view("<u2"), axis=0, prepend=np.zeros((1, 1), "<u2"))
    packed = zstandard.ZstdCompressor().compress(deltas.tobytes())
    assert statuses(ada.send(ada.batch([ada.chunk(0, data=samples.tobytes())], 10))) == ["stored"]
    assert statuses(ada.send(ada.batch([ada.chunk(0, encoding="delta-zstd", data=packed)], 10))) == ["duplicate"]


def test_json_carries_samples_as_base64(ada: Person) -> None:
    batch = ada.batch([ada.chunk(0, data=base64.b64encode(ada.chunk(0)["data"]).decode())], 10)
    sent = ada.http.post("/v1/batches", json=batch, headers=ada.watch)
    assert sent.status_code == 200
    assert statuses(sent) == ["stored"]
    assert statuses(ada.send(ada.batch([ada.chunk(0)], 10))) == ["duplicate"]


def test_heart_rates_come_back_through_changes(ada: Person, worker: Worker) -> None:
    ada.send(ada.batch([ada.chunk(s) for s in range(6)], 60))
    worker.drain()
    page = ada.changes()
    rates = [c for c in page["changes"] if c["kind"] == "heart_rate"]
    assert len(rates) == 27  # windows of 8 s each 2 s in 60 s
    assert rates[0]["start"] == "2025-11-24T16:00:00.000Z"
    assert rates[0]["utc_offset_s"] == 3600
    assert rates[0]["source"] == {"device_id": ada.device_id, "task": "pulse", "model_version": "v1"}
    assert ada.changes(page["cursor"])["changes"] == []

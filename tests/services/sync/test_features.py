"""Uploads, models over the air, webhooks, the live stream, export, deletion, retention, backfill."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask.testing import FlaskClient

from services.store import jobs, releases, upkeep
from services.store.store import Store, now_us
from services.store.tables import metadata
from services.sync.clientrecords import record_body
from services.sync.config import Settings
from services.worker.deliver import deliverer
from services.worker.engine import Ability
from services.worker.worker import PROCESS, Worker
from tests.services.client import Person, wall
from tests.services.fake_task import pulse_ability

FALL = {"client_record_id": "f1", "kind": "fall", "start": wall(10), "end": wall(12), "value": "detected"}


@pytest.fixture
def settings(store: Store) -> Settings:
    return Settings(store=store.url, secret="x" * 40, rate_per_minute=0, signin_per_minute=0, private_hooks=1, live_s=2)


def rates(person: Person) -> list[dict[str, Any]]:
    return [c for c in person.changes(limit=5000)["changes"] if c["kind"] == "heart_rate" and not c["deleted"]]


def test_an_upload_goes_on_where_the_link_broke(ada: Person) -> None:
    content = b"".join(msgpack.packb(ada.batch([ada.chunk(s)], 10 * s + 10)) for s in range(3))
    begun = ada.http.post("/v1/uploads", json={"length": len(content)}, headers=ada.watch)
    address = begun.headers["Location"]

    def part(offset: int, data: bytes) -> Any:
        return ada.http.patch(
            f"{address}?offset={offset}", data=data, content_type="application/octet-stream", headers=ada.watch
        )

    assert part(0, content[:100]).json["offset"] == 100
    refused = part(50, content[50:])
    assert (refused.status_code, refused.json["offset"]) == (409, 100)
    assert ada.http.post(f"{address}/complete", headers=ada.watch).status_code == 409
    assert ada.http.get(address, headers=ada.watch).json["offset"] == 100
    part(100, content[100:])
    done = ada.http.post(f"{address}/complete", headers=ada.watch).json
    assert [b["results"][0]["status"] for b in done["batches"]] == ["stored"] * 3
    assert ada.http.post(f"{address}/complete", headers=ada.watch).json == done
    assert part(0, b"x").status_code == 410


def publish(store: Store, folder: Path, version: str, percent: int, data: bytes = b"model") -> str:
    path = folder / "key"
    key = releases.read_key(path) if path.exists() else releases.new_key(path)
    card = {"sizes": {"tflite_bytes": len(data), "arena_bytes": 1000}, "sensors": ["ppg"]}
    release = releases.Release("pulse", "any", version, data, card)
    store.write(lambda conn: releases.publish(conn, release, key, percent))
    return releases.public_hex(key)


def test_a_watch_gets_a_signed_model_in_ranges_and_refuses_a_false_one(ada: Person, tmp_path: Path) -> None:
    public = publish(ada.store, tmp_path, "v1", 100, bytes(range(200)))
    offer = ada.http.get("/v1/models/pulse?device_class=watch-s", headers=ada.watch).json
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    signed = releases.signed_text(offer["task"], offer["device_class"], offer["version"], offer["sha256"])
    key.verify(bytes.fromhex(offer["signature"]), signed)
    with pytest.raises(InvalidSignature):
        key.verify(bytes.fromhex(offer["signature"]), signed.replace(b"v1", b"v2"))
    whole = ada.http.get(offer["url"], headers=ada.watch)
    assert hashlib.sha256(whole.data).hexdigest() == offer["sha256"]
    part = ada.http.get(offer["url"], headers={**ada.watch, "Range": "bytes=50-"})
    assert (part.status_code, part.data) == (206, bytes(range(50, 200)))
    same = ada.http.get(offer["url"], headers={**ada.watch, "If-None-Match": whole.headers["ETag"]})
    assert same.status_code == 304
    too_small = ada.http.get("/v1/models/pulse?memory_bytes=1100", headers=ada.watch)
    assert too_small.status_code == 404


def test_a_release_is_staged_and_can_be_taken_back(ada: Person, tmp_path: Path) -> None:
    publish(ada.store, tmp_path, "v1", 100)
    publish(ada.store, tmp_path, "v2", 30, b"newer")

    def share() -> float:
        devices = [f"d{n}" for n in range(300)]
        got = [ada.store.read(lambda c, d=d: releases.offered(c, "pulse", "any", d, None)) for d in devices]
        return sum(r.version == "v2" for r in got) / len(got)

    assert 0.2 < share() < 0.4
    publish(ada.store, tmp_path, "v2", 100, b"newer")
    assert share() == 1.0
    ada.store.write(lambda conn: releases.withdraw(conn, "pulse", "v2"))
    assert share() == 0.0


@dataclass
class Receiver:
    """A webhook's receiver that checks signatures, or does not."""

    url: str = ""
    secret: bytes = b""
    careless: bool = False
    down: bool = False
    got: list[Any] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time_, mac = (p.split("=")[1] for p in self.headers["Wristwise-Signature"].split(","))
            good = hmac.compare_digest(mac, hmac.new(found.secret, f"{time_}.".encode() + body, "sha256").hexdigest())
            content = json.loads(body)
            status = 503 if found.down else 200 if good or found.careless else 401
            if status == 200 and content["type"] == "records":
                found.got.append(content)
            answer = content.get("challenge", "").encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def hook(person: Person, receiver: Receiver) -> str:
    made = person.http.post("/v1/webhooks", json={"url": receiver.url}, headers=person.companion).json
    receiver.secret = bytes.fromhex(made["secret"])
    return made["hook_id"]


def test_a_caregiver_is_told_of_a_fall_once_the_receiver_has_proven_itself(ada: Person, receiver: Receiver) -> None:
    hook_id = hook(ada, receiver)
    worker = Worker(ada.store, [], {"deliver": deliverer(record_body, True)})
    receiver.careless = True
    refused = ada.http.post(f"/v1/webhooks/{hook_id}/verify", headers=ada.companion)
    assert (refused.status_code, "must refuse a false signature" in refused.json["detail"]) == (409, True)
    receiver.careless = False
    assert ada.http.post(f"/v1/webhooks/{hook_id}/verify", headers=ada.companion).json["verified"] is True
    receiver.down = True
    other = {"client_record_id": "w", "kind": "weight", "start": wall(0), "end": wall(0), "value": 70}
    ada.http.post("/v1/records", json={"records": [FALL, other]}, headers=ada.companion)
    worker.drain()
    assert receiver.got == []
    receiver.down = False
    ada.store.write(lambda conn: conn.exec_driver_sql("UPDATE jobs SET due_us = 0"))
    worker.drain()
    assert [r["kind"] for r in receiver.got[0]["records"]] == ["fall"]
    worker.drain()
    assert len(receiver.got) == 1


def test_a_hook_may_not_reach_into_our_own_network(ada: Person) -> None:
    from services.worker.deliver import DeliveryError, check_address

    for url in ("http://example.org/", "https://127.0.0.1/", "https://10.0.0.1/x", "https://[::1]/"):
        with pytest.raises(DeliveryError):
            check_address(url, allow_private=False)


def test_the_live_stream_goes_on_after_the_last_event(ada: Person) -> None:
    ada.http.post("/v1/records", json={"records": [FALL]}, headers=ada.companion)
    start = ada.changes(limit=1)["cursor"]
    ada.http.post("/v1/records", json={"records": [{**FALL, "client_record_id": "f2"}]}, headers=ada.companion)
    live = ada.http.get("/v1/live", headers={**ada.companion, "Last-Event-ID": start})
    text = live.get_data(as_text=True)
    live.close()
    events = [b for b in text.split("\n\n") if "event: fall" in b]
    assert len(events) == 1
    assert json.loads(events[0].split("data: ")[1])["client_record_id"] == "f2"
    again = ada.http.get(
        "/v1/live", headers={**ada.companion, "Last-Event-ID": events[0].split("id: ")[1].split("\n")[0]}
    )
    assert "event: fall" not in again.get_data(as_text=True)
    again.close()


def test_a_long_poll_is_woken_by_what_comes(ada: Person) -> None:
    cursor = ada.changes()["cursor"]
    timer = threading.Timer(0.2, lambda: ada.http.application.test_client().post(
        "/v1/records", json={"records": [FALL]}, headers=ada.companion))  # fmt: skip
    timer.start()
    page = ada.changes(cursor, wait=20)
    timer.join()
    assert [c["kind"] for c in page["changes"]] == ["fall"]


def test_an_export_holds_everything_in_forms_that_others_read(ada: Person, worker: Worker) -> None:
    import pyarrow.parquet as parquet

    ada.send(ada.batch([ada.chunk(0), ada.chunk(1)], 20))
    worker.drain()
    answer = ada.http.get("/v1/export", headers=ada.companion)
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    answer.close()
    records = parquet.read_table(io.BytesIO(archive.read("records.parquet"))).to_pylist()
    assert {r["kind"] for r in records} == {"heart_rate"}
    samples = next(n for n in archive.namelist() if n.startswith("samples/"))
    assert parquet.read_table(io.BytesIO(archive.read(samples)))["ppg"].to_pylist() == [60.0] * 80 + [61.0] * 80
    fhir = [json.loads(line) for line in archive.read("fhir.ndjson").splitlines()]
    assert fhir[0]["code"]["coding"][0] == {"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}
    omh = [json.loads(line) for line in archive.read("openmhealth.ndjson").splitlines()]
    assert omh[0]["header"]["schema_id"]["name"] == "heart-rate"
    assert len(fhir) == len(omh) == len(records) == 7


def test_deletion_leaves_no_row_and_no_job_behind(ada: Person, http: FlaskClient, store: Store) -> None:
    eve = Person(http, store, name="eve")
    for person in (ada, eve):
        person.send(person.batch([person.chunk(0), person.chunk(1, n=3)], 20))
        person.http.post("/v1/records", json={"records": [FALL]}, headers=person.companion)
        person.http.post("/v1/uploads", json={"length": 5}, headers=person.watch)
        person.http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"}, headers=person.companion)
        person.http.put("/v1/cursors/x", json={"cursor": person.changes()["cursor"]}, headers=person.companion)
    http.application.extensions["wristwise"].audit.flush()
    assert ada.http.delete("/v1/me", headers=ada.companion).status_code == 204
    http.application.extensions["wristwise"].audit.flush()
    counts = {}
    for table in metadata.sorted_tables:
        if "user_id" in table.c:
            query = table.select().where(table.c.user_id == ada.user_id)
            assert store.read(lambda c, q=query: c.execute(q).all()) == [], table.name
            query = table.select().where(table.c.user_id == eve.user_id)
            counts[table.name] = len(store.read(lambda c, q=query: c.execute(q).all()))
    assert {name for name, count in counts.items() if count == 0} <= {"chains", "units", "upload_parts"}
    assert ada.http.get("/v1/me", headers=ada.companion).status_code == 401
    assert ada.send(ada.batch([ada.chunk(2)])).status_code == 401


def test_retention_lets_samples_go_thins_estimates_and_keeps_the_proof(ada: Person, worker: Worker) -> None:
    ada.send(ada.batch([ada.chunk(s) for s in range(12)], 120))
    worker.drain()
    assert len(rates(ada)) == 57
    done = upkeep.retain(ada.store, raw_days=1, fine_days=0, tombstone_days=90, audit_days=90, kinds=("heart_rate",))
    assert (done["chunks"], done["thinned"]) == (12, 57)
    minutes = sorted(rates(ada), key=lambda r: r["start"])
    assert [m["data"]["resolution_s"] for m in minutes] == [60, 60]
    assert sum(m["data"]["count"] for m in minutes) == 57
    # What was kept of the samples still tells a repeat from a conflict, and nothing is computed over nothing.
    again = ada.send(ada.batch([ada.chunk(0), ada.chunk(1, data=bytes(160))], 120)).json["results"]
    assert [r["status"] for r in again] == ["duplicate", "rejected"]
    ada.send(ada.batch([ada.chunk(12)], 700))
    worker.drain()
    assert len(rates(ada)) > 2
    assert ada.store.read(jobs.counts)["dead"] == 0


def test_a_purged_tombstone_makes_old_cursors_begin_again(ada: Person) -> None:
    ada.http.post("/v1/records", json={"records": [FALL]}, headers=ada.companion)
    old = ada.changes()["cursor"]
    ada.http.delete("/v1/records/client/f1?version=2", headers=ada.companion)
    assert ada.changes(old)["changes"][0]["deleted"] is True
    ada.store.write(lambda conn: upkeep.purge(conn, ada.user_id, now_us() + 1, 0))
    assert ada.http.get(f"/v1/changes?cursor={old}", headers=ada.companion).status_code == 410
    assert ada.changes()["changes"] == []


def test_a_new_model_computes_history_again_on_demand(ada: Person, worker: Worker) -> None:
    ada.send(ada.batch([ada.chunk(s) for s in range(6)], 60))
    worker.drain()
    newer = pulse_ability("v2")
    upgraded = Worker(ada.store, [newer])
    upgraded.drain()
    assert {r["source"]["model_version"] for r in rates(ada)} == {"v1"}
    ada.store.write(lambda conn: upkeep.want_backfill(conn, "pulse"))
    upgraded.drain()
    found = rates(ada)
    assert {r["source"]["model_version"] for r in found} == {"v2"}
    assert {r["revision"] for r in found} == {2}
    assert len(found) == 27


def test_a_job_that_cannot_be_done_is_given_up_with_its_reason_and_spares_the_others(ada: Person, store: Store) -> None:
    class Broken:
        def predict(self, windows: Any) -> Any:
            raise ValueError("the network is not well")

    good = pulse_ability()
    broken = Worker(store, [Ability(good.task, Broken(), "v1", {})])
    ada.send(ada.batch([ada.chunk(s) for s in range(3)], 30))
    for _ in range(jobs.ATTEMPTS):
        store.write(lambda conn: conn.exec_driver_sql("UPDATE jobs SET due_us = 0"))
        broken.step()
    assert store.read(jobs.counts) == {"waiting": 0, "scheduled": 0, "dead": 1}
    reason = store.read(lambda c: c.exec_driver_sql("SELECT error FROM jobs").scalar())
    assert reason == "ValueError: the network is not well"
    ada.send(ada.batch([ada.chunk(3)], 40))  # what caused it has changed: it lives again
    Worker(store, [good]).drain()
    assert store.read(jobs.counts)["dead"] == 0
    assert len(rates(ada)) == 17


def test_work_of_a_dead_worker_is_taken_over_when_its_lease_has_run_out(ada: Person, store: Store) -> None:
    ada.send(ada.batch([ada.chunk(s) for s in range(3)], 30))
    claimed = store.write(lambda conn: jobs.claim(conn, "dead", [PROCESS], 10))
    assert len(claimed) == 1
    worker = Worker(store, [pulse_ability()])
    assert worker.step() == 0
    store.write(lambda conn: conn.exec_driver_sql("UPDATE jobs SET lease_us = 1"))
    worker.drain()
    assert len(rates(ada)) == 12


def test_a_backup_is_whole_while_the_service_writes(ada: Person, tmp_path: Path) -> None:
    from services.store.errors import StoreError
    from services.store.migrate import open_store

    ada.send(ada.batch([ada.chunk(0)], 10))
    target = tmp_path / "copy.db"
    if not ada.store.sqlite:
        with pytest.raises(StoreError, match="pg_dump"):
            upkeep.back_up(ada.store, target)
        return
    upkeep.back_up(ada.store, target)
    copy = open_store(f"sqlite:///{target}")
    assert copy.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM chunks").scalar()) == 1
    copy.close()
    with pytest.raises(StoreError, match="exists"):
        upkeep.back_up(ada.store, target)


def test_a_boot_without_a_clock_waits_and_is_placed_when_a_reading_comes(ada: Person, worker: Worker) -> None:
    boot = "44444444-4444-4444-8444-444444444444"
    ada.send(ada.batch([ada.chunk(0, boot_id=boot), ada.chunk(1, boot_id=boot)], 20))
    worker.drain()
    assert rates(ada) == []
    assert ada.http.get("/v1/manifest", headers=ada.companion).json["streams"][0]["placed"] is False
    noted = {"boot_id": boot, "monotonic_us": 5_000_000, "wall": wall(-995), "utc_offset_s": 0}
    ada.send(ada.batch([], 30, clocks=[noted]))
    worker.drain()
    assert min(r["start"] for r in rates(ada)) == wall(-1000)
    assert len(rates(ada)) == 7


def test_a_late_correction_of_the_clock_moves_what_was_computed(ada: Person, worker: Worker) -> None:
    sent = {"boot_id": ada.boot_id, "wall": wall(0), "utc_offset_s": 0}
    ada.send({**ada.batch([ada.chunk(s) for s in range(2)]), "sent": {**sent, "monotonic_us": 86_400_000_000}})
    worker.drain()
    assert len(rates(ada)) == 7
    before = {r["id"] for r in rates(ada)}
    early = {**sent, "wall": wall(50), "monotonic_us": 5_000_000}
    ada.send(ada.batch([], 0, sent=early))
    ada.send(ada.batch([], 0, sent={**early, "wall": wall(650), "monotonic_us": 605_000_000}))
    worker.drain()
    after = rates(ada)
    assert min(r["start"] for r in after) == wall(45)
    assert len(after) == 7
    assert before.isdisjoint(r["id"] for r in after)


def test_samples_are_encrypted_in_the_file_and_still_computed(tmp_path: Path) -> None:
    import base64

    from services.store.migrate import open_store
    from services.sync.app import create_app

    key = base64.b64encode(bytes(32)).decode()
    url = f"sqlite:///{tmp_path / 'sealed.db'}"
    sealed = open_store(url, durable=False, data_key=key)
    person = Person(create_app(Settings(store=url, secret="x" * 40, rate_per_minute=0), sealed).test_client(), sealed)
    noise = np.random.default_rng(1).integers(60, 90, (80, 1)).astype("<i2")
    person.send(person.batch([person.chunk(s, data=noise.tobytes()) for s in range(2)], 20))
    codecs = sealed.read(lambda c: c.exec_driver_sql("SELECT DISTINCT codec FROM chunks").scalars().all())
    assert codecs == ["shuffle-zstd+gcm"]
    Worker(sealed, [pulse_ability()]).drain()
    assert len(rates(person)) == 7
    sealed.close()

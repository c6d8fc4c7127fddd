"""What users of other systems complain about: each complaint is the name of a test that passes here."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.registry import TASKS
from services.insight import follow
from services.worker.engine import shipped_abilities
from services.worker.worker import Worker
from tests.services.client import Person, bearer, wall


def rates(person: Person) -> list[dict[str, Any]]:
    return [c for c in person.changes()["changes"] if c["kind"] == "heart_rate" and not c["deleted"]]


def export(person: Person) -> zipfile.ZipFile:
    with person.http.get("/v1/export", headers=person.companion) as answer:
        return zipfile.ZipFile(io.BytesIO(answer.data))


def write(person: Person, headers: dict[str, str] | None = None, **record: Any) -> Any:
    base = {"client_record_id": "r", "kind": "weight", "start": wall(0), "end": wall(0)}
    return person.http.post("/v1/records", json={"records": [{**base, **record}]}, headers=headers or person.companion)


def test_a_400_discards_the_payload_unlogged_and_a_night_is_lost(ada: Person) -> None:
    """open-wearables #1330: here what cannot be read is kept, is listed, and can be replayed once it can be read."""
    batch = ada.batch([ada.chunk(0)], 10)
    refused = ada.send({**batch, "sent": {"wall": "yesterday"}})
    assert refused.status_code == 422
    kept = ada.http.get("/v1/quarantine", headers=ada.companion).json["items"]
    assert [k["id"] for k in kept] == [refused.json["quarantine"]]
    broken = ada.http.post("/v1/batches", data=b"{", content_type="application/json", headers=ada.watch)
    assert broken.status_code == 400
    payload = ada.http.get(f"/v1/quarantine/{broken.json['quarantine']}", headers=ada.companion)
    assert payload.data == b"{"


def test_the_client_loops_on_the_same_batch_while_the_server_says_success(ada: Person) -> None:
    """open-wearables #1343: a refused chunk is acknowledged as held in quarantine, so the watch goes on."""
    sent = ada.send(ada.batch([ada.chunk(0), ada.chunk(1, n=1), ada.chunk(2)], 30))
    assert sent.json["results"][1]["status"] == "rejected"
    assert sent.json["acked_through"] == {f"{ada.boot_id}/ppg": 2}
    assert sent.json["missing"] == {}
    assert ada.send(ada.batch([ada.chunk(1)], 30)).json["results"][0]["status"] == "stored"


def test_no_proof_that_a_sync_is_complete(ada: Person, worker: Worker) -> None:
    """open-wearables PR 1535: the manifest compares what the watch made with what is held, placed and computed."""
    ada.send(ada.batch([ada.chunk(s) for s in (0, 1, 3)], 40))
    claim = {"boot_id": ada.boot_id, "stream": "ppg", "ranges": [[0, 3]]}
    ask = {"device_id": ada.device_id, "streams": [claim]}
    first = ada.http.post("/v1/manifest", json=ask, headers=ada.watch).json
    assert (first["complete"], first["streams"][0]["missing"]) == (False, [[2, 2]])
    ada.send(ada.batch([ada.chunk(2)], 40))
    assert ada.http.post("/v1/manifest", json=ask, headers=ada.watch).json["streams"][0]["processed"] is False
    worker.drain()
    assert ada.http.post("/v1/manifest", json=ask, headers=ada.watch).json["complete"] is True


def test_duplicate_or_contained_sleep_for_one_night(ada: Person) -> None:
    """open-wearables #566, #661: records that overlap are one night; the longest stands, the others beside it."""
    for name, start, end in (("a", 0, 8 * 3600), ("b", 3600, 7 * 3600), ("c", 86_400, 90_000)):
        write(ada, client_record_id=name, kind="sleep", start=wall(start), end=wall(end), value=(end - start) / 60)
    nights = ada.http.get(
        "/v1/sleep", query_string={"from": wall(-10), "to": wall(200_000)}, headers=ada.companion
    ).json
    assert [(n["sleep"]["client_record_id"], len(n["others"])) for n in nights["nights"]] == [("a", 1), ("c", 0)]


def test_the_zone_offset_is_accepted_then_dropped(ada: Person, worker: Worker) -> None:
    """open-wearables #607: the offset travels beside each time, in and out."""
    assert write(ada, utc_offset_s=-9000).json["results"][0]["record"]["utc_offset_s"] == -9000
    ada.send(ada.batch([ada.chunk(0), ada.chunk(1)], 20))
    worker.drain()
    assert {r["utc_offset_s"] for r in rates(ada)} == {3600}


def test_steps_are_dropped_instead_of_merged(ada: Person) -> None:
    """open-wearables #1287: 4,157 against 14,079; two sources that overlap in part are merged stretch by stretch."""
    second = bearer(ada.pair("second"))
    write(ada, ada.watch, client_record_id="w", kind="steps", start=wall(0), end=wall(3600), value=4000)
    write(ada, second, client_record_id="p", kind="steps", start=wall(1800), end=wall(7200), value=6000)
    day = ada.http.get(
        "/v1/series/steps",
        query_string={"resolution": "day", "from": wall(-3600), "to": wall(9000), "tz": "UTC"},
        headers=ada.companion,
    ).json["points"]
    # First half hour: only the watch, 2000. Second: the busier of both, 2000. Then the phone alone, 4000.
    assert [p["value"] for p in day] == [8000.0]


def test_a_night_across_midnight_has_a_label_that_does_not_wander(ada: Person) -> None:
    """open-wearables #1670: a night is named after the day on which it ends, on the wearer's clock."""
    # 2025-11-24 23:30 to 2025-11-25 06:30 in a zone five hours behind UTC.
    start = 12.5 * 3600
    write(ada, kind="sleep", start=wall(start), end=wall(start + 7 * 3600), utc_offset_s=-18_000, value=400)
    query = {"from": wall(0), "to": wall(200_000)}
    nights = ada.http.get("/v1/sleep", query_string=query, headers=ada.companion).json["nights"]
    assert nights[0]["date"] == "2025-11-25"


def test_a_gap_between_the_last_sync_and_midnight(ada: Person, worker: Worker) -> None:
    """garmin-grafana #25, fitbit-grafana #10: what is sent in two parts around midnight comes back whole."""
    late = 6 * 3600 * 1_000_000 + 3_570_000_000  # half a minute before 00:00 at UTC+1
    chunks = [ada.chunk(s, t0_us=late + s * 10_000_000) for s in range(6)]
    ada.send(ada.batch(chunks[:3], (late + 30_000_000) / 1e6))
    worker.drain()
    ada.send(ada.batch(chunks[3:], (late + 60_000_000) / 1e6))
    worker.drain()
    starts = sorted(r["start"] for r in rates(ada))
    assert len(starts) == 27
    days = ada.http.get(
        "/v1/series/heart_rate",
        query_string={"resolution": "day", "from": wall(0), "to": wall(90_000)},
        headers=ada.companion,
    ).json["points"]
    assert [(p["date"], p["count"]) for p in days] == [("2025-11-24", 15), ("2025-11-25", 12)]


def test_days_are_lost_after_travel_west(ada: Person) -> None:
    """garmin-grafana #185: a day that is lived twice holds both halves, and no value is lost."""
    for hour in range(48):
        offset = 3600 if hour < 20 else -8 * 3600
        write(
            ada, client_record_id=f"h{hour}", kind="heart_rate", value=60 + hour, utc_offset_s=offset,
            start=wall(hour * 3600), end=wall(hour * 3600 + 8),
        )  # fmt: skip
    days = ada.http.get(
        "/v1/series/heart_rate",
        query_string={"resolution": "day", "from": wall(0), "to": wall(48 * 3600)},
        headers=ada.companion,
    ).json["points"]
    assert sum(p["count"] for p in days) == 48
    assert [p["date"] for p in days] == ["2025-11-24", "2025-11-25", "2025-11-26"]


def test_sync_is_stuck_on_daylight_saving(ada: Person) -> None:
    """Gadgetbridge #691, #869: the days on which clocks change have 23 and 25 hours, and are whole."""
    spring, autumn = "2026-03-29", "2026-10-25"
    for date in (spring, autumn):
        for hour in range(-3, 27):
            moment = f"{date}T{hour:02d}:15:00Z" if 0 <= hour < 24 else None
            if moment:
                write(ada, client_record_id=f"{date}-{hour}", kind="heart_rate", start=moment, end=moment, value=60)
    for date, hours in ((spring, 23), (autumn, 25)):
        points = ada.http.get(
            "/v1/series/heart_rate",
            query_string={
                "resolution": "day", "tz": "Europe/Berlin", "from": f"{date}T00:00:00Z", "to": f"{date}T23:59:00Z"
            },
            headers=ada.companion,
        ).json["points"]  # fmt: skip
        day = next(p for p in points if p["date"] == date)
        from datetime import datetime

        length = datetime.fromisoformat(day["end"]) - datetime.fromisoformat(day["start"])
        assert length.total_seconds() == hours * 3600


def test_a_manual_sample_moves_the_cursor_and_hides_older_data(ada: Person, worker: Worker) -> None:
    """Gadgetbridge #478: the cursor counts changes, not time, so data older than what was read still come."""
    write(ada, kind="heart_rate", start=wall(90_000), end=wall(90_000), value=71)
    cursor = ada.changes()["cursor"]
    ada.send(ada.batch([ada.chunk(0), ada.chunk(1)], 20))
    worker.drain()
    later = ada.changes(cursor)["changes"]
    assert len(later) == 7
    assert all(c["start"] < wall(90_000) for c in later)


def test_the_anchor_is_committed_before_ingestion_and_data_are_lost_silently(ada: Person) -> None:
    """noop PR 1415: a client's place moves only when it acknowledges what it has stored, and never back."""
    for name in "abc":
        write(ada, client_record_id=name)
    query = {"client": "phone", "limit": 2}
    first = ada.http.get("/v1/changes", query_string=query, headers=ada.companion).json
    again = ada.http.get("/v1/changes", query_string=query, headers=ada.companion).json
    assert [c["id"] for c in again["changes"]] == [c["id"] for c in first["changes"]]
    ada.http.put("/v1/cursors/phone", json={"cursor": first["cursor"]}, headers=ada.companion)
    third = ada.http.get("/v1/changes", query_string=query, headers=ada.companion).json
    assert [c["client_record_id"] for c in third["changes"]] == ["c"]
    ada.http.put("/v1/cursors/phone", json={"cursor": third["cursor"]}, headers=ada.companion)
    stands = ada.http.put("/v1/cursors/phone", json={"cursor": first["cursor"]}, headers=ada.companion).json
    assert stands["cursor"] == third["cursor"]


def test_the_end_of_sleep_depends_on_when_the_watch_synced(ada: Person) -> None:
    """OpenCircuit #190: a night that comes in four parts, staged in between, ends when it ends if it comes at once."""
    eve = Person(ada.http, ada.store, name="eve")
    (staging,) = shipped_abilities([TASKS["sleep-staging"]])
    worker = Worker(ada.store, [staging])
    rng = np.random.default_rng(3)
    counts = np.where(rng.random(32 * 60) < 0.03, rng.gamma(2, 15, 32 * 60), 0.0)  # eight hours of 15 s, asleep ...
    counts[:100], counts[-140:] = 60.0, 60.0  # ... but for the first 25 and the last 35 minutes
    chunks = [
        ada.chunk(
            k, stream="counts", channels=["counts"], t0_us=k * 900_000_000, rate_hz=1 / 15, n=60, encoding="f4",
            data=counts[60 * k : 60 * k + 60].astype("<f4").tobytes(),
        )
        for k in range(32)
    ]  # fmt: skip

    def send(person: Person, parts: int) -> list[dict[str, Any]]:
        for k in range(0, 32, 32 // parts):
            until = k + 32 // parts
            sent = person.batch(chunks[k:until], 900 * until)
            sent["sent"]["wall"] = wall(6 * 3600 + 900 * until)
            assert person.send(sent).status_code == 200
            worker.drain()
            follow.step(person.store)
        query = {"from": wall(0), "to": wall(86_400)}
        nights = person.http.get("/v1/sleep", query_string=query, headers=person.companion).json["nights"]
        return [{k: n["sleep"][k] for k in ("start", "end", "value", "data")} for n in nights]

    at_once, in_parts = send(ada, 1), send(eve, 4)
    assert at_once == in_parts
    assert len(at_once) == 1
    assert wall(13.2 * 3600) < at_once[0]["end"] < wall(14 * 3600)


def test_the_same_samples_give_the_same_however_they_came(ada: Person, worker: Worker) -> None:
    boot = "33333333-3333-4333-8333-333333333333"
    for seq in range(12):
        ada.send(ada.batch([ada.chunk(seq)], 10 * seq + 10))
        worker.drain()
    whole = [ada.chunk(s, boot_id=boot) for s in range(12)]
    sent = {"boot_id": boot, "monotonic_us": 120_000_000, "wall": wall(1120), "utc_offset_s": 3600}
    ada.send({**ada.batch(whole), "sent": sent})
    worker.drain()
    values = [r["value"] for r in sorted(rates(ada), key=lambda r: r["start"])]
    assert values[: len(values) // 2] == values[len(values) // 2 :]


def test_origin_recording_method_and_device_are_wanted_with_each_value(ada: Person, worker: Worker) -> None:
    """health-connect-webhook #50."""
    manual = write(ada, recording_method="manual").json["results"][0]["record"]
    assert manual["data"]["recording_method"] == "manual"
    ada.send(ada.batch([ada.chunk(0)], 10))
    worker.drain()
    assert rates(ada)[0]["source"] == {"device_id": "watch-1", "task": "pulse", "model_version": "v1"}


def test_a_large_payload_kills_the_broker(ada: Person) -> None:
    """open-wearables PR 1460: what is too large is refused with the limit, a bomb before it unfolds."""
    import gzip

    bomb = gzip.compress(bytes(40 << 20))
    headers = {**ada.watch, "Content-Encoding": "gzip"}
    refused = ada.http.post("/v1/batches", data=bomb, content_type="application/msgpack", headers=headers)
    assert (refused.status_code, refused.json["limit"]) == (413, 32 << 20)
    big = ada.http.post("/v1/batches", data=bytes(9 << 20), content_type="application/msgpack", headers=ada.watch)
    assert big.status_code == 413
    many = ada.send(ada.batch([ada.chunk(s) for s in range(513)]))
    assert (many.status_code, many.json["limit"]) == (413, 512)


def test_heart_rate_is_wanted_over_the_hypnogram(ada: Person) -> None:
    """fitbit-grafana #35: a night brings its heart rate on the hypnogram's own grid, and says where there is none."""
    stages = "WWLLDDRR"
    start = 437.0  # of no round half minute
    span = {"start": wall(start), "end": wall(start + 30 * len(stages))}
    write(ada, client_record_id="n", kind="sleep", value=3.0, data={"hypnogram": stages}, **span)
    write(ada, client_record_id="nap", kind="sleep", value=1.0, start=wall(40_000), end=wall(40_060))
    for at, bpm in ((-10, 99), (0, 60), (20, 62), (95, 50), (235, 70), (241, 99)):
        moment = wall(start + at)
        write(ada, client_record_id=f"h{at}", kind="heart_rate", value=bpm, start=moment, end=moment)
    query = {"from": wall(0), "to": wall(90_000)}
    plain = ada.http.get("/v1/sleep", query_string=query, headers=ada.companion).json["nights"]
    assert "overlay" not in plain[0]
    nights = ada.http.get("/v1/sleep", query_string={**query, "overlay": "heart_rate"}, headers=ada.companion).json[
        "nights"
    ]
    assert nights[0]["overlay"] == {
        "epoch_s": 30.0, "hypnogram": stages, "heart_rate": [61.0, None, None, 50.0, None, None, None, 70.0],
    }  # fmt: skip
    assert nights[1]["overlay"] is None


def test_rmssd_is_wanted_beside_sdnn(ada: Person) -> None:
    """health-auto-export #75: both, of the same beats, each under its own name in every form of answer."""
    beats = np.cumsum(np.where(np.arange(400) % 2, 0.8, 0.86))  # intervals alternate: RMSSD 60 ms, SDNN 30 ms
    for k in range(12):
        times = [round(float(t), 6) for t in beats if 24 * k <= t < 24 * (k + 1)]
        span = {"start": wall(24 * k), "end": wall(24 * (k + 1))}
        write(ada, ada.watch, client_record_id=f"b{k}", kind="beats", value=len(times), data={"times_s": times}, **span)
    query = {"from": wall(0), "to": wall(600)}
    (span,) = ada.http.get("/v1/variability", query_string=query, headers=ada.companion).json["spans"]
    assert (span["rmssd_ms"], span["sdnn_ms"]) == (pytest.approx(60, abs=0.5), pytest.approx(30, abs=0.5))
    assert (span["device_id"], span["clean"]) == (ada.device_id, 1.0)
    for kind, value in (("rmssd", 60.0), ("sdnn", 30.0)):
        write(ada, client_record_id=kind, kind=kind, value=value, start=wall(0), end=wall(300))
    days = ada.http.get("/v1/trends", query_string=query, headers=ada.companion).json["days"]
    assert (days[0]["values"]["rmssd"], days[0]["values"]["sdnn"]) == (60.0, 30.0)
    archive = export(ada)
    fhir = {o["code"]["text"]: o for o in map(json.loads, archive.read("fhir.ndjson").splitlines())}
    assert fhir["sdnn"]["code"]["coding"][0]["code"] == "80404-7"
    assert "coding" not in fhir["rmssd"]["code"]
    bodies = [json.loads(line)["body"] for line in archive.read("openmhealth.ndjson").splitlines()]
    assert {name for body in bodies for name in body} >= {"rmssd", "sdnn"}


def test_too_few_beats_are_not_said_to_have_a_variability(ada: Person) -> None:
    write(ada, kind="beats", value=3, data={"times_s": [1.0, 1.8, 2.6]}, end=wall(24))
    query = {"from": wall(0), "to": wall(600)}
    (span,) = ada.http.get("/v1/variability", query_string=query, headers=ada.companion).json["spans"]
    assert (span["n"], span["rmssd_ms"], span["sdnn_ms"]) == (2, None, None)


def test_raw_ppg_is_asked_for_and_rarely_given(ada: Person) -> None:
    """wear-os-samples #604: every sample that the watch sent is in the export, as it was sensed."""
    ada.send(ada.batch([ada.chunk(0), ada.chunk(1)], 20))
    archive = export(ada)
    (name,) = (n for n in archive.namelist() if n.startswith("samples/"))
    assert pq.read_table(io.BytesIO(archive.read(name)))["ppg"].to_pylist() == [60.0] * 80 + [61.0] * 80


def test_a_fall_alarm_latches_is_accepted_on_both_sides_and_keeps_its_timeline(ada: Person) -> None:
    """OpenSeizureDetector #22, #245: tiers of the alarm come from the watch, the answer from either side, and stays."""

    def alarm(version: int, value: str) -> str:
        step = {"state": value, "at": wall(version)}
        sent = write(
            ada, ada.watch, client_record_id="f", client_record_version=version, kind="fall", value=value,
            start=wall(0), end=wall(10), data={"history": [step]},
        )  # fmt: skip
        return str(sent.json["results"][0]["status"])

    for version, value in enumerate(("detected", "alerted")):
        assert alarm(version, value) == "stored"
    assert alarm(0, "detected") == "stale"  # it latches: no way back
    (event,) = ada.http.get("/v1/events", query_string={"from": wall(-9), "to": wall(99)}, headers=ada.companion).json[
        "events"
    ]
    ada.http.set_cookie("wristwise_session", ada.companion["Authorization"].split()[1])
    own = {"Sec-Fetch-Site": "same-origin"}
    assert ada.http.post(f"/events/{event['id']}", data={"state": "acknowledged"}, headers=own).status_code == 302
    ada.http.delete_cookie("wristwise_session")
    assert alarm(5, "alerted") == "stored"  # the watch's countdown ends after all: what the person decided stands
    seen = ada.changes()["changes"]
    answer = next(c for c in seen if c["kind"] == "event_response")  # the watch reads it from the feed
    assert (answer["value"], answer["data"]["event"]) == ("acknowledged", event["id"])
    assert [s["state"] for s in answer["data"]["history"]] == ["acknowledged"]

"""The watch's parts, each alone."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.recording import Channel, Recording
from data.synthetic.wearer import wearer
from services.watch import Companion, Fault, FaultPlan, LinkDown, WatchClock, sense
from services.watch.battery import Battery
from services.watch.encoder import decode, encode
from services.watch.faults import FaultError
from services.watch.link import Answer, Backoff
from services.watch.outbox import Outbox
from services.watch.pairing import Pairing
from services.watch.wire import JSON, MSGPACK, Chunk, pack, unpack

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@given(arrays(np.int16, st.tuples(st.integers(1, 50), st.integers(1, 4))), st.sampled_from(["i2", "delta-zstd"]))
def test_a_chunk_decodes_to_what_was_encoded(counts: np.ndarray, encoding: str) -> None:
    np.testing.assert_array_equal(decode(encode(counts, encoding), encoding, counts.shape[1]), counts)


def test_a_minute_of_pulse_takes_less_than_its_plain_bytes() -> None:
    (ppg,) = sense(wearer(["ppg"], seconds=60, seed=1))
    assert len(encode(ppg.counts, "delta-zstd")) < 0.9 * ppg.counts.nbytes


def test_an_unknown_encoding_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="must be one of i2, delta-zstd"):
        encode(np.zeros((1, 1), np.int16), "mp3")


def test_sensors_give_their_own_rates_and_keep_the_signal_within_a_count() -> None:
    recording = wearer(["ppg", "acc_x", "acc_y", "acc_z", "ecg"], seconds=30, seed=2)
    streams = {s.name: s for s in sense(recording)}
    assert {n: s.rate_hz for n, s in streams.items()} == {"ppg": 64, "acc": 32, "ecg": 128}
    acc = streams["acc"]
    assert acc.channels == ("acc_x", "acc_y", "acc_z")
    physical = acc.counts[:, 2] * acc.scale + acc.offset
    assert np.abs(physical - recording.channels["acc_z"].samples).max() <= acc.scale / 2 + 1e-6


def test_a_hole_in_a_channel_is_a_hole_between_chunks() -> None:
    samples = np.ones(64 * 10, np.float32)
    samples[100:200] = np.nan
    (ppg,) = sense(Recording("r", "s", {"ppg": Channel("ppg", 64.0, samples)}))
    assert ppg.runs(0.0, 10.0) == [(0, 100), (200, 640)]


def test_an_irregular_heart_rate_comes_at_one_hertz_and_bridges_no_long_hole() -> None:
    times = np.array([0.0, 5.0, 10.0, 100.0, 105.0])
    hr = Channel("hr", 0.2, np.array([60, 65, 70, 80, 80], np.float32), times_s=times)
    (stream,) = sense(Recording("r", "s", {"hr": hr}))
    assert stream.rate_hz == 1.0
    assert stream.runs(0.0, 200.0) == [(0, 11), (100, 106)]
    assert stream.counts[5, 0] * stream.scale == pytest.approx(65.0, abs=0.01)


def test_the_two_clocks_part_when_the_wall_jumps_and_meet_a_new_boot() -> None:
    clock = WatchClock(START, name="w", drift_ppm=20)
    before = clock.read(1000.0)
    clock.jump(-3600)
    after = clock.read(1000.0)
    assert after.monotonic_us == before.monotonic_us == 1_000_000_000
    assert (before.wall - after.wall).total_seconds() == 3600
    assert clock.true_time(1000.0).timestamp() - START.timestamp() == pytest.approx(1000.02)
    clock.reboot(1010.0)
    assert clock.read(1010.5).monotonic_us == 500_000
    assert clock.boot_id != before.boot_id
    assert WatchClock(START, name="other").boot_id != before.boot_id


def test_a_clock_needs_a_start_with_a_zone() -> None:
    with pytest.raises(ValueError, match="must carry a time zone"):
        WatchClock(datetime(2026, 1, 1))


def chunk(seq: int, boot: str = "b", stream: str = "ppg") -> Chunk:
    return Chunk(boot, stream, seq, seq * 1000, 64.0, ("ppg",), "i2", 1.0, 0.0, 2, bytes(4))


def test_the_outbox_deletes_up_to_what_is_acknowledged_and_no_further(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.sqlite")
    box.add([chunk(i) for i in range(5)], (), 0, {"x": 1})
    box.confirm([("b", "ppg", i) for i in (0, 1, 3)])
    box.acknowledge("b", "ppg", 1)
    assert box.held == 3
    assert [c.seq for c in box.next_chunks(10**6, 10)] == [2, 4]
    assert box.ask_again([("b", "ppg", 3), ("b", "ppg", 0)]) == 1
    box.close()
    again = Outbox(tmp_path / "o.sqlite")
    assert [c.seq for c in again.next_chunks(10**6, 10)] == [2, 3, 4]
    assert again.get("x") == 1


def test_one_batch_holds_chunks_of_one_boot_within_its_bytes() -> None:
    box = Outbox()
    box.add([chunk(0), chunk(1)], (), 0, {})
    box.add([chunk(0, "c")], (), 1, {})
    assert [c.boot_id for c in box.next_chunks(10**6, 10)] == ["b", "b"]
    assert len(box.next_chunks(1, 10)) == 1, "one chunk always fits"


def test_chunks_and_state_enter_the_outbox_together_or_not_at_all() -> None:
    box = Outbox()
    box.add([chunk(0)], (), 0, {"n": 1})
    with pytest.raises(Exception, match="UNIQUE"):
        box.add([chunk(1), chunk(0)], (), 0, {"n": 2})
    assert box.held == 1
    assert box.get("n") == 1


def test_batches_read_the_same_in_both_forms() -> None:
    body = {"a": 1, "data": b"\x00\xff", "t": "x"}
    assert unpack(pack(body, MSGPACK), MSGPACK) == body
    assert unpack(pack(body, JSON), JSON) == {**body, "data": "AP8="}
    assert unpack(b"\xc1", MSGPACK) is None
    assert unpack(b"{", JSON) is None


def test_waits_grow_with_jitter_up_to_the_cap() -> None:
    backoff = Backoff(np.random.default_rng(1), base_s=1.0, cap_s=60.0)
    waits = [backoff.failed() for _ in range(20)]
    assert max(waits) <= 60.0
    assert max(waits[8:]) > 10.0
    backoff.succeeded()
    assert backoff.failed() <= 1.0


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    assert Answer(429, {"retry-after": "7"}, b"").retry_after_s == 7.0
    assert Answer(429, {"retry-after": "Wed, 01 Jan 2020 00:00:00 GMT"}, b"").retry_after_s == 0.0
    assert Answer(429, {"retry-after": "soon"}, b"").retry_after_s is None


def test_the_faults_of_an_upload_follow_from_the_seed_and_its_number_alone() -> None:
    plan = FaultPlan(4, {"drop": 0.5, "duplicate": 0.5})
    in_order = [plan.for_upload(i) for i in range(40)]
    assert [plan.for_upload(i) for i in reversed(range(40))] == in_order[::-1]
    assert {"drop_request", "drop_reply", "duplicate"} == {n for names in in_order for n in names}


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_plan_is_read_back_from_its_file(tmp_path: Path, suffix: str) -> None:
    plan = FaultPlan(3, {"429": 0.25}, (Fault("kill", at=2), Fault("offline", at_s=60.0, value=30.0)))
    path = tmp_path / f"plan{suffix}"
    path.write_text(json.dumps(plan.body()))
    assert FaultPlan.read(path) == plan


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rates": {"dropp": 0.1}}, "unknown fault 'dropp'"),
        ({"rates": {"drop": 2}}, "probability from 0 to 1"),
        ({"script": [{"fault": "kill", "at_s": 3}]}, "needs at"),
        ({"script": [{"fault": "reboot", "at": 3}]}, "needs at_s"),
        ({"script": [{"fault": "kill", "at": 3, "for_s": 1}]}, "takes at, at_s, fault"),
        ({"script": ["kill"]}, "a line of a script must be"),
        ({"sed": 1}, "must hold seed, rates and script"),
    ],
)
def test_a_wrong_script_is_refused_in_one_sentence(tmp_path: Path, body: object, said: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(body))
    with pytest.raises(FaultError, match=said):
        FaultPlan.read(path)


def test_a_battery_pays_for_light_radio_and_thought() -> None:
    battery = Battery()
    battery.sense(("ppg", "acc"), 86400.0)
    battery.send(1_000_000)
    battery.infer(43_200)
    assert set(battery.spent_uc) == {"base", "sensors", "radio", "mcu"}
    assert all(v > 0 for v in battery.spent_uc.values())
    assert battery.level < 1.0
    assert battery.days(86400.0) == pytest.approx(1.0 / (1.0 - battery.level))


def test_polling_waits_the_interval_and_longer_when_told_to_slow_down(contract_server) -> None:
    answers = [{"error": "authorization_pending"}, {"error": "slow_down"}, "lost", None]
    real = contract_server.oauth

    def oauth(path, form):
        if path.endswith("token") and answers:
            answer = answers.pop(0)
            if answer == "lost":
                raise LinkDown("lost")
            if answer is not None:
                return Answer(400, {"content-type": "application/json"}, json.dumps(answer).encode())
        return real(path, form)

    contract_server.oauth = oauth
    waits: list[float] = []
    codes = []
    pairing = Pairing(contract_server, Outbox(), device={"device_id": "w"}, on_code=codes.append, sleep=waits.append)
    assert pairing.pair().device_id == "w"
    assert waits == [1.0, 6.0, 12.0]
    assert codes[0].user_code == "BCDF-GHJK"


def test_a_refused_refresh_means_pairing_again(contract_server) -> None:
    pairing = Pairing(contract_server, Outbox(), device={"device_id": "w"}, sleep=lambda _: None)
    pairing.pair()
    assert pairing.refresh() is not None
    contract_server.refresh = "another"
    assert pairing.refresh() is None
    assert pairing.tokens is None


def test_a_companion_that_is_told_to_slow_down_asks_again() -> None:
    kind = {"content-type": "application/json"}
    answers = [
        Answer(429, {**kind, "retry-after": "0.01"}, b"{}"),
        Answer(201, kind, b'{"access_token": "t"}'),
        Answer(503, {**kind, "retry-after": "0.01"}, b"{}"),
        Answer(200, kind, b'{"devices": []}'),
    ]

    class Busy:
        def send(self, request: object) -> Answer:
            return answers.pop(0)

        def break_off(self, request: object) -> None:
            """Never asked."""

        def close(self) -> None:
            """Nothing to close."""

    assert Companion("http://x.test", "ada", "secret", Busy()).call("GET", "/v1/devices") == {"devices": []}
    assert answers == []

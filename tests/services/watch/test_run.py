"""One watch from its first chunk to an empty outbox, over links of every kind."""

from collections.abc import Callable

import numpy as np
import pytest

from data.errors import ChannelError
from data.recording import Recording
from services.watch import Fault, FaultPlan, RunOptions, WatchReport, run_watch, sense
from services.watch.link import Answer, LinkDown, Request
from services.watch.wire import unpack

Run = Callable[..., WatchReport]


def sent_samples(server, recording, stream):
    wanted = next(s for s in sense(recording) if s.name == stream)
    return server.counts(stream), wanted.counts


def test_a_good_link_carries_every_sample_once(run: Run, contract_server, recording: Recording) -> None:
    report = run()
    assert report.complete
    assert report.tally.duplicates == 0
    assert report.sensed["chunks"] == 20 == len(contract_server.chunks)
    for stream in ("ppg", "acc"):
        got, wanted = sent_samples(contract_server, recording, stream)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("seed", range(6))
def test_a_bad_link_loses_and_repeats_but_nothing_is_lost(run: Run, contract_server, recording, seed: int) -> None:
    rates = {"reorder": 0.1, "delay": 0.1, "429": 0.1, "503": 0.1, "truncate": 0.1, "expire_token": 0.05, "kill": 0.0}
    report = run(seed=seed, drop=0.2, duplicate=0.2, offline=90, faults=FaultPlan(seed, rates))
    assert report.complete
    assert report.faults
    for stream in ("ppg", "acc"):
        got, wanted = sent_samples(contract_server, recording, stream)
        np.testing.assert_array_equal(got, wanted)


def test_the_same_seed_gives_the_same_bytes_and_faults(recording: Recording, make_server) -> None:
    bodies = []
    for _ in range(2):
        server = make_server()
        plan = FaultPlan(5, {"drop": 0.3, "truncate": 0.1})
        options = RunOptions(seed=5, faults=plan, start=recording_start())
        report = run_watch("http://x.test", recording, float("inf"), options=options, transport=server,
                           sleep=lambda _: None)  # fmt: skip
        bodies.append((server.bodies, report.faults))
    assert bodies[0] == bodies[1]


def test_the_faults_that_happened_make_a_script_that_happens_again(recording: Recording, make_server) -> None:
    first = make_server()
    options = RunOptions(seed=9, drop=0.3, duplicate=0.3, start=recording_start())
    report = run_watch("http://x.test", recording, float("inf"), options=options, transport=first, sleep=lambda _: None)
    second = make_server()
    script = FaultPlan(seed=9, script=tuple(report.faults))
    options = RunOptions(seed=9, faults=script, start=recording_start())
    again = run_watch("http://x.test", recording, float("inf"), options=options, transport=second,
                      sleep=lambda _: None)  # fmt: skip
    assert again.faults == report.faults
    assert first.bodies == second.bodies


def test_a_watch_that_loses_power_in_an_upload_goes_on_in_a_new_boot(run: Run, contract_server, tmp_path) -> None:
    report = run(faults=FaultPlan(script=(Fault("kill", at=3),)), state_dir=tmp_path)
    assert report.complete
    assert [f.name for f in report.faults] == ["kill"]
    boots = list(dict.fromkeys(k[0] for k in contract_server.chunks))
    assert len(boots) == 2
    for boot in boots:
        for stream in ("ppg", "acc"):
            numbers = sorted(k[2] for k in contract_server.chunks if k[:2] == (boot, stream))
            assert numbers == list(range(len(numbers)))


def test_a_reboot_starts_the_monotonic_clock_and_the_numbers_afresh(run: Run, contract_server) -> None:
    report = run(faults=FaultPlan(script=(Fault("reboot", at_s=150, value=30),)))
    assert report.complete
    boots = list(dict.fromkeys(k[0] for k in contract_server.chunks))
    first_of_second = contract_server.chunks[boots[1], "ppg", 0]
    assert first_of_second["t0_us"] < 1e6 / 64
    got = sum(c["n"] for k, c in contract_server.chunks.items() if k[1] == "ppg")
    assert got == 64 * (600 - 30)
    for sent in contract_server.sent:
        assert sent["boot_id"] in boots


def test_a_jumped_clock_moves_what_is_said_of_time_and_no_sample(run: Run, contract_server, recording) -> None:
    run(faults=FaultPlan(script=(Fault("clock_jump", at_s=300, value=3600),)))
    got, wanted = sent_samples(contract_server, recording, "ppg")
    np.testing.assert_array_equal(got, wanted)
    monotonic = [s["monotonic_us"] for s in contract_server.sent]
    assert monotonic == sorted(monotonic)


def test_travel_is_told_with_the_next_batch(run: Run, contract_server) -> None:
    run(utc_offset_s=3600, faults=FaultPlan(script=(Fault("travel", at_s=240, value=-18000),)))
    offsets = [s["utc_offset_s"] for s in contract_server.sent]
    assert set(offsets) == {3600, -18000}
    assert offsets == sorted(offsets, reverse=True)


def test_a_second_run_on_the_same_state_sends_what_the_first_could_not(run: Run, contract_server, tmp_path) -> None:
    def dead(request: Request) -> None:
        raise LinkDown("the server is away")

    contract_server.script = [dead] * 10_000
    report = run(state_dir=tmp_path, patience_s=0.0)
    assert report.waiting == 20
    assert not report.complete
    contract_server.script = []
    report = run(state_dir=tmp_path)
    assert report.complete
    assert len(contract_server.chunks) == 20
    assert contract_server.polls == 1, "it was paired already"


def test_the_wait_that_a_server_asks_for_is_real_time(contract_server, recording: Recording) -> None:
    busy = Answer(429, {"retry-after": "7", "content-type": "application/problem+json"}, b"{}")
    contract_server.script = [lambda _: busy]
    waits: list[float] = []
    report = run_watch("http://x.test", recording, float("inf"), transport=contract_server, sleep=waits.append)
    assert report.complete
    assert 7.0 in waits


def test_one_chunk_that_the_server_never_takes_does_not_hold_up_the_others(run: Run, contract_server) -> None:
    def picky(request: Request) -> Answer | None:
        body = unpack(request.body, request.headers["Content-Type"])
        if any(c["stream"] == "ppg" and c["seq"] == 3 for c in body["chunks"]):
            return Answer(400, {"content-type": "application/problem+json"}, b'{"type":"x/odd","detail":"no"}')
        return None

    contract_server.script = [picky] * 1000
    report = run()
    assert report.waiting == 0
    assert list(report.refused.values()) == ["odd: no"]
    assert len(contract_server.chunks) == 19


def test_a_recording_without_a_watchs_channels_is_refused_by_name(run: Run, contract_server) -> None:
    empty = Recording("odd", "odd", {})
    with pytest.raises(ChannelError, match="recording 'odd' has no channel that a watch senses"):
        run_watch("http://x.test", empty, transport=contract_server)


def recording_start():
    from datetime import UTC, datetime

    return datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

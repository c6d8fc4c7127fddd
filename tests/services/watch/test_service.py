"""The watch against the real service, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pulse_task import pulse_ability
from data.recording import Recording
from services.local import LocalService
from services.pytest_plugin import MockWatch
from services.store.tables import chunks
from services.watch import Companion, Fault, FaultPlan, ServerRefused


@pytest.fixture
def service(tmp_path: Path) -> Iterator[LocalService]:
    """The real service with a small task, so that these tests need no shipped bundle."""
    local = LocalService(tmp_path / "w.db", (pulse_ability(),))
    local.start()
    yield local
    local.stop()


@pytest.fixture
def watches(service: LocalService) -> Iterator[MockWatch]:
    made = MockWatch(service)
    yield made
    made.close()


def stored(service: LocalService) -> tuple[int, int]:
    """Chunks and samples that the store holds."""
    columns = chunks.c.n, chunks.c.channels
    rows = service.store.read(lambda conn: conn.execute(chunks.select().with_only_columns(*columns)).all())
    return len(rows), sum(n * (channels.count(",") + 1) for n, channels in rows)


def test_a_watch_pairs_sends_and_its_heart_rate_comes_back(
    service: LocalService, watches: MockWatch, recording: Recording
) -> None:
    report = watches.run(recording)
    assert report.complete
    assert stored(service) == (report.sensed["chunks"], report.sensed["samples"])
    assert service.settle()
    rates = service.companion.records("heart_rate")
    assert len(rates) > 50
    assert rates[0]["source"]["device_id"] == report.device_id


@pytest.mark.parametrize("seed", range(3))
def test_a_bad_link_to_the_real_service_loses_nothing(
    service: LocalService, watches: MockWatch, recording: Recording, seed: int
) -> None:
    rates = {"reorder": 0.1, "delay": 0.1, "429": 0.1, "503": 0.1, "truncate": 0.1, "expire_token": 0.1}
    report = watches.run(recording, seed=seed, drop=0.2, duplicate=0.2, offline=120, faults=FaultPlan(seed, rates))
    assert report.complete
    assert report.lacking == [], "the manifest shows every chunk that was ever made"
    assert len(report.faults) > 2
    assert stored(service) == (report.sensed["chunks"], report.sensed["samples"])


def test_what_the_server_lost_is_sent_again_as_long_as_the_watch_has_it(
    service: LocalService, watches: MockWatch, recording: Recording
) -> None:
    watch = watches.open(recording).watch
    watch.advance(180)
    boot = watch.clock.boot_id
    # Said to be confirmed, though it never was sent: what a restored backup of the server looks like to a watch.
    watch.outbox.confirm([(boot, "ppg", 1)])
    while not watch.sync().done:
        pass
    assert watch.prove() == []
    assert stored(service)[0] == 6, "`missing` in the answer had asked for it already"
    watch.advance(240)
    watch.outbox.confirm([(boot, "ppg", 3), (boot, "acc", 3)])
    assert sorted(watch.prove() or ()) == [f"{boot}/acc/3", f"{boot}/ppg/3"]
    assert watch.sync().done
    assert watch.prove() == []


def test_a_service_that_is_away_for_a_while_gets_everything_later(
    service: LocalService, watches: MockWatch, recording: Recording
) -> None:
    watch = watches.open(recording)
    watch.watch.advance(120)
    assert not watch.watch.sync().wait_s
    service.stop()
    watch.watch.advance(360)
    assert watch.watch.sync().wait_s > 0
    service.start()
    watch.watch.advance(600)
    while not watch.watch.sync().done:
        pass
    assert stored(service)[0] == watch.watch.sensed["chunks"] == 20


def test_a_companion_with_a_wrong_secret_is_told_so(service: LocalService) -> None:
    with pytest.raises(ServerRefused, match="sign in: the server answers 401, unauthorized"):
        Companion(service.url, "wearer", "not her secret").records()


def test_a_companion_whose_token_ran_out_signs_in_again(service: LocalService) -> None:
    assert service.companion.records() == []
    service.companion._token = "old"
    assert service.companion.records() == []


def test_json_and_messagepack_leave_the_same_samples(service: LocalService, watches: MockWatch, recording) -> None:
    for content_type in ("application/msgpack", "application/json"):
        assert watches.run(recording, content_type=content_type, seed=len(content_type)).complete
    digests = chunks.select().with_only_columns(chunks.c.digest).order_by(chunks.c.stream_no, chunks.c.seq)
    rows = [d for (d,) in service.store.read(lambda conn: conn.execute(digests).all())]
    half = len(rows) // 2
    assert rows[:half] == rows[half:]
    assert len(set(rows)) == half


def test_a_reused_refresh_token_ends_the_pairing_and_the_watch_pairs_again(
    service: LocalService, watches: MockWatch, recording: Recording
) -> None:
    watch = watches.open(recording)
    pairing = watch.watch.uplink.pairing
    old = watch.outbox.get("tokens")
    assert pairing.refresh() is not None
    watch.outbox.keep({"tokens": old})
    watch.watch.advance(60)
    # The old access token still passes; what it was refreshed to must not be used twice.
    assert pairing.refresh() is None
    while not watch.watch.sync().done:
        pass
    assert watch.tally.pairings == 2
    assert stored(service)[0] == 2


def test_a_boot_that_ended_before_it_met_the_network_is_placed_in_time(
    service: LocalService, watches: MockWatch, recording: Recording
) -> None:
    script = (Fault("kill", at=0), Fault("kill", at=1), Fault("kill", at=5))
    report = watches.run(recording, faults=FaultPlan(script=script))
    assert report.complete
    assert [f.name for f in report.faults] == ["kill"] * 3
    assert service.settle()
    manifest = service.companion.call("GET", "/v1/manifest")
    assert manifest["complete"]
    assert len({s["boot_id"] for s in manifest["streams"] if s["placed"]}) == len(report.boots) == 4


def test_a_reboot_and_a_jumped_clock_leave_times_that_fit(
    service: LocalService, watches: MockWatch, recording: Recording
) -> None:
    script = (Fault("reboot", at_s=200, value=20), Fault("clock_jump", at_s=420, value=7200))
    report = watches.run(recording, faults=FaultPlan(script=script))
    assert report.complete
    assert service.settle()
    starts = np.array([r["start"].rstrip("Z") for r in service.companion.records("heart_rate")], "datetime64[ms]")
    zero = np.datetime64(report.start.rstrip("Z"), "ms")
    seconds = (starts - zero) / np.timedelta64(1, "s")
    first_boot = seconds[seconds < 205]
    assert first_boot.min() == pytest.approx(0, abs=1)
    assert seconds.size > 60

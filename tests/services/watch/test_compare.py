"""The same signal inferred on the wrist and on the server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.pulse_task import PulseTask
from data.recording import Channel, Recording
from data.synthetic.wearer import wearer
from pipelines.registry import Registry
from services.local import LocalService
from services.pytest_plugin import MockWatch
from services.watch import Fault, FaultPlan, inference
from services.watch.compare import compare, sentence
from services.watch.inference import OnWatch
from tests.services.fake_task import WristModel


@pytest.fixture
def worn() -> Recording:
    """Twelve minutes of pulse; forty seconds in the middle were not sensed."""
    whole = wearer(["ppg"], seconds=720, seed=5)
    samples = whole.channels["ppg"].samples.copy()
    samples[64 * 301 : 64 * 341] = np.nan
    return replace(whole, channels={"ppg": Channel("ppg", 64.0, samples)})


def test_watch_and_server_say_the_same_of_every_span(service: LocalService, worn: Recording) -> None:
    report = MockWatch(service).run(worn, infer=True, tasks=("pulse",), drop=0.2, duplicate=0.2, seed=2)
    assert report.complete
    assert service.settle()
    (found,) = compare(report, service.companion.records())
    assert found.identical, sentence(found)
    assert found.both > 300
    assert found.largest == pytest.approx(0.0, abs=1e-3)
    assert sentence(found) == f"heart_rate: watch and server say the same of all {found.both} spans"


def test_after_a_reboot_they_still_agree(service: LocalService, worn: Recording) -> None:
    plan = FaultPlan(script=(Fault("reboot", at_s=200.5, value=21.3),))
    report = MockWatch(service).run(worn, infer=True, tasks=("pulse",), faults=plan)
    assert service.settle()
    (found,) = compare(report, service.companion.records())
    assert found.identical, sentence(found)
    assert len(report.boots) == 2


def test_another_model_on_the_wrist_is_named_as_the_reason(
    service: LocalService, worn: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WristModel, "bundle", SimpleNamespace(version="v2", config={}))
    monkeypatch.setattr(WristModel, "predict", lambda self, windows, *, resume=False: {
        "bpm": windows.inputs["mean"][:, 0] + 1.0})  # fmt: skip
    report = MockWatch(service).run(worn, infer=True, tasks=("pulse",))
    assert service.settle()
    (found,) = compare(report, service.companion.records())
    assert not found.identical
    assert found.largest is not None
    assert found.largest > 0.5
    assert "the watch ran model v2, the server v1" in sentence(found)


def test_in_edge_mode_only_records_leave_and_raw_signal_can_still_be_asked_for(
    service: LocalService, worn: Recording
) -> None:
    watches = MockWatch(service)
    report = watches.run(worn, edge=True, tasks=("pulse",), name="edgy")
    assert report.complete
    records = service.companion.records("heart_rate")
    assert 11 <= len(records) <= 13
    assert all(r["client_record_id"] for r in records)
    assert report.tally.bytes_sent < 0.25 * report.sensed["bytes"]
    wrist = watches.open(worn, edge=True, tasks=("pulse",), name="asked")
    wrist.watch.advance(720)
    assert wrist.outbox.held == 0
    assert wrist.watch.release_raw(360.0, 480.0) == 2
    while not wrist.watch.sync().done:
        pass
    assert wrist.tally.stored == 2
    watches.close()


def test_a_hole_of_more_than_half_a_minute_begins_a_new_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "TASKS", Registry((PulseTask(),)))
    wrist = OnWatch(("pulse", "no-such-task"), models={"pulse": WristModel()})  # type: ignore[dict-item]
    wrist.begin("b", ["ppg"])
    assert wrist.running == ("pulse",)
    signal = Channel("ppg", 8.0, np.full(8 * 200, 60.0, np.float32))
    signal.samples[8 * 60 : 8 * 100] = np.nan
    found = wrist.push({"ppg": signal})
    starts = [e.estimate.start_s for e in found]
    assert max(s for s in starts if s < 60) <= 60
    assert min(s for s in starts if s > 60) == 100.0


def test_a_watch_without_the_tasks_channels_does_not_run_it() -> None:
    wrist = OnWatch()
    wrist.begin("b", ["ecg"])
    assert wrist.running == ()


@pytest.mark.parametrize("runtime", ["exact", "micro"])
def test_the_shipped_heart_rate_says_the_same_on_wrist_and_server(tmp_path: Path, runtime: str) -> None:
    if runtime == "micro":
        pytest.importorskip("tflite_micro")
    service = LocalService(tmp_path / "w.db")
    service.start()
    try:
        worn = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=120, seed=1)
        report = MockWatch(service).run(worn, infer=True, tasks=("heart-rate",), runtime=runtime, drop=0.2)
        assert report.complete
        assert service.settle()
        (found,) = compare(report, service.companion.records())
    finally:
        service.stop()
    assert found.kind == "heart_rate"
    assert found.both > 40
    assert found.only_watch == found.only_server == 0
    assert found.largest is not None
    # The server's kernels are those of "exact"; tflite-micro's round one value of a thousand otherwise.
    assert found.largest <= (0.1 if runtime == "micro" else 1e-3)


def test_sleep_is_staged_on_the_wrist_as_the_night_goes_and_compared_with_the_whole_night(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    epochs = 120
    moving = np.repeat(rng.random(epochs // 10) < 0.4, 20)
    counts = np.where(moving, rng.gamma(2.0, 20.0, moving.size), 0.0).astype(np.float32)
    rate = 55 + 8 * np.repeat(moving, 15)[: epochs * 30] + rng.normal(0, 1, epochs * 30)
    channels = {
        "counts": Channel("counts", 1 / 15, counts), "hr": Channel("hr", 1.0, rate.astype(np.float32)),
    }  # fmt: skip
    service = LocalService(tmp_path / "w.db")
    service.start()
    try:
        worn = Recording("night", "somebody", channels)
        report = MockWatch(service).run(worn, infer=True, tasks=("sleep-staging",))
        assert service.settle()
        (found,) = compare(report, service.companion.records())
    finally:
        service.stop()
    assert found.kind == "sleep_stage"
    assert found.both > 100
    assert found.equal > 0.4 * found.both
    assert found.equal == found.both or "from both ends of the whole night" in found.reasons[0]


def test_a_task_that_requires_no_channel_begins_with_the_first_sample_and_bridges_holes() -> None:
    wrist = OnWatch(("sleep-staging",))
    wrist.begin("b", ["counts"])
    assert wrist.push({"counts": Channel("counts", 1 / 15, np.full(8, np.nan, np.float32))}) == []
    counts = np.full(40, 3.0, np.float32)
    counts[10:30] = np.nan
    found = wrist.push({"counts": Channel("counts", 1 / 15, counts, t0_s=120.0)})
    assert found[0].estimate.start_s == 120.0
    assert [e.estimate.start_s for e in found] == [120.0 + 30 * k for k in range(len(found))]

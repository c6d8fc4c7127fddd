"""Staging a night: either sensor may be missing, counts of raw motion are those of the recipe, state does not leak."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import ChannelError
from data.recording import Annotations, Channel, Recording
from data.synthetic.wearer import wearer
from models.evaluate import infer, open_model
from pipelines.sleep.epochs import epochs_of
from pipelines.sleep.stages import FROM_LABEL, Stage
from pipelines.sleep_staging import TASK, reference_stages


def night(*names: str, seed: int = 0) -> Recording:
    return wearer(names or ("counts", "hr"), seconds=3600.0, seed=seed)


@pytest.mark.parametrize("names", [("counts", "hr"), ("counts",), ("hr",), ("acc_x", "acc_y", "acc_z", "hr")])
def test_either_sensor_alone_is_staged(names: tuple[str, ...]) -> None:
    said = infer(TASK, night(*names), open_model(TASK))
    assert {e.value for e in said} <= {"wake", "light", "deep", "rem"}
    assert len(said) >= 115


def test_neither_sensor_is_an_error_that_names_both() -> None:
    with pytest.raises(ChannelError, match=r"neither motion .* nor heart rate"):
        TASK.prepare(night("ecg"))


def test_epochs_off_the_wrist_have_no_stage() -> None:
    whole = night()
    kept = {}
    for name, channel in whole.channels.items():
        times = channel.times()
        inside = (times < 900) | (times >= 2400)
        kept[name] = Channel(name, channel.fs_hz, channel.samples[inside], times_s=times[inside])
    said = infer(TASK, Recording("r", "s", kept), open_model(TASK))
    off = [e.value for e in said if 1000 <= e.start_s < 2370]
    assert off
    assert set(off) == {None}


def test_one_night_does_not_change_the_next() -> None:
    model = open_model(TASK)
    alone = infer(TASK, night(seed=1), model)
    infer(TASK, night(seed=2), model)
    assert infer(TASK, night(seed=1), model) == alone


def test_a_causal_answer_does_not_change_with_what_comes_later() -> None:
    model, whole = open_model(TASK), night()
    half = whole.slice(0.0, 1800.0)
    early = infer(TASK, half, model, offline=False)
    late = infer(TASK, whole, model, offline=False)
    assert [e.value for e in early[:50]] == [e.value for e in late[:50]]


def test_the_reference_is_the_mark_that_begins_with_the_epoch() -> None:
    made = night()
    marks = Annotations(np.array([0.0, 30.0, 60.0]), ("W", "2", "R"))
    windows = TASK.prepare(Recording("r", "s", made.channels, {"stage": marks}), (0, 4))
    stages = reference_stages(Recording("r", "s", made.channels, {"stage": marks}), windows)
    assert stages.tolist() == [Stage.WAKE, FROM_LABEL["2"], Stage.REM, Stage.UNDEFINED]


def test_counts_of_raw_motion_follow_its_vigour() -> None:
    t = np.arange(0, 600, 1 / 50)
    swing = np.where((t > 200) & (t < 260), 0.8 * np.sin(2 * np.pi * 5 * t), 0.0)
    raw = Recording("r", "s", {"acc_z": Channel("acc_z", 50.0, (1.0 + swing).astype(np.float32))})
    counts = epochs_of(raw, 0, 20).counts.sum(1)
    assert counts[7] > 100
    assert counts[:6].sum() == counts[10:].sum() == 0.0

"""The rhythm task: what it sees, what it says of nothing, and how it is scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.errors import ChannelError
from data.recording import Annotations, Channel, Recording
from data.synthetic.wearer import wearer
from models.evaluate import infer, open_model
from pipelines.ecg_rhythm import BEATS, CLASSES, SUMMARY, TASK, reference


def strip(seconds: float = 30.0, **changes: object) -> Recording:
    return replace(wearer(["ecg"], seconds=seconds, seed=3), **changes)  # type: ignore[arg-type]


def with_samples(recording: Recording, samples: np.ndarray) -> Recording:
    return replace(recording, channels={"ecg": replace(recording.channels["ecg"], samples=samples.astype(np.float32))})


def test_gain_offset_and_polarity_do_not_change_what_the_network_sees() -> None:
    plain = strip()
    turned = with_samples(plain, -3.0 * plain.channels["ecg"].samples + 7.0)
    wanted, found = TASK.prepare(plain), TASK.prepare(turned)
    np.testing.assert_allclose(found.inputs[BEATS], wanted.inputs[BEATS], atol=0.02)


def test_a_strip_shorter_than_a_window_is_one_row() -> None:
    windows = TASK.prepare(strip(9.0))
    assert windows.end_s.tolist() == [9.0]
    assert windows.quality[0] > 0.9


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan], ids=["flat", "railed", "absent"])
def test_a_dead_lead_is_noisy_and_has_no_value(value: float) -> None:
    recording = strip()
    dead = with_samples(recording, np.full(recording.channels["ecg"].samples.size, value))
    (said,) = infer(TASK, dead, open_model(TASK))
    assert said.value is None
    assert said.extras["probability"]["~"] == 1.0


def test_the_shipped_network_tells_a_steady_rhythm_from_one_without_pattern() -> None:
    model = open_model(TASK)
    steady = infer(TASK, strip(60.0), model)
    rng = np.random.default_rng(0)
    beats = np.cumsum(rng.uniform(0.4, 1.2, 100))
    times = np.arange(60 * 250) / 250.0
    wave = np.exp(-0.5 * (np.min(np.abs(times[:, None] - beats), axis=1) / 0.012) ** 2)
    wave = wave + 0.02 * rng.standard_normal(times.size)
    wild = infer(TASK, Recording("w", "w", {"ecg": Channel("ecg", 250.0, wave.astype(np.float32))}), model)
    chance = [np.mean([e.extras["probability"]["A"] for e in said]) for said in (steady, wild)]
    assert chance[1] > chance[0] + 0.3


def test_the_label_comes_from_the_header_and_else_from_the_rhythm_marks() -> None:
    assert reference(strip(meta={"rhythm": "~"})) == "~"
    marks = Annotations(np.array([0.0, 9.0]), ("N", "AFIB"))
    assert reference(strip(annotations={"rhythm": marks})) == "A"
    with pytest.raises(ChannelError, match="rhythm: N"):
        TASK.score([], strip(annotations={}))


def test_f1_is_counted_over_recordings_and_averaged_over_n_a_o() -> None:
    scores = [{"wanted": a, "found": b} for a, b in ("NN", "NA", "AA", "OO", "~~")]
    figures = TASK.summarise(scores)
    assert figures["f1_n"] == pytest.approx(2 / 3)
    assert figures["f1_mean"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert figures["f1_noisy"] == 1.0


def test_a_recording_without_beats_shows_zeros() -> None:
    recording = strip()
    flat = with_samples(recording, np.zeros(recording.channels["ecg"].samples.size))
    assert not TASK.prepare(flat).inputs[SUMMARY].any()
    assert CLASSES == ("N", "A", "O", "~")

"""The rhythm task: what it sees, what it says of nothing, and how it is scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.errors import ChannelError
from data.recording import Annotations, Channel, Recording
from data.synthetic.ecg import NORMAL, VENTRICULAR, ecg_wave
from data.synthetic.wearer import wearer
from models.evaluate import infer, open_model
from pipelines.ecg_rhythm import BEATS, CLASSES, SUMMARY, TASK, chances, reference
from pipelines.rhythm_shape import N_SHAPE, shape_figures
from pipelines.stream import WindowStream


def strip(seconds: float = 30.0, **changes: object) -> Recording:
    return replace(wearer(["ecg"], seconds=seconds, seed=3), **changes)  # type: ignore[arg-type]


def with_samples(recording: Recording, samples: np.ndarray) -> Recording:
    return replace(recording, channels={"ecg": replace(recording.channels["ecg"], samples=samples.astype(np.float32))})


def test_gain_offset_and_polarity_do_not_change_what_the_network_sees() -> None:
    plain = strip()
    turned = with_samples(plain, -3.0 * plain.channels["ecg"].samples + 7.0)
    wanted, found = TASK.prepare(plain), TASK.prepare(turned)
    np.testing.assert_allclose(found.inputs[BEATS], wanted.inputs[BEATS], atol=0.02)
    np.testing.assert_allclose(found.inputs[SUMMARY], wanted.inputs[SUMMARY], atol=0.05)


def test_a_strip_shorter_than_a_window_is_one_row() -> None:
    windows = TASK.whole(strip(9.0))
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


@pytest.mark.parametrize(
    ("seconds", "ends"), [(9.0, [9.0]), (30.0, [30.0]), (40.0, [30.0, 40.0]), (61.0, [30.0, 45.0, 60.0])]
)
def test_the_last_window_ends_where_the_recording_does(seconds: float, ends: list[float]) -> None:
    windows = TASK.whole(strip(seconds))
    assert windows.end_s.tolist() == ends


@pytest.mark.parametrize("seconds", [20.0, 40.0, 73.0])
def test_a_stream_that_is_over_gives_what_the_file_gives(seconds: float) -> None:
    recording = strip(seconds)
    stream = WindowStream(TASK)
    parts = [stream.push(recording.slice(a, b).channels) for a, b in ((0.0, 17.3), (17.3, np.inf))]
    parts.append(stream.finish())
    whole = TASK.whole(recording)
    np.testing.assert_allclose(np.concatenate([p.end_s for p in parts]), whole.end_s)
    np.testing.assert_allclose(np.concatenate([p.inputs[SUMMARY] for p in parts]), whole.inputs[SUMMARY], atol=1e-5)


def test_probabilities_are_the_softmax_of_the_network_s_logits() -> None:
    found = chances(np.array([[0.0, np.log(3.0), -40.0, 0.0]], np.float32))
    np.testing.assert_allclose(found[0], [0.2, 0.6, 0.0, 0.2], atol=1e-6)


def figures(samples: np.ndarray, beats: np.ndarray) -> np.ndarray:
    found = np.array(shape_figures(samples.astype(np.float32), np.round(beats * 64).astype(np.intp), beats))
    assert found.shape == (N_SHAPE,)
    return found


def test_shape_tells_p_waves_wide_early_beats_and_fibrillating_atria() -> None:
    times, rng = np.arange(30 * 64) / 64.0, np.random.default_rng(0)
    beats = np.arange(1.0, 29.0, 0.8)
    noise = 0.01 * rng.standard_normal(times.size)
    normal = figures(ecg_wave(beats, times) + noise, beats)
    without_p = figures(ecg_wave(beats, times, {k: v for k, v in NORMAL.items() if k != "P"}) + noise, beats)
    assert normal[4] > 0.7 > without_p[4]  # P waves are alike from beat to beat
    assert normal[1] > without_p[1] + 0.05  # and stand above the level

    early = beats[5::8] - 0.3
    kept = np.setdiff1d(beats, beats[5::8])
    mixed = np.sort(np.concatenate([kept, early]))
    ventricular = figures(ecg_wave(kept, times) + ecg_wave(early, times, VENTRICULAR) + noise, mixed)
    assert ventricular[13] == pytest.approx(early.size / mixed.size)  # early and odd
    assert ventricular[10] >= early.size / mixed.size  # odd
    assert normal[13] == 0.0

    waves = figures(ecg_wave(beats, times) + noise + 0.1 * np.sin(2 * np.pi * 5.3 * times), beats)
    assert waves[16] > normal[16] + 1.0  # power from 3.5 to 9.5 Hz once the beats are taken out


def test_hardly_any_beats_have_no_shape() -> None:
    assert not figures(np.zeros(640), np.array([1.0, 2.0])).any()

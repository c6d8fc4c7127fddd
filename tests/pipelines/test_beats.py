"""The task `beats`: judged to the last second of a recording, the same in a stream, every annotated beat counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import ChannelError
from data.recording import Recording
from data.synthetic.ecg import ecg
from models.evaluate import evaluate, infer
from pipelines.beat_detection import detect_beats
from pipelines.beat_detection.matching import match_beats
from pipelines.beats import TASK
from pipelines.stream import WindowStream
from pipelines.task import Windows


def times_of(recording: Recording) -> np.ndarray:
    return np.array([t for e in infer(TASK, recording, None) for t in e.extras["times_s"]])


@pytest.mark.parametrize("seconds", [4.0, 10.0, 24.0, 26.9, 47.0, 72.5])
def test_a_recording_is_judged_to_its_last_second(seconds: float) -> None:
    recording = ecg(seconds=seconds, seed=1)
    result = evaluate(TASK, [recording], None)
    assert result["metrics"]["f1"] == 1.0
    assert result["metrics"]["location_error_ms"] < 3.0
    assert result["per_recording"][0]["judged_s"] == pytest.approx(seconds)
    assert result["metrics"]["n_beats"] == len(recording.annotations["beats"].t_s)


def test_the_task_says_the_beats_of_the_detector() -> None:
    recording = ecg(seconds=130.0, seed=2, fs_hz=360.0, spread=0.2)
    channel = recording.channels["ecg"]
    np.testing.assert_allclose(times_of(recording), detect_beats(channel.samples, 360.0).time_s, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.floats(0.0, 61.0), max_size=9), fs_hz=st.sampled_from([128.0, 250.0]))
def test_a_stream_in_any_chunks_gives_the_beats_of_one_pass(cuts: list[float], fs_hz: float) -> None:
    recording = ecg(seconds=61.0, seed=3, fs_hz=fs_hz)
    edges = sorted(cuts)
    stream, decoder, said = WindowStream(TASK), TASK.decoder(), []

    def take(windows: Windows) -> None:
        said.extend(t for e in decoder.update({}, windows) for t in e.extras["times_s"])

    for a, b in zip([0.0, *edges], [*edges, np.inf], strict=True):
        take(stream.push(recording.slice(a, b).channels))
    take(stream.finish())
    np.testing.assert_array_equal(said, times_of(recording))


def test_a_beat_on_the_border_of_two_cores_is_said_once() -> None:
    for shift_s in np.linspace(-0.05, 0.05, 11):
        recording = ecg(seconds=60.0, seed=4)
        beats = np.arange(0.6, 59.5, 0.9)
        beats += 24.0 + shift_s - beats[np.argmin(np.abs(beats - 24.0))]
        made = _with_beats(recording, beats)
        assert len(times_of(made)) == beats.size


def _with_beats(recording: Recording, beats: np.ndarray) -> Recording:
    from data.synthetic.ecg import ecg_wave

    channel = recording.channels["ecg"]
    samples = ecg_wave(beats, channel.times()).astype(np.float32)
    return replace(recording, channels={"ecg": replace(channel, samples=samples)})


@pytest.mark.parametrize("fs_hz", [128.0, 360.0])
def test_beats_just_inside_the_ends_of_a_strip_are_found(fs_hz: float) -> None:
    recording = ecg(seconds=60.0, seed=9, fs_hz=fs_hz)
    truth, missed = recording.annotations["beats"].t_s, 0
    for margin_s in np.linspace(0.08, 0.5, 10):
        own = recording.slice(truth[10] - margin_s, truth[22] + margin_s)
        met = match_beats(truth[10:23], times_of(own))
        missed += met.missed.size
        assert met.extra.size == 0
    assert missed <= 2


def test_beats_of_the_reference_that_nobody_judged_are_missed() -> None:
    recording = ecg(seconds=60.0, seed=5)
    only_first = infer(TASK, recording, None)[:1]
    score = TASK.score(only_first, recording)
    assert score["missed"] == int((recording.annotations["beats"].t_s >= 24.0).sum())


def test_below_60_hz_nothing_is_said_and_every_beat_is_missed() -> None:
    recording = ecg(seconds=60.0, seed=6, fs_hz=50.0)
    estimates = infer(TASK, recording, None)
    assert all(e.value is None and e.quality == 0.0 for e in estimates)
    assert TASK.score(estimates, recording)["sensitivity"] == 0.0


def test_a_recording_without_annotated_beats_is_refused() -> None:
    with pytest.raises(ChannelError, match=r"no annotated beats \(\.atr\)"):
        TASK.score([], replace(ecg(seconds=10.0, seed=7), annotations={}))


def test_a_stream_that_begins_late_is_judged_from_its_beginning() -> None:
    recording = ecg(seconds=100.0, seed=8)
    late = recording.slice(30.0, 100.0)
    wanted = [t for t in recording.annotations["beats"].t_s if t >= 30.0]
    np.testing.assert_allclose(times_of(late), wanted, atol=0.008)

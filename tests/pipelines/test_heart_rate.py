"""Heart rate: the link from motion to heart rate is broken, and poor devices degrade in a stated way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.recording import Annotations, Channel, Recording
from data.synthetic.exercise import exercise
from data.synthetic.pulse import arm_motion, artefact
from models.evaluate import infer, open_model
from pipelines.heart_rate import DEFAULTS, TASK, half_width
from pipelines.heart_rate_scores import reference_bpm, summarise
from pipelines.pulse_features import PLANES
from pipelines.task import Estimate

FS_HZ = 50.0


def resting(bpm: float, seconds: float = 90.0, fs_hz: float = FS_HZ, n_ppg: int = 1) -> Recording:
    """A clear pulse at one rate over an arm that lies still."""
    rng = np.random.default_rng(3)
    times = np.arange(int(seconds * fs_hz)) / fs_hz
    phase = 2 * np.pi * bpm / 60 * times + 0.3 * np.sin(2 * np.pi * 0.2 * times)
    pulse = np.cos(phase) + 0.4 * np.cos(2 * phase + 1.0) + 0.1 * rng.normal(size=times.size)
    names = ("ppg", "ppg_2", "ppg_3")[:n_ppg]
    still = {"acc_x": 0.1, "acc_y": -0.2, "acc_z": 0.97}
    channels = {n: Channel(n, fs_hz, (40 * pulse + 900).astype(np.float32)) for n in names}
    for name, level in still.items():
        channels[name] = Channel(name, fs_hz, (level + 0.003 * rng.normal(size=times.size)).astype(np.float32))
    return Recording("resting", "resting", channels)


def with_motion(recording: Recording, acc: np.ndarray, strength: float, seed: int = 0) -> Recording:
    """The recording with this motion sensed, and its artefact laid over the light."""
    rng = np.random.default_rng(seed)
    light = recording.channels["ppg"]
    n = min(acc.shape[1], light.samples.size)
    over = strength * float(light.samples.std()) * artefact(rng, acc[:, :n], light.fs_hz)
    channels = {"ppg": replace(light, samples=(light.samples[:n] + over).astype(np.float32))}
    for name, axis in zip(("acc_x", "acc_y", "acc_z"), acc, strict=True):
        channels[name] = Channel(name, light.fs_hz, axis[:n].astype(np.float32))
    return replace(recording, channels=channels)


def guesses(recording: Recording) -> np.ndarray:
    return np.array([e.extras["guess_bpm"] for e in infer(TASK, recording, open_model(TASK))])


@pytest.mark.parametrize("bpm", [52.0, 66.0, 95.0, 150.0])
def test_a_clear_pulse_is_read_to_three_beats_a_minute(bpm: float) -> None:
    assert np.abs(guesses(resting(bpm))[3:] - bpm).max() < 3.0


@pytest.mark.parametrize("gain", [0.3, 1.0, 3.0])
def test_the_level_of_motion_alone_does_not_move_the_estimate(gain: float) -> None:
    """Irregular motion of any strength that leaves the light alone: the pulse stays where it is."""
    rng = np.random.default_rng(8)
    recording = resting(64.0)
    times = recording.channels["ppg"].times()
    moving = with_motion(recording, gain * arm_motion(rng, times), strength=0.0)
    assert abs(float(np.median(guesses(moving))) - 64.0) < 3.0


def test_real_running_laid_over_a_resting_pulse_does_not_raise_the_estimate(
    real_data: Callable[[str], Path],
) -> None:
    """Real motion of hard running, with an artefact as strong as the pulse, over pulses of 58, 66 and 74 BPM."""
    from data.adapters.spc2015 import read

    real_data("spc2015")
    runners = [r for r in read(real_data("spc2015")) if r.id in ("02", "05", "09")]
    shifts = []
    for k, runner in enumerate(runners):
        axes = [runner.channels[n].samples[12_500:25_000] for n in ("acc_x", "acc_y", "acc_z")]
        acc = np.stack([a[: a.size // 5 * 5].reshape(-1, 5).mean(axis=1) for a in axes])  # 125 to 25 Hz
        rest = resting(58.0 + 8 * k, fs_hz=25.0)
        shifts.append(np.median(guesses(with_motion(rest, acc, strength=2.0, seed=k)) - np.median(guesses(rest))))
    assert np.median(np.abs(shifts)) < 4.0
    assert max(shifts) < 12.0


def test_exercise_with_crossing_motion_is_followed() -> None:
    errors = []
    for seed in (1, 2, 3):
        recording = exercise(seconds=120, seed=seed, artefact_strength=2.0)
        estimates = infer(TASK, recording, open_model(TASK))
        errors.append(TASK.score(estimates, recording)["mae_bpm_full"])
    assert np.median(errors) < 4.0


@pytest.mark.parametrize("fs_hz", [20.0, 32.0, 100.0, 256.0])
def test_devices_of_any_rate_agree(fs_hz: float) -> None:
    assert np.abs(guesses(resting(72.0, seconds=40, fs_hz=fs_hz))[3:] - 72.0).max() < 2.0


@pytest.mark.parametrize("n_ppg", [1, 2, 3])
def test_one_to_three_light_channels_serve(n_ppg: int) -> None:
    assert np.abs(guesses(resting(80.0, seconds=40, n_ppg=n_ppg))[3:] - 80.0).max() < 2.0


def test_a_dead_second_channel_does_no_harm() -> None:
    recording = resting(80.0, seconds=40, n_ppg=2)
    dead = replace(recording.channels["ppg_2"], samples=np.zeros_like(recording.channels["ppg_2"].samples))
    spoiled = replace(recording, channels={**recording.channels, "ppg_2": dead})
    np.testing.assert_array_equal(guesses(spoiled), guesses(resting(80.0, seconds=40)))


def test_without_an_accelerometer_the_pulse_is_still_read() -> None:
    assert np.abs(guesses(resting(70.0, seconds=40).select(["ppg"]))[3:] - 70.0).max() < 2.0


@pytest.mark.parametrize("level", [0.0, 4095.0])
def test_a_flat_or_saturated_light_is_refused(level: float) -> None:
    recording = resting(70.0, seconds=40)
    flat = replace(recording.channels["ppg"], samples=np.full(2000, level, np.float32))
    estimates = infer(TASK, replace(recording, channels={**recording.channels, "ppg": flat}), open_model(TASK))
    assert all(e.value is None and e.quality == 0.0 for e in estimates)


def lit_by(samples: np.ndarray, recording: Recording) -> Recording:
    light = replace(recording.channels["ppg"], samples=samples.astype(np.float32))
    return replace(recording, channels={**recording.channels, "ppg": light})


def test_noise_without_a_pulse_is_refused_nearly_always_and_a_pulse_is_answered() -> None:
    recording = resting(70.0, seconds=90)
    own = infer(TASK, recording, open_model(TASK))[3:]
    assert all(e.value is not None and e.quality > 0.9 for e in own)
    rng = np.random.default_rng(0)
    for noise in (rng.normal(size=4500).cumsum(), rng.normal(size=4500)):
        without = infer(TASK, lit_by(noise, recording), open_model(TASK))
        assert np.mean([e.value is not None for e in without]) < 0.15
        assert np.mean([e.quality for e in without]) < 0.6


def test_irregular_motion_in_a_light_without_a_pulse_lowers_the_quality() -> None:
    recording = resting(70.0, seconds=90)
    acc = arm_motion(np.random.default_rng(5), recording.channels["ppg"].times())
    dark = lit_by(900 + 0.001 * np.random.default_rng(1).normal(size=4500), recording)
    lost = infer(TASK, with_motion(dark, acc, strength=5e4), open_model(TASK))
    worn = infer(TASK, with_motion(recording, acc, strength=0.5), open_model(TASK))
    assert np.mean([e.quality for e in lost]) < np.mean([e.quality for e in worn]) - 0.1
    assert np.mean([e.value is not None for e in lost]) < 0.5 < np.mean([e.value is not None for e in worn])


def test_clipped_peaks_lower_the_quality_and_leave_the_rate() -> None:
    recording = resting(70.0, seconds=60)
    light = recording.channels["ppg"].samples
    clipped = lit_by(np.clip(light, *np.quantile(light, [0.1, 0.9])), recording)
    found, whole = (infer(TASK, r, open_model(TASK))[4:] for r in (clipped, recording))
    assert max(abs(e.extras["guess_bpm"] - 70.0) for e in found) < 2.0
    assert np.mean([e.quality for e in found]) < np.mean([e.quality for e in whole]) - 0.05


def test_without_an_accelerometer_the_quality_is_at_most_four_fifths() -> None:
    found = infer(TASK, resting(70.0, seconds=40).select(["ppg"]), open_model(TASK))
    assert max(e.quality for e in found) <= 0.8


def test_a_gap_is_refused_and_the_pulse_is_found_again() -> None:
    recording = resting(70.0, seconds=90)
    light = recording.channels["ppg"].samples.copy()
    light[1500:2500] = np.nan  # 30 to 50 s
    found = infer(TASK, lit_by(light, recording), open_model(TASK))
    assert all(e.value is None and e.quality == 0.0 for e in found if e.start_s > 27 and e.end_s < 53)
    assert all(abs(e.value - 70.0) < 2.0 for e in found if e.start_s > 64 and e.value is not None)
    assert any(e.value is not None for e in found if e.start_s > 64)


def test_the_intervals_width_grows_with_doubt_and_the_state_carries_the_quality() -> None:
    recording = exercise(seconds=60, seed=3, artefact_strength=4.0)
    model, windows = open_model(TASK), TASK.prepare(recording)
    assert model is not None
    outputs = model.predict(windows)
    whole = TASK.decoder().update(outputs, windows)
    first, second = TASK.decoder(), TASK.decoder()
    half = len(windows) // 2
    head = first.update({k: v[:half] for k, v in outputs.items()}, windows.take(slice(0, half)))
    second.restore(first.state())
    tail = second.update({k: v[half:] for k, v in outputs.items()}, windows.take(slice(half, len(windows))))
    assert [*head, *tail] == whole
    vague, sharp = (half_width(spread, DEFAULTS) for spread in (20.0, 5.0))
    assert vague > 2 * sharp >= 2.0


def test_the_calibration_in_the_code_is_the_folds() -> None:
    result = Path(__file__).parents[2] / "benchmarks" / "results" / "heart_rate.json"
    assert json.loads(result.read_text(encoding="utf-8"))["calibration"] == dict(DEFAULTS)


def test_the_gain_of_the_light_does_not_matter() -> None:
    recording = exercise(seconds=40, seed=4)
    light = recording.channels["ppg"]
    louder = replace(recording, channels={**recording.channels, "ppg": replace(light, samples=light.samples * 250)})
    found, wanted = TASK.prepare(louder).inputs["spectra"], TASK.prepare(recording).inputs["spectra"]
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_motion_is_taken_out_where_the_accelerometer_explains_it() -> None:
    recording = resting(75.0, seconds=60)
    times = recording.channels["ppg"].times()
    acc = np.stack([np.sin(2 * np.pi * 2.0 * times + k) for k in range(3)])  # a cadence of 120 a minute
    windows = TASK.prepare(with_motion(recording, acc, strength=6.0, seed=5))
    planes = windows.inputs["spectra"][5:, 0]
    at_cadence, at_pulse = (int((rate - 30) / 1.5) for rate in (120.0, 75.0))
    plain, clean = planes[..., PLANES.index("ppg")], planes[..., PLANES.index("clean")]
    assert (plain[:, at_cadence] > plain[:, at_pulse]).all()
    assert (clean[:, at_cadence] < clean[:, at_pulse]).all()


def test_smoothing_offline_is_no_worse_than_the_causal_answer() -> None:
    recording = exercise(seconds=120, seed=6, artefact_strength=3.0)
    model = open_model(TASK)
    causal, offline = (
        TASK.score(infer(TASK, recording, model, offline=mode), recording)["mae_bpm_full"] for mode in (False, True)
    )
    assert offline <= causal + 0.5


def test_the_reference_of_beats_is_of_normal_ones_inside_the_window() -> None:
    beats = Annotations(np.arange(0.5, 20, 0.8), tuple("N" * 25))
    recording = replace(resting(75.0, seconds=20), annotations={"beats": beats})
    np.testing.assert_allclose(reference_bpm(recording, np.array([8.0, 10.0])), 75.0)
    assert np.isnan(reference_bpm(recording, np.array([40.0]))).all()


def test_marks_count_at_their_own_time_and_between_near_ones() -> None:
    marks = Annotations(np.array([8.0, 10.0, 30.0]), value=np.array([60.0, 62.0, 90.0]))
    recording = replace(resting(75.0, seconds=20), annotations={"hr": marks})
    found = reference_bpm(recording, np.array([6.0, 8.0, 9.0, 20.0, 30.0]))
    np.testing.assert_allclose(found, [np.nan, 60.0, 61.0, np.nan, 90.0])


def test_scores_count_refused_windows_in_coverage_only() -> None:
    marks = Annotations(np.array([8.0, 10.0]), value=np.array([60.0, 60.0]))
    recording = replace(resting(60.0, seconds=20), annotations={"hr": marks})
    estimates = [
        Estimate("heart_rate", 0.0, 8.0, 61.0, 2.0, 0.9, {"guess_bpm": 61.0}),
        Estimate("heart_rate", 2.0, 10.0, None, 20.0, 0.1, {"guess_bpm": 90.0}),
    ]
    row = TASK.score(estimates, recording)
    assert (row["mae_bpm"], row["coverage"], row["mae_bpm_full"]) == (1.0, 0.5, 15.5)
    assert summarise([row])["coverage"] == 0.5

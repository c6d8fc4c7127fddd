"""What the heart-rate network is taught where no pulse is to be seen."""

from __future__ import annotations

import numpy as np

from data.recording import Recording
from data.synthetic.exercise import exercise
from models.networks.heart_rate import RECIPE
from models.training.pulse_variants import stubborn, without_pulse
from models.training.pulse_visibility import unsure, visibility
from pipelines.heart_rate import TASK, soft_target
from pipelines.heart_rate_scores import reference_bpm
from pipelines.pulse_features import BPM


def planes_and_rate(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    windows = TASK.prepare(recording)
    return windows.inputs["spectra"], reference_bpm(recording, windows.end_s)


def test_a_pulse_is_seen_at_its_own_rate_and_not_elsewhere() -> None:
    planes, bpm = planes_and_rate(exercise(seconds=80, seed=1, artefact_strength=0.3))
    assert np.median(visibility(planes, bpm)) == 1.0
    elsewhere = np.where(bpm > 120, bpm - 47.0, bpm + 47.0)
    assert visibility(planes, elsewhere).mean() < 0.6 * visibility(planes, bpm).mean()


def test_a_pulse_taken_out_is_not_seen() -> None:
    recording = exercise(seconds=120, seed=2, artefact_strength=1.0)
    planes, bpm = planes_and_rate(recording)
    gone = without_pulse(recording, bpm, 0.0, np.random.default_rng(0))
    left, _ = planes_and_rate(gone)
    assert visibility(left, bpm[: len(left)]).mean() < 0.5 * visibility(planes, bpm).mean()
    assert np.isnan(gone.annotations["hr"].value).all()


def test_targets_go_flat_as_the_pulse_goes() -> None:
    target = soft_target(np.array([80.0, 80.0, np.nan]))
    taught = unsure(target, np.array([1.0, 0.0, 1.0], np.float32))
    np.testing.assert_allclose(taught.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(taught[0], target[0])
    np.testing.assert_allclose(taught[1:], 1 / BPM.size)


def test_stubborn_lines_lie_at_multiples_of_the_motion() -> None:
    times = np.arange(0, 60, 0.02)
    acc = np.stack([np.sin(2 * np.pi * 1.0 * times + k) + 0.4 * np.sin(2 * np.pi * 3.0 * times) for k in range(3)])
    share = []
    for seed in range(4):
        power = np.abs(np.fft.rfft(stubborn(np.random.default_rng(seed), acc, 50.0))) ** 2
        hertz = np.fft.rfftfreq(times.size, 0.02)
        share.append(power[np.abs(hertz - hertz.round()) < 0.15].sum() / power.sum())
    assert min(share) > 0.7


def test_examples_hold_flat_rows_and_sharp_ones() -> None:
    recording = exercise(seconds=60, seed=5, n_ppg=1)
    rows = RECIPE.examples([recording], seed=0)
    highest = rows.targets["logits"].max(axis=1)
    assert highest.min() < 0.05
    assert highest.max() > 0.2
    np.testing.assert_allclose(rows.targets["logits"].sum(axis=1), 1.0, rtol=1e-4)

"""Variability: known by construction, untouched by ectopic beats, silent when there is too little."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.hrv import normal_intervals, variability


def beats(seconds: float = 300.0, sd_s: float = 0.04, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(0.85 + sd_s * rng.standard_normal(int(seconds / 0.85)))


def test_independent_intervals_have_the_variability_they_were_made_with() -> None:
    found = variability(beats(3000.0))
    assert found.sdnn_ms == pytest.approx(40.0, rel=0.05)
    assert found.rmssd_ms == pytest.approx(40.0 * np.sqrt(2), rel=0.05)
    assert found.mean_bpm == pytest.approx(60 / 0.85, rel=0.01)


def test_an_ectopic_beat_and_its_pause_change_nothing() -> None:
    clean = beats()
    ectopic = clean.copy()
    ectopic[[60, 150, 240]] -= 0.35
    assert variability(ectopic).rmssd_ms == pytest.approx(variability(clean).rmssd_ms, rel=0.05)
    assert normal_intervals(ectopic)[1].sum() <= normal_intervals(clean)[1].sum() - 6


def test_a_missed_beat_is_not_a_long_interval() -> None:
    clean = beats()
    assert variability(np.delete(clean, [80, 200])).sdnn_ms == pytest.approx(variability(clean).sdnn_ms, rel=0.05)


@pytest.mark.parametrize("times", [np.empty(0), np.array([1.0]), beats(20.0)])
def test_too_little_is_said_to_be_too_little(times: np.ndarray) -> None:
    found = variability(times)
    assert found.rmssd_ms is None
    assert found.sdnn_ms is None


def test_noise_gives_no_variability() -> None:
    rng = np.random.default_rng(1)
    found = variability(np.sort(rng.uniform(0, 300, 350)))
    assert found.clean < 0.8
    assert found.rmssd_ms is None


@pytest.mark.parametrize(("hz", "low"), [(0.10, True), (0.30, False)])
def test_a_slow_wave_is_low_frequency_and_a_fast_one_high(hz: float, low: bool) -> None:
    times = [0.0]
    while times[-1] < 300:
        times.append(times[-1] + 0.85 + 0.03 * np.sin(2 * np.pi * hz * times[-1]))
    ratio = variability(np.array(times)).lf_hf
    assert ratio is not None
    assert (ratio > 3) if low else (ratio < 1 / 3)


def test_frequencies_need_two_minutes() -> None:
    assert variability(beats(90.0)).lf_hf is None
    assert variability(beats(90.0)).rmssd_ms is not None

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


def test_breathing_by_a_tenth_is_no_ectopy() -> None:
    times = [0.0]
    while times[-1] < 300:
        times.append(times[-1] + 0.85 * (1 + 0.1 * np.sin(2 * np.pi * 0.2 * times[-1])))
    assert normal_intervals(np.array(times))[1].all()


def test_a_slightly_early_beat_of_a_calm_rhythm_goes_with_its_pause() -> None:
    clean = beats(sd_s=0.01)
    early = clean.copy()
    early[100] -= 0.13  # 15 %: below any fixed limit that would leave breathing alone
    intervals, normal = normal_intervals(early)
    assert not normal[[99, 100]].any()
    assert normal.sum() == intervals.size - 2


def tachogram(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(0.01, 0.04, 2)
    times, phase = [0.0], rng.uniform(0, 6.28, 2)
    while times[-1] < 300:
        t = times[-1]
        wave = low * np.sin(2 * np.pi * 0.1 * t + phase[0]) + high * np.sin(2 * np.pi * 0.25 * t + phase[1])
        times.append(t + 0.85 + wave + 0.003 * rng.standard_normal())
    return np.array(times)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_lf_hf_is_what_a_periodogram_of_the_uneven_series_says(seed: int) -> None:
    from scipy.signal import lombscargle

    times = tachogram(seed)
    intervals = np.diff(times)
    hz = np.arange(0.04, 0.4, 0.001)
    power = lombscargle(times[1:], intervals - intervals.mean(), 2 * np.pi * hz)
    wanted = power[hz < 0.15].sum() / power[hz >= 0.15].sum()
    assert variability(times).lf_hf == pytest.approx(wanted, rel=0.25)


@pytest.mark.parametrize("seed", [1, 2])
def test_neurokit_says_the_same_of_a_clean_rhythm(seed: int) -> None:
    nk = pytest.importorskip("neurokit2", reason="the extra 'peers' is not installed")
    times = np.round(tachogram(seed), 3)
    table = nk.hrv_time(np.round(times * 1000).astype(int), sampling_rate=1000)
    ours = variability(times)
    assert ours.rmssd_ms == pytest.approx(table["HRV_RMSSD"].iloc[0], rel=1e-3)
    assert ours.sdnn_ms == pytest.approx(table["HRV_SDNN"].iloc[0], rel=1e-3)
    assert ours.pnn50 * 100 == pytest.approx(table["HRV_pNN50"].iloc[0], abs=0.5)

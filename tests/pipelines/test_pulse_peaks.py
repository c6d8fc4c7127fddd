"""Pulses of a PPG: known beats are found, whatever the device, and a stream says what a file says."""

from __future__ import annotations

import numpy as np
import pytest

from data.recording import Channel
from pipelines.hrv import variability
from pipelines.irregular_rhythm import check_rhythm
from pipelines.pulse_peaks import CLEAN, PulseDetector, find_pulses


def light_of(beats: np.ndarray, fs_hz: float, noise: float = 0.04) -> np.ndarray:
    """A systolic and a second wave for each beat, over breathing."""
    times = np.arange(int((beats[-1] + 2) * fs_hz)) / fs_hz
    scale = float(np.sqrt(np.median(np.diff(beats))))
    light = 0.5 * np.sin(2 * np.pi * 0.23 * times) + noise * np.random.default_rng(1).normal(size=times.size)
    for beat in beats:
        since = (times - beat) / scale
        light += np.exp(-0.5 * ((since - 0.09) / 0.09) ** 2) + 0.35 * np.exp(-0.5 * ((since - 0.37) / 0.11) ** 2)
    return light.astype(np.float32)


def steady(bpm: float, n: int = 120) -> np.ndarray:
    return 1.0 + np.cumsum(60 / bpm * (1 + 0.04 * np.sin(np.arange(n) * 1.3)))


@pytest.mark.parametrize("fs_hz", [20.0, 25.0, 64.0, 256.0])
@pytest.mark.parametrize("bpm", [42.0, 70.0, 120.0, 160.0])
def test_each_beat_is_found_once_to_a_few_hundredths_of_a_second(bpm: float, fs_hz: float) -> None:
    beats = steady(bpm)
    found = find_pulses(Channel("ppg", fs_hz, light_of(beats, fs_hz))).t_s
    lag = float(np.median(found - beats[np.abs(found[:, None] - beats).argmin(axis=1)]))
    errors = np.abs(found[:, None] - lag - beats[3:-3]).min(axis=0)
    assert errors.max() < 0.06
    # Before the first and after the last beat there is only noise to find.
    assert abs(int(((found > beats[1]) & (found < beats[-1])).sum()) - (beats.size - 2)) <= 1


def test_a_stream_in_any_chunks_says_what_the_whole_file_says() -> None:
    light = light_of(steady(66.0), 64.0)
    light[2000:2200] = np.nan
    whole = find_pulses(Channel("ppg", 64.0, light, t0_s=5.0))
    for seed in range(3):
        rng, detector, at, parts = np.random.default_rng(seed), PulseDetector(64.0, 5.0), 0, []
        while at < light.size:
            size = int(rng.integers(1, 900))
            parts.append(detector.feed(light[at : at + size]))
            at += size
        parts.append(detector.finish())
        np.testing.assert_array_equal(np.concatenate([p.t_s for p in parts]), whole.t_s)
        np.testing.assert_array_equal(np.concatenate([p.confidence for p in parts]), whole.confidence)


def test_light_upside_down_gives_the_same_pulses() -> None:
    light = light_of(steady(66.0), 64.0)
    upright, turned = (find_pulses(Channel("ppg", 64.0, sign * light)) for sign in (1.0, -1.0))
    np.testing.assert_array_equal(upright.t_s, turned.t_s)


def test_variability_from_pulses_is_that_of_the_beats() -> None:
    rng = np.random.default_rng(4)
    beats = 1.0 + np.cumsum(0.9 + 0.05 * np.sin(np.arange(320) * 1.7) + 0.02 * rng.normal(size=320))
    pulses = find_pulses(Channel("ppg", 100.0, light_of(beats, 100.0, noise=0.01)))
    wanted, found = variability(beats).rmssd_ms, variability(pulses.t_s).rmssd_ms
    assert wanted is not None
    assert found is not None
    assert abs(found - wanted) < 0.15 * wanted


def test_fibrillation_is_seen_in_pulses_and_a_calm_heart_is_not_accused() -> None:
    rng = np.random.default_rng(2)
    wild = 1.0 + np.cumsum((0.75 * (1 + 0.24 * rng.normal(size=200))).clip(0.4))
    for beats, irregular in ((wild, True), (steady(72.0, 200), False)):
        seen = check_rhythm(find_pulses(Channel("ppg", 64.0, light_of(beats, 64.0))).t_s)
        assert seen.irregular.size >= 2
        assert (seen.irregular == irregular).all()


@pytest.mark.parametrize("light", [np.zeros(2000), np.full(2000, 4095.0), np.full(2000, np.nan)])
def test_a_flat_or_absent_light_has_no_pulses(light: np.ndarray) -> None:
    assert find_pulses(Channel("ppg", 50.0, light.astype(np.float32))).t_s.size == 0


def test_a_rate_too_low_to_time_a_pulse_is_answered_with_none() -> None:
    assert find_pulses(Channel("ppg", 10.0, light_of(steady(60.0), 10.0))).t_s.size == 0


def test_noise_gives_no_clean_runs_and_a_pulse_gives_long_ones() -> None:
    noise = np.random.default_rng(0).normal(size=6400).astype(np.float32)
    assert not find_pulses(Channel("ppg", 64.0, noise)).clean_runs(20)
    (run,) = find_pulses(Channel("ppg", 64.0, light_of(steady(66.0), 64.0))).clean_runs(100)
    assert (np.diff(run) > 0.5).all()


def test_a_movement_in_the_light_is_doubted() -> None:
    light = light_of(steady(66.0), 64.0)
    light[3000:3100] += 12 * np.hanning(100).astype(np.float32)
    pulses = find_pulses(Channel("ppg", 64.0, light))
    moved = (pulses.t_s > 46.5) & (pulses.t_s < 48.8)
    assert (pulses.confidence[moved] < CLEAN).any()
    assert np.mean(pulses.confidence[(pulses.t_s < 40) | (pulses.t_s > 56)] >= CLEAN) > 0.95

"""The R-peak detector on beats of known truth: any rate, any polarity, and what electrodes do to a signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.adapters import mitdb
from data.synthetic.ecg import NORMAL, VENTRICULAR, ecg, ecg_wave
from pipelines.beat_detection import detect_beats
from pipelines.beat_detection.matching import match_beats, rates

RATES_HZ = (64.0, 100.0, 125.0, 128.0, 200.0, 250.0, 256.0, 300.0, 360.0, 500.0, 512.0, 1000.0)
SECONDS = 90.0


def made(fs_hz: float = 250.0, bpm: float = 70.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    recording = ecg(seconds=SECONDS, seed=seed, fs_hz=fs_hz, bpm=bpm)
    return recording.channels["ecg"].samples, recording.annotations["beats"].t_s


def f1(ecg_mv: np.ndarray, fs_hz: float, beats: np.ndarray) -> float:
    met = match_beats(beats, detect_beats(ecg_mv, fs_hz).time_s)
    return rates(met.hits, met.extra.size, met.missed.size)["f1"]


@pytest.mark.parametrize("fs_hz", RATES_HZ)
def test_every_beat_is_found_at_any_rate_to_the_sample(fs_hz: float) -> None:
    samples, beats = made(fs_hz)
    met = match_beats(beats, detect_beats(samples, fs_hz).time_s)
    assert (met.extra.size, met.missed.size) == (0, 0)
    assert np.abs(met.error_s).max() <= 1.5 / fs_hz + 0.004


@pytest.mark.parametrize("bpm", [35.0, 50.0, 110.0, 150.0, 190.0])
def test_slow_and_fast_hearts_are_followed(bpm: float) -> None:
    samples, beats = made(bpm=bpm)
    assert f1(samples, 250.0, beats) == 1.0


@settings(max_examples=12, deadline=None)
@given(
    gain=st.sampled_from([1e-3, 0.05, 1.0, 40.0, 1e4]), offset=st.floats(-500.0, 500.0), turned=st.booleans(),
    seed=st.integers(0, 20),
)  # fmt: skip
def test_gain_offset_and_polarity_move_no_beat(gain: float, offset: float, turned: bool, seed: int) -> None:
    samples, _ = made(seed=seed)
    plain = detect_beats(samples, 250.0).time_s
    other = detect_beats((-gain if turned else gain) * samples.astype(np.float64) + gain * offset, 250.0).time_s
    np.testing.assert_allclose(other, plain, atol=0.005)


@settings(max_examples=8, deadline=None)
@given(shift_s=st.floats(0.0, 60.0))
def test_beats_move_with_the_signal(shift_s: float) -> None:
    samples, beats = made()
    n = round(shift_s * 250.0)
    later = np.concatenate([samples[250:][:n][::-1], samples]) if n else samples
    found = detect_beats(later, 250.0).time_s - n / 250.0
    met = match_beats(beats, found[found > 0.2])
    assert met.missed.size <= 1  # the one at the seam


def _wander(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    return x + 3.0 * np.sin(2 * np.pi * 0.3 * t) + 1.5 * np.sin(2 * np.pi * 0.11 * t)


def _mains(hz: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda x, t: x + 0.5 * np.sin(2 * np.pi * hz * t)


def _five_times(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    return x * np.where((t // 15.0) % 2 == 0, 1.0, 0.2)


def _fading(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    return x * np.exp(-np.log(5.0) * t / t[-1])


def _railed(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    del t
    return np.clip(x, -0.1, 0.4)


def _coarse(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    del t
    return np.round(x * 8) / 8


def _white(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    return x + 0.15 * np.random.default_rng(1).standard_normal(t.size)


DISTURBED = {
    "baseline wander of three R waves": _wander, "50 Hz mains": _mains(50.0), "60 Hz mains": _mains(60.0),
    "steps of five times": _five_times, "fading to a fifth": _fading, "railed at 40 %": _railed,
    "three bits": _coarse, "noise": _white,
}  # fmt: skip


@pytest.mark.parametrize("fs_hz", [128.0, 360.0])
@pytest.mark.parametrize("how", DISTURBED)
def test_a_disturbed_lead_keeps_its_beats(how: str, fs_hz: float) -> None:
    samples, beats = made(fs_hz, seed=4)
    times = np.arange(samples.size) / fs_hz
    # A step of the gain itself may cost the beats beside it.
    assert f1(DISTURBED[how](samples, times), fs_hz, beats) > (0.97 if "steps" in how else 0.995)


@pytest.mark.parametrize("fs_hz", [128.0, 250.0, 360.0, 500.0, 1000.0])
def test_pacing_spikes_are_no_beats_and_hide_none(fs_hz: float) -> None:
    beats = np.arange(0.7, SECONDS - 0.3, 0.85)
    times = np.arange(int(SECONDS * fs_hz)) / fs_hz
    samples = ecg_wave(beats, times, VENTRICULAR) + 0.01 * np.random.default_rng(0).standard_normal(times.size)
    # Two chambers: a spike before the P wave's place and one before the QRS complex, 2 ms wide, thrice the R wave.
    for spike in np.concatenate([beats - 0.19, beats - 0.04]):
        at = int(spike * fs_hz)
        samples[at : at + max(1, round(0.002 * fs_hz))] += 3.0
    met = match_beats(beats, detect_beats(samples, fs_hz).time_s)
    assert met.extra.size == 0
    assert met.missed.size <= 1


@pytest.mark.parametrize("fs_hz", [128.0, 250.0, 500.0])
def test_a_runner_s_narrow_complex_is_no_spike(fs_hz: float) -> None:
    beats = np.arange(0.7, SECONDS - 0.3, 0.45)
    times = np.arange(int(SECONDS * fs_hz)) / fs_hz
    narrow = {"R": (-0.016, 0.006, 0.8), "S": (0.0, 0.006, -1.0), "T": (0.22, 0.04, 0.2)}
    samples = ecg_wave(beats, times, narrow) + 0.02 * np.random.default_rng(0).standard_normal(times.size)
    assert f1(samples, fs_hz, beats) == 1.0


@pytest.mark.parametrize("value", [0.0, -3.0, np.nan])
@pytest.mark.parametrize("fs_hz", [128.0, 360.0])
def test_a_flat_or_absent_lead_has_no_beats(value: float, fs_hz: float) -> None:
    assert len(detect_beats(np.full(int(60 * fs_hz), value), fs_hz)) == 0


@pytest.mark.parametrize("n", [0, 1, 100, 249])
def test_less_than_a_second_has_no_beats(n: int) -> None:
    assert len(detect_beats(np.ones(n), 250.0)) == 0


def test_below_60_hz_nothing_is_said() -> None:
    samples, _ = made(50.0)
    assert len(detect_beats(samples, 50.0)) == 0


def test_where_nothing_was_sensed_there_is_no_beat_and_around_it_every_one() -> None:
    samples, beats = made(seed=5)
    samples = samples.copy()
    samples[40 * 250 : 52 * 250] = np.nan
    met = match_beats(beats[(beats < 40.0) | (beats >= 52.0)], detect_beats(samples, 250.0).time_s)
    assert met.extra.size == 0
    assert met.missed.size <= 1


def test_a_lead_that_comes_off_ends_its_beats() -> None:
    samples, beats = made(seed=6)
    samples = samples.copy()
    samples[45 * 250 :] = samples[45 * 250]
    found = detect_beats(samples, 250.0).time_s
    assert (found < 45.1).all()
    assert match_beats(beats[beats < 44.5], found).missed.size == 0


@pytest.mark.parametrize("height_mv", [30.0, 3000.0])
@pytest.mark.parametrize("how", ["a pulse", "a step", "a rail"])
def test_an_artefact_costs_the_beats_beside_it_only(how: str, height_mv: float) -> None:
    samples, beats = made(seed=11)
    samples, first = samples.copy(), 40 * 250
    if how == "a rail":
        samples[first : first + 1000] = height_mv
    else:
        samples[first : first + 125 if how == "a pulse" else None] += height_mv
    found = detect_beats(samples, 250.0).time_s
    met = match_beats(*(t[(t < 39.5) | (t > 46.0)] for t in (beats, found)))
    assert (met.extra.size, met.missed.size) == (0, 0)


def test_premature_wide_beats_are_beats() -> None:
    rng = np.random.default_rng(7)
    normal = np.arange(0.5, SECONDS - 1.0, 0.8)
    early = normal[5::9] - 0.3
    times = np.arange(int(SECONDS * 250)) / 250.0
    kept = np.delete(normal, np.arange(5, normal.size, 9))
    samples = ecg_wave(kept, times, NORMAL) + ecg_wave(early, times, VENTRICULAR)
    met = match_beats(
        np.sort([*kept, *early]), detect_beats(samples + 0.01 * rng.standard_normal(times.size), 250.0).time_s
    )
    assert (met.extra.size, met.missed.size) == (0, 0)


def test_flutter_of_the_ventricles_has_no_beats() -> None:
    times = np.arange(60 * 250) / 250.0
    samples = np.sin(2 * np.pi * 4.2 * times) + 0.01 * np.random.default_rng(8).standard_normal(times.size)
    assert len(detect_beats(samples, 250.0)) == 0


def test_confidence_is_lower_where_there_is_noise() -> None:
    samples, _ = made(seed=9)
    noisy = samples + 0.4 * np.random.default_rng(2).standard_normal(samples.size)
    assert detect_beats(noisy, 250.0).confidence.mean() < detect_beats(samples, 250.0).confidence.mean()
    assert (detect_beats(samples, 250.0).confidence > 0.5).all()


def records(folder: Path) -> Iterator[tuple[np.ndarray, float, np.ndarray]]:
    for recording in islice(mitdb.read(folder), 0, None, 5):
        channel = recording.channels["ecg"].slice(0.0, 600.0)
        beats = recording.annotations["beats"].t_s
        yield channel.samples, channel.fs_hz, beats[beats < 600.0]


def test_real_records_at_another_rate_turned_and_scaled_keep_their_figures(real_data: Callable[[str], Path]) -> None:
    from scipy.signal import resample_poly

    counts = {"plain": np.zeros(3, int), "other": np.zeros(3, int)}
    for samples, fs_hz, beats in records(real_data("mitdb")):
        other = -250.0 * resample_poly(samples, 25, 36)
        for name, x, fs in (("plain", samples, fs_hz), ("other", other, 250.0)):
            met = match_beats(beats, detect_beats(x, fs).time_s)
            counts[name] += (met.hits, met.extra.size, met.missed.size)
    figures = {name: rates(*(int(n) for n in c))["f1"] for name, c in counts.items()}
    assert figures["plain"] > 0.995
    assert figures["other"] == pytest.approx(figures["plain"], abs=0.002)

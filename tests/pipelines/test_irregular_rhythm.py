"""The check for fibrillation: irregular without a pattern is told from every regularity that a heart has."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.adapters import afdb, nsr2db
from pipelines.irregular_rhythm import WINDOW_BEATS, check_rhythm, irregularity_features

N = 300


def times(intervals: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(intervals)])


def fibrillating(seed: int = 0, mean_s: float = 0.65) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return mean_s * np.clip(1 + 0.25 * rng.standard_normal(N), 0.5, 1.9)


def steady(seed: int = 0, mean_s: float = 0.85, spread: float = 0.03) -> np.ndarray:
    return mean_s * (1 + spread * np.random.default_rng(seed).standard_normal(N))


def breathing() -> np.ndarray:
    return steady() * (1 + 0.1 * np.sin(2 * np.pi * np.arange(N) / 4.7))


def premature(every: int) -> np.ndarray:
    intervals = steady()
    intervals[every - 2 :: every][: (N - 2) // every] *= 0.65
    intervals[every - 1 :: every] *= 1.35
    return intervals


REGULAR = {
    "steady": steady(), "fast and steady": steady(mean_s=0.42), "slow and steady": steady(mean_s=1.3),
    "breathing": breathing(), "bigeminy": np.tile([0.55, 1.15], N // 2) + 0.01 * steady(1, 0.0, 0.0),
    "trigeminy": premature(3), "every eighth premature": premature(8), "one pause": np.insert(steady(), 100, 3.5),
    "climbing": steady() * np.linspace(1.3, 0.6, N), "a step": steady() * np.where(np.arange(N) < 150, 1.0, 0.6),
}  # fmt: skip


@pytest.mark.parametrize("name", REGULAR)
def test_a_rhythm_with_a_pattern_is_not_fibrillation(name: str) -> None:
    assert check_rhythm(times(REGULAR[name])).irregular.mean() <= 0.2


@pytest.mark.parametrize("mean_s", [0.4, 0.6, 0.9, 1.1])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fibrillation_is_told_at_any_rate(seed: int, mean_s: float) -> None:
    assert check_rhythm(times(fibrillating(seed, mean_s))).irregular.all()


def test_fibrillation_seen_by_a_ppg_is_still_told() -> None:
    rng = np.random.default_rng(4)
    pulses = times(fibrillating()) + 0.012 * rng.standard_normal(N + 1)
    pulses = np.delete(pulses, [40, 120, 200])
    assert check_rhythm(pulses).irregular.all()


def test_only_the_fibrillating_half_is_told() -> None:
    found = check_rhythm(times(np.concatenate([steady(), fibrillating()])))
    assert found.irregular.tolist() == [False] * (N // WINDOW_BEATS) + [True] * (N // WINDOW_BEATS)
    np.testing.assert_allclose(found.start_s[1:], found.end_s[:-1])


@pytest.mark.parametrize("n", [0, 1, 2, WINDOW_BEATS])
def test_too_few_beats_have_no_window(n: int) -> None:
    assert check_rhythm(np.arange(n) * 0.8).probability.size == 0


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.7, 1.4), seed=st.integers(0, 50))
def test_features_but_the_rate_itself_do_not_depend_on_the_heart_rate(factor: float, seed: int) -> None:
    rows = steady(seed, 0.85, 0.08)[None, :WINDOW_BEATS]
    plain, other = irregularity_features(rows), irregularity_features(rows * factor)
    np.testing.assert_allclose(other[:, :-1], plain[:, :-1], atol=1e-6)
    assert other[0, -1] - plain[0, -1] == pytest.approx(np.log(factor))


def test_real_fibrillation_and_a_normal_day(real_data: Callable[[str], Path]) -> None:
    day = next(iter(nsr2db.read(real_data("nsr2db")))).annotations["beats"].t_s
    assert check_rhythm(day).irregular.mean() < 0.01
    told, wanted = [], []
    for record in islice(afdb.read(real_data("afdb")), 4):
        found, rhythm = check_rhythm(record.annotations["beats"].t_s), record.annotations["rhythm"]
        label = np.array(["", *rhythm.label])
        start, end = (label[np.searchsorted(rhythm.t_s, t, side="right")] for t in (found.start_s, found.end_s))
        sure = (start == end) & np.isin(start, ["AFIB", "N"])
        told.append(found.irregular[sure])
        wanted.append(start[sure] == "AFIB")
    said, true = np.concatenate(told), np.concatenate(wanted)
    assert said[true].mean() > 0.95
    assert said[~true].mean() < 0.06

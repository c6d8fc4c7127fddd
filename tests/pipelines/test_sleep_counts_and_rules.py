"""Counts follow their published recipes, and the classical rules say what other people's code says."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from data.errors import ChannelError
from data.recording import Channel, Recording
from pipelines.sleep.counts import actigraph_counts, lindert_counts
from pipelines.sleep.epochs import epochs_of
from pipelines.sleep.rules import cole_kripke, oakley, sadeh


def restless(seconds: int, fs_hz: float = 50.0, seed: int = 0) -> np.ndarray:
    """Return z acceleration in g of somebody who lies still and turns over now and then."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    vigour = np.repeat(rng.choice([0.0, 0.0, 0.3, 1.2], seconds // 10), round(10 * fs_hz))
    return np.asarray(0.9 + vigour * np.sin(2 * np.pi * 4.3 * t + rng.normal()) + 0.002 * rng.normal(size=t.size))


def recipe_of_the_cropped_counts(z: np.ndarray) -> np.ndarray:
    """Return counts of 15 s as the data set's description has them, step by step and without our code."""
    b, a = scipy.signal.butter(5, [3 / 25, 11 / 25], "bandpass")
    rectified = np.abs(scipy.signal.filtfilt(b, a, z))
    counts = []
    for first in range(0, z.size - 749, 750):
        total = 0
        for second in range(15):
            piece = rectified[first + 50 * second : first + 50 * (second + 1)]
            total += max(int(value // (5 / 128)) + 1 for value in piece)
        counts.append(max(0.0, (total - 18) * 3.07))
    return np.array(counts)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_our_count_of_raw_motion_is_the_recipe_of_the_cropped_counts(seed: int) -> None:
    z = restless(600, seed=seed)
    expected = recipe_of_the_cropped_counts(z)
    assert (expected > 0).sum() > 5
    assert (expected == 0).sum() > 5
    np.testing.assert_allclose(lindert_counts(z), expected, atol=1e-9)


def test_counts_of_epochs_of_a_recording_are_the_recipe_too_but_for_the_edges_of_epochs() -> None:
    z = restless(1800, seed=3)
    raw = Recording("r", "s", {"acc_z": Channel("acc_z", 50.0, z.astype(np.float32))})
    ours, expected = epochs_of(raw, 0, 60).counts.ravel(), recipe_of_the_cropped_counts(z)
    # The backward pass of the filter ends with the epoch, so that a stream says the same: some bins at its edge.
    assert np.abs(ours - expected).max() <= 15 * 3.07
    assert ((ours > 0) == (expected > 0)).mean() > 0.97
    assert np.corrcoef(ours, expected)[0, 1] > 0.999


def test_counts_of_another_rate_are_nearly_those_of_50_hz() -> None:
    slow, fast = (lindert_counts(restless(600, fs, seed=4), fs) for fs in (32.0, 50.0))
    assert np.corrcoef(slow, fast)[0, 1] > 0.99


def test_a_rate_that_cannot_see_the_band_is_refused() -> None:
    with pytest.raises(ChannelError, match="25 Hz or more, got 20 Hz"):
        lindert_counts(np.zeros(2000), 20.0)


def test_actigraph_counts_are_those_of_agcounts() -> None:
    """Golden: agcounts 0.2.6, `get_counts(x, freq=30, epoch=30)`, its first axis."""
    t, rng = np.arange(0, 300, 1 / 30), np.random.default_rng(3)
    x = np.sin(2 * np.pi * 0.7 * t) * np.repeat(rng.uniform(0, 0.6, 30), 300) + 0.05 * rng.normal(size=t.size)
    expected = [2118, 2132, 2709, 1962, 3650, 3981, 1994, 3195, 4082, 3114]
    assert actigraph_counts(x, 30.0).tolist() == expected


def naps() -> np.ndarray:
    """Return counts of 400 epochs, shape (400, 2), that the golden answers below were made from."""
    rng = np.random.default_rng(7)
    bursts = np.repeat(rng.random(40) < 0.4, 10)
    counts = np.where(bursts & (rng.random(400) < 0.6), rng.gamma(0.7, 60, 400).round(), 0.0)
    return np.stack([counts / 2, counts / 2], axis=1)


def test_cole_kripke_says_what_pyactigraphy_says() -> None:
    """Golden: pyActigraphy 1.2.2, `_cole_kripke` with the weights of one-minute means, minutes 4 to 195."""
    expected = (
        "111111111111111111100111111000000111111111111111111111110111011111111111111111111111111111111111111000000011111"
        "111111000111111111111111111111111111111111110000000111111111110110001000011011111"
    )  # fmt: skip
    assert "".join(str(int(s)) for s in cole_kripke(naps())[::2][4:-4]) == expected


def test_oakley_says_what_pyactigraphy_says() -> None:
    """Golden: pyActigraphy 1.2.2, `_oakley` with the weights of 30 s and the medium threshold, epochs 4 to 395."""
    awake = np.flatnonzero(~oakley(naps())[4:-4])
    assert awake.size == 88
    assert (awake[:7].tolist(), int(awake.sum())) == ([27, 30, 42, 43, 44, 45, 58], 20627)


def test_sadeh_is_the_papers_formula() -> None:
    counts = naps()
    minutes = np.minimum(counts.sum(1).reshape(-1, 2).sum(1), 300.0)
    asleep = sadeh(counts)[::2]
    for k in range(5, 195):
        around, last = minutes[k - 5 : k + 6], minutes[k - 5 : k + 1]
        bouts = sum(50 <= c < 100 for c in around)
        score = 7.601 - 0.065 * around.mean() - 1.08 * bouts - 0.056 * last.std() - 0.703 * np.log(minutes[k] + 1)
        assert asleep[k] == (score >= 0), k


@pytest.mark.parametrize("rule", [cole_kripke, sadeh, oakley])
def test_a_night_of_stillness_is_sleep_and_no_night_is_nothing(rule) -> None:  # type: ignore[no-untyped-def]
    assert rule(np.zeros((101, 2))).tolist() == [True] * 101
    assert rule(np.empty((0, 2))).size == 0

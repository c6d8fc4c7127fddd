"""The comparison of R-peak detectors: everybody is measured alike, and who fails is counted as failing."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.disturbances import DISTURBANCES, disturbed
from benchmarks.peers_beats import measure, ours
from data.synthetic.ecg import ecg

RECORDINGS = [ecg(seconds=60.0, seed=seed, fs_hz=360.0) for seed in (1, 2)]


def test_a_detector_that_finds_everything_scores_one_and_one_that_fails_scores_zero() -> None:
    def broken(samples: np.ndarray, fs_hz: float) -> np.ndarray:
        raise IndexError(f"{samples.size} samples at {fs_hz} Hz")

    assert measure(ours, RECORDINGS)["f1"] == 1.0
    row = measure(broken, RECORDINGS)
    assert (row["f1"], row["records_refused"]) == (0.0, 2)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbance_is_the_same_for_the_same_seed_and_we_live_with_it(name: str) -> None:
    channel = RECORDINGS[0].channels["ecg"]
    first, rate_hz = disturbed(name, channel.samples, channel.fs_hz, 3)
    np.testing.assert_array_equal(first, disturbed(name, channel.samples, channel.fs_hz, 3)[0])
    assert first.size / rate_hz == pytest.approx(channel.end_s, abs=0.01)
    assert measure(ours, RECORDINGS, disturbance=name)["f1"] > 0.9

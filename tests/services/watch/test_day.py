"""The synthetic day."""

import numpy as np
import pytest

from data.synthetic.day import day


def test_a_day_holds_a_pulse_and_one_fall_of_known_moment() -> None:
    recording = day(minutes=10, seed=4)
    assert recording.end_s == pytest.approx(600, abs=1)
    begin, end = recording.annotations["fall"].t_s
    norm = np.sqrt(sum(recording.channels[f"acc_{axis}"].samples ** 2 for axis in "xyz"))
    assert begin < np.argmax(norm) / 50.0 < end
    assert np.nanmean(recording.annotations["hr"].value) == pytest.approx(72, abs=2)


def test_the_same_seed_is_the_same_day() -> None:
    a, b = day(minutes=10, seed=1), day(minutes=10, seed=1)
    np.testing.assert_array_equal(a.channels["acc_x"].samples, b.channels["acc_x"].samples)


def test_a_day_too_short_for_its_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 minutes"):
        day(minutes=5, seed=0)

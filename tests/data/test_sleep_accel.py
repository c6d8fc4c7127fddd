"""sleep-accel in its public layout: raw motion where it is, counts where it is not, and says which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.adapters.sleep_accel import ADAPTER
from data.errors import RecordingError


def lay_out(folder: Path, *, raw: bool) -> None:
    """Write one synthetic night of 40 epochs as the public download has it."""
    for name in ("labels", "heart_rate", "motion", "cropped"):
        (folder / name).mkdir()
    t = np.arange(40) * 30.0
    stages = np.tile([-1, 0, 1, 2, 3, 4, 5, 2], 5)
    np.savetxt(folder / "labels" / "1_labeled_sleep.txt", np.stack([t, stages], 1), fmt="%g")
    heart = np.stack([np.arange(-600.0, 1200.0, 5.0), np.full(360, 55.0)], 1)
    # As some public files: each row three times, unsorted.
    np.savetxt(folder / "heart_rate" / "1_heartrate.txt", np.concatenate([heart, heart[::-1], heart]), "%g", ",")
    if raw:
        times = np.arange(0, 1200, 0.02)
        motion = np.stack([times, 0 * times, 0 * times, 1 + 0 * times], 1)
        np.savetxt(folder / "motion" / "1_acceleration.txt", motion, fmt="%.4f")
    else:
        counts = np.stack([np.arange(0, 1200, 15.0), np.zeros(80)], 1)
        np.savetxt(folder / "cropped" / "1_cleaned_counts.out", counts, "%g", ",")


@pytest.mark.parametrize("raw", [True, False])
def test_a_night_is_read_from_what_there_is(tmp_path: Path, raw: bool) -> None:
    lay_out(tmp_path, raw=raw)
    (night,) = ADAPTER.reader(tmp_path)
    assert night.meta["motion"] == ("raw" if raw else "counts")
    assert {"acc_z" if raw else "counts", "hr"} <= set(night.channels)
    assert night.annotations["stage"].label[:8] == ("?", "W", "1", "2", "3", "3", "R", "2")


def test_heart_rate_before_the_night_and_repeated_rows_are_left_out(tmp_path: Path) -> None:
    lay_out(tmp_path, raw=False)
    (night,) = ADAPTER.reader(tmp_path)
    times = night.channels["hr"].times()
    assert times[0] == 0.0
    assert (np.diff(times) > 0).all()
    assert times.size == 240


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, raw=False)
    (tmp_path / "heart_rate" / "1_heartrate.txt").write_text("a,b\n")
    with pytest.raises(RecordingError, match=r"1_heartrate.txt cannot be read as numbers"):
        list(ADAPTER.reader(tmp_path))


def test_the_real_nights_are_all_read(real_data: object) -> None:
    nights = list(ADAPTER.reader(real_data("sleep-accel")))  # type: ignore[operator]
    assert len(nights) >= 10
    assert all("stage" in n.annotations and "hr" in n.channels for n in nights)

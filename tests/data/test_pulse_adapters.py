"""The heart-rate data sets, in their public layouts, and the synthetic exercise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from data.adapters import bami1, spc2015, wrist
from data.errors import RecordingError
from data.synthetic.exercise import exercise


def test_spc_recordings_carry_the_reference_of_each_window(tmp_path: Path) -> None:
    folder = tmp_path / "Training_data"
    folder.mkdir()
    savemat(folder / "DATA_01_TYPE01.mat", {"sig": np.arange(6 * 1500.0).reshape(6, 1500)})
    savemat(folder / "DATA_01_TYPE01_BPMtrace.mat", {"BPM0": np.array([[70.0], [71.0], [72.0]])})
    (recording,) = spc2015.read(tmp_path)
    assert sorted(recording.channels) == ["acc_x", "acc_y", "acc_z", "ppg", "ppg_2"]
    assert recording.channels["ppg"].samples[0] == 1500.0  # the second row: the first is the ECG
    np.testing.assert_array_equal(recording.annotations["hr"].t_s, [8.0, 10.0, 12.0])


def test_an_spc_recording_without_its_reference_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "Training_data"
    folder.mkdir()
    savemat(folder / "DATA_01_TYPE01.mat", {"sig": np.zeros((6, 1500))})
    with pytest.raises(RecordingError, match="BPMtrace"):
        list(spc2015.read(tmp_path))


def test_a_damaged_matlab_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "BAMI-1").mkdir()
    (tmp_path / "BAMI-1" / "Subject_1.mat").write_bytes(b"not a MATLAB file at all" * 20)
    with pytest.raises(RecordingError, match="Subject_1"):
        list(bami1.read(tmp_path))


def test_bami_counts_are_signed_and_windows_are_means_of_beats(tmp_path: Path) -> None:
    (tmp_path / "BAMI-1").mkdir()
    n = 50 * 12
    savemat(
        tmp_path / "BAMI-1" / "Subject_3.mat",
        {
            "sigPPG": np.zeros((3, n), np.uint16), "sigAcc": np.full((3, n), 32768 - 4096, np.uint16),
            "timeECG": np.arange(0.0, 12.0)[:, None], "bpmECG": np.arange(60.0, 72.0)[:, None],
        },
    )  # fmt: skip
    (recording,) = bami1.read(tmp_path)
    np.testing.assert_allclose(recording.channels["acc_z"].samples, -1.0)
    np.testing.assert_allclose(recording.annotations["hr"].value, [63.5, 65.5, 67.5])


def test_the_real_sets_are_whole(real_data: Callable[[str], Path]) -> None:
    spc = list(spc2015.read(real_data("spc2015")))
    assert sum(r.meta["activity"] == "arm exercise" for r in spc) == 6
    first = next(iter(wrist.read(real_data("wrist"))))
    assert first.channels["ppg"].fs_hz == 256.0
    assert 0.9 < float(np.nanmedian(np.linalg.norm([first.channels[f"acc_{a}"].samples for a in "xyz"], axis=0))) < 1.1


def test_the_synthetic_exercise_is_the_same_for_the_same_seed() -> None:
    first, second = exercise(seconds=30, seed=9), exercise(seconds=30, seed=9)
    for name, channel in first.channels.items():
        np.testing.assert_array_equal(channel.samples, second.channels[name].samples)
    assert not np.array_equal(first.channels["ppg"].samples, exercise(seconds=30, seed=10).channels["ppg"].samples)
    assert np.isfinite(first.annotations["hr"].value).all()

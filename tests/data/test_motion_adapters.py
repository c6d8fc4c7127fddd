"""The adapters of the motion sets, each on a small copy of its public layout, and their traps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from data.adapters import smartfallmm, stress_predict, umafall, weda_fall, wisdm
from data.adapters.accelerometer import regular
from data.errors import DataSetError, RecordingError
from data.recording import STANDARD_GRAVITY


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def weda(root: Path, trial: str, rows: int = 120) -> None:
    # Stamps in bursts, one of them backward, as the watch wrote them.
    lines = [f"{0.1 * (i // 5) - 0.004 * (i % 7 == 3)},0.0,0.0,{STANDARD_GRAVITY}" for i in range(rows)]
    table = "accel_time_list,accel_x_list,accel_y_list,accel_z_list\n" + "\n".join(lines)
    write(root / "weda-fall" / "dataset" / "40Hz" / f"{trial}_accel.csv", table + "\n")


def test_weda_is_read_by_index_at_one_rate_for_falls_and_activities(tmp_path: Path) -> None:
    weda(tmp_path, "F01/U01_R01")
    weda(tmp_path, "D08/U31_R02")
    stamps = tmp_path / "weda-fall" / "dataset" / "fall_timestamps.csv"
    stamps.write_text("\ufefffilename,start_time,end_time\nF01/U01_R01,1.0,2.5\n", encoding="utf-8")

    jump, fall = weda_fall.ADAPTER.read(tmp_path)

    assert jump.channels["acc_z"].fs_hz == fall.channels["acc_z"].fs_hz == 40.0
    assert fall.end_s == pytest.approx(120 * 1.25 / 49.7, abs=0.06)
    np.testing.assert_allclose(fall.channels["acc_z"].samples, 1.0, atol=1e-5)
    np.testing.assert_allclose(fall.annotations["fall"].t_s, [1.0, 2.5])
    assert (fall.meta["label"], fall.meta["age"]) == ("fall", "22")
    assert (jump.meta["label"], jump.meta["activity"], jump.meta["age"]) == ("adl", "jump", "88")
    assert "fall" not in jump.annotations


def test_weda_never_reads_the_folder_whose_rate_tells_the_class(tmp_path: Path) -> None:
    weda(tmp_path, "D01/U01_R01")
    write(tmp_path / "weda-fall" / "dataset" / "50Hz" / "F01" / "U01_R01_accel.csv", "not even a table")
    assert [r.id for r in weda_fall.ADAPTER.read(tmp_path)] == ["D01_U01_R01"]


def test_weda_names_the_file_that_is_no_table(tmp_path: Path) -> None:
    write(tmp_path / "weda-fall/dataset/40Hz/D01/U01_R01_accel.csv", "a,b,c,d\n0,x,1,2\n")
    with pytest.raises(RecordingError, match="is not a WEDA-FALL table"):
        list(weda_fall.ADAPTER.read(tmp_path))


def smart(root: Path, name: str, shift: float = 0.0, rows: int = 100) -> None:
    lines = [f"2023-03-24 12:10:{20 + i * 0.03:06.3f},{shift},0.0,{STANDARD_GRAVITY}" for i in range(rows)]
    write(root / "smartfallmm" / "young" / "accelerometer" / "watch" / f"{name}.csv", "\n".join(lines))


def test_smartfallmm_drops_identical_and_damaged_files(tmp_path: Path) -> None:
    smart(tmp_path, "S28A10T01")
    smart(tmp_path, "S28A10T02")  # the same bytes
    smart(tmp_path, "S44A10T01", 0.5)  # a damaged subject
    smart(tmp_path, "S29A01T01", 0.7)
    found = list(smartfallmm.ADAPTER.read(tmp_path))
    assert [(r.id, r.meta["label"]) for r in found] == [("S28A10T01", "fall"), ("S29A01T01", "adl")]
    assert all(r.meta["label_quality"] == "weak" for r in found)


def test_smartfallmm_reads_files_whose_clock_stands_second(tmp_path: Path) -> None:
    rows = [f"1.0,13.50.22.{i * 30:03d},2.0,{STANDARD_GRAVITY}" for i in range(30)]
    write(tmp_path / "smartfallmm/old/accelerometer/watch/S23A07T01.csv", "\n".join(rows))
    (recording,) = smartfallmm.ADAPTER.read(tmp_path)
    assert np.nanmedian(recording.channels["acc_z"].samples) == pytest.approx(1.0, abs=1e-4)
    assert recording.meta["age_group"] == "old"


def test_a_stall_that_later_rows_catch_up_with_leaves_no_hole_and_a_lost_second_does() -> None:
    sensed = np.arange(200) / 33.3
    stalled = sensed.copy()
    stalled[80:120] = np.maximum(sensed[80:120], sensed[120])  # delivered at once, late
    np.testing.assert_allclose(smartfallmm.sample_times(stalled), sensed, atol=1e-9)
    lost = np.where(np.arange(200) < 100, sensed, sensed + 1.0)
    times = smartfallmm.sample_times(lost)
    assert np.diff(times).max() == pytest.approx(1.0 + 1 / 33.3)
    assert (np.diff(times) > 0).all()


def test_wisdm_is_read_by_its_own_times_one_recording_an_activity(tmp_path: Path) -> None:
    walk = [f"1600,A,{9_000_000_000 + i * 50_000_000},0.0,0.0,{STANDARD_GRAVITY};" for i in range(60)]
    fast = [f"1600,B,{i * 10_000_000},{STANDARD_GRAVITY},0.0,0.0;" for i in range(300)]
    write(tmp_path / "wisdm/wisdm-dataset/raw/watch/accel/data_1600_accel_watch.txt", "\n".join([*walk, *fast, ""]))
    first, second = wisdm.ADAPTER.read(tmp_path)
    assert (first.id, first.channels["acc_x"].fs_hz, first.meta["activity"]) == ("1600_A", 20.0, "walking")
    assert (second.id, second.channels["acc_x"].fs_hz, second.meta["activity"]) == ("1600_B", 100.0, "jogging")
    np.testing.assert_allclose(first.channels["acc_z"].samples, 1.0, atol=1e-5)


def test_an_empatica_folder_gives_acceleration_ppg_and_the_devices_heart_rate(tmp_path: Path) -> None:
    folder = tmp_path / "stress-predict" / "Raw_data" / "S02"
    write(folder / "ACC.csv", "1000.0,1000.0,1000.0\n32.0,32.0,32.0\n" + "0,0,64\n" * 64)
    write(folder / "BVP.csv", "1000.0\n64.0\n" + "1.5\n" * 128)
    write(folder / "HR.csv", "1010.0\n1.0\n70.0\n71.0\n")
    write(folder / "tags_S02.csv", "1001.0\n1000.5\n")
    (recording,) = stress_predict.ADAPTER.read(tmp_path)
    np.testing.assert_allclose(recording.channels["acc_z"].samples, 1.0)
    assert recording.channels["ppg"].fs_hz == 64.0
    assert recording.channels["hr"].t0_s == 10.0
    assert "hr" not in recording.annotations  # the device's own rate is no reference
    np.testing.assert_allclose(recording.annotations["activity"].t_s, [0.5, 1.0])
    assert recording.start is not None
    assert recording.start.timestamp() == 1000.0


UMA_ROW = "{ms};{i};{x};0.0;1.0;{kind};{sensor}\n"


def test_umafall_keeps_only_the_wrists_accelerometer(tmp_path: Path) -> None:
    rows = "% UMAFall\n%TimeStamp; Sample No; X; Y; Z; Sensor Type; Sensor ID\n"
    for i in range(40):
        rows += UMA_ROW.format(ms=i * 50, i=i, x=0.25, kind=0, sensor=3)
        rows += UMA_ROW.format(ms=i * 50, i=i, x=9.0, kind=0, sensor=0)  # the phone
        rows += UMA_ROW.format(ms=i * 50, i=i, x=9.0, kind=1, sensor=3)  # the gyroscope
    write(tmp_path / "umafall" / "UMAFall_Subject_01_Fall_backwardFall_1_2016-06-13_20-43-52.csv", rows)
    (recording,) = umafall.ADAPTER.read(tmp_path)
    np.testing.assert_allclose(recording.channels["acc_x"].samples, 0.25)
    assert recording.channels["acc_x"].fs_hz == 20.0
    assert (recording.subject, recording.meta["label"]) == ("umafall-01", "fall")


def test_umafall_refuses_a_file_without_the_wrist(tmp_path: Path) -> None:
    rows = UMA_ROW.format(ms=0, i=0, x=1, kind=0, sensor=0)
    write(tmp_path / "umafall" / "UMAFall_Subject_01_ADL_Walking_1_2016.csv", rows)
    with pytest.raises(RecordingError, match="no accelerometer rows of the wrist"):
        list(umafall.ADAPTER.read(tmp_path))


@pytest.mark.parametrize("module", [weda_fall, smartfallmm, wisdm, stress_predict, umafall])
def test_an_absent_set_says_where_to_get_it(module: object, tmp_path: Path) -> None:
    adapter = module.ADAPTER  # type: ignore[attr-defined]
    with pytest.raises(DataSetError, match=adapter.url):
        list(adapter.read(tmp_path))


def test_long_holes_are_unknown_and_short_ones_are_bridged() -> None:
    times = np.array([0.0, 0.1, 0.2, 1.2, 1.3])
    grid = regular(times, np.ones((5, 3)), 10.0, longest_hole_s=0.5)
    assert len(grid) == 14
    assert np.isnan(grid[3:12]).all()
    assert np.isfinite(grid[[0, 1, 2, 12, 13]]).all()
    assert np.isfinite(regular(times, np.ones((5, 3)), 10.0, longest_hole_s=2.0)).all()


def test_the_sampling_rate_alone_no_longer_tells_a_fall(real_data: Callable[[str], Path]) -> None:
    root = real_data("weda-fall").parent
    recordings = list(weda_fall.ADAPTER.read(root))
    rates = [r.channels["acc_x"].fs_hz for r in recordings]
    assert set(rates) == {40.0}
    # Nor do the files' own stamps: rows a second, the rate a model could have learnt.
    rows_a_second, fall = [], []
    for recording in recordings:
        table = np.loadtxt(recording.origin, delimiter=",", skiprows=1, usecols=0)
        rows_a_second.append((len(table) - 1) / (table[-1] - table[0]))
        fall.append(recording.meta["label"] == "fall")
    ranks, of = rankdata(rows_a_second), np.array(fall)
    n, m = of.sum(), (~of).sum()
    auc = (ranks[of].sum() - n * (n + 1) / 2) / (n * m)
    assert 0.35 < auc < 0.65

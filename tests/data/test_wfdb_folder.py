"""Our folder format: what is written is read back, and damaged records are named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb

from data.errors import RecordingError
from data.export import write_recording
from data.recording import Annotations, Channel, Recording
from data.synthetic.wearer import wearer
from data.wfdb_folder import read_folder, read_record


def two_rates() -> Recording:
    made = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=40.0, seed=5)
    fall = Annotations(np.array([3.0, 4.0]), ("(FALL", "FALL)"))
    return Recording(
        "walk", "S07", made.channels, {**made.annotations, "fall": fall},
        start=datetime(2026, 3, 1, 22, 30, tzinfo=UTC), utc_offset_s=3600, meta={"age": "71", "activity": "walk"},
    )  # fmt: skip


def test_a_recording_of_two_rates_comes_back_as_it_was(tmp_path: Path) -> None:
    wanted = two_rates()
    assert [p.name for p in write_recording(wanted, tmp_path)] == ["walk", "walk_32hz"]
    (found,) = read_folder(tmp_path)
    assert (found.id, found.subject, found.start, found.utc_offset_s) == ("walk", "S07", wanted.start, 3600)
    assert found.meta["age"] == "71"
    for name, channel in wanted.channels.items():
        assert found.channels[name].fs_hz == channel.fs_hz
        span = float(np.ptp(channel.samples))
        np.testing.assert_allclose(found.channels[name].samples, channel.samples, atol=span / 3e4)
    np.testing.assert_allclose(found.annotations["hr"].value, wanted.annotations["hr"].value, atol=1e-3)
    np.testing.assert_allclose(found.annotations["beats"].t_s, wanted.annotations["beats"].t_s, atol=0.5 / 64)
    assert found.annotations["fall"].label == ("(FALL", "FALL)")


def test_nan_comes_back_as_nan(tmp_path: Path) -> None:
    samples = np.sin(np.arange(200) / 5).astype(np.float32)
    samples[50:60] = np.nan
    write_recording(Recording("gap", "S1", {"ppg": Channel("ppg", 50.0, samples)}), tmp_path)
    found = read_record(tmp_path / "gap")
    np.testing.assert_array_equal(np.isnan(found.channels["ppg"].samples), np.isnan(samples))


def test_metres_per_second_squared_become_g(tmp_path: Path) -> None:
    write_recording(
        Recording("a", "S1", {"acc_x": Channel("acc_x", 50.0, np.linspace(-9.80665, 9.80665, 99, dtype=np.float32))}),
        tmp_path,
    )
    header = tmp_path / "a.hea"
    header.write_text(header.read_text().replace("/g ", "/m/s2 "))
    found = read_record(tmp_path / "a").channels["acc_x"].samples
    np.testing.assert_allclose([found[0], found[-1]], [-1, 1], atol=1e-3)


def test_an_unknown_unit_is_named(tmp_path: Path) -> None:
    write_recording(two_rates(), tmp_path)
    header = tmp_path / "walk_32hz.hea"
    header.write_text(header.read_text().replace("/g ", "/furlong "))
    with pytest.raises(RecordingError, match="'furlong'; known units: g, mg"):
        list(read_folder(tmp_path))


def test_a_truncated_signal_file_is_named(tmp_path: Path) -> None:
    write_recording(two_rates(), tmp_path)
    signal = tmp_path / "walk.dat"
    signal.write_bytes(signal.read_bytes()[: signal.stat().st_size // 2])
    with pytest.raises(RecordingError, match=r"walk cannot be read .*fetch the record again"):
        list(read_folder(tmp_path))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no WFDB record \(no \*.hea file\)"):
        list(read_folder(tmp_path))


def test_a_missing_signal_file_is_named(tmp_path: Path) -> None:
    write_recording(two_rates(), tmp_path)
    (tmp_path / "walk.dat").unlink()
    with pytest.raises(RecordingError, match="lacks its signal file"):
        list(read_folder(tmp_path))


@pytest.mark.parametrize(
    ("names", "taken"),
    [(("V5", "MLII"), "MLII"), (("MLII", "ecg"), "ecg"), (("ECG",), "ECG"), (("resp", "chest_ecg"), "chest_ecg"),
     (("V1", "II"), "II"), (("resp", "abp"), None)],
)  # fmt: skip
def test_a_lead_named_as_ecg_sets_do_is_taken_for_ecg(
    tmp_path: Path, names: tuple[str, ...], taken: str | None
) -> None:
    signals = np.outer(np.sin(np.arange(500) / 9.0), 1.0 + np.arange(len(names)))
    wfdb.wrsamp(
        "100", 250, ["mV"] * len(names), list(names), signals, fmt=["16"] * len(names), write_dir=str(tmp_path)
    )  # fmt: skip
    (recording,) = read_folder(tmp_path)
    if taken is None:
        assert "ecg" not in recording.channels
        return
    assert float(recording.channels["ecg"].samples.max()) == pytest.approx(1.0 + names.index(taken), rel=0.01)


def test_a_foreign_channel_with_a_leads_name_and_another_unit_is_passed_over(tmp_path: Path) -> None:
    wfdb.wrsamp("a", 50, ["counts"], ["I"], np.arange(200.0)[:, None], fmt=["16"], write_dir=str(tmp_path))
    assert read_record(tmp_path / "a").channels == {}

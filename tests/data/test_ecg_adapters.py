"""The ECG adapters, each on a small copy of its public layout, and their traps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb
from scipy.io import savemat

from data.adapters import afdb, challenge2017, mitdb, nsr2db, wrist
from data.errors import DataSetError, RecordingError
from data.synthetic.ecg import ecg


def write_mitdb(root: Path, name: str, leads: tuple[str, ...] = ("MLII", "V5"), seconds: float = 10.0) -> None:
    folder = root / "mitdb"
    folder.mkdir(exist_ok=True)
    made = ecg(seconds=seconds, seed=1, fs_hz=360.0)
    mv = made.channels["ecg"].samples.astype(float)
    signals = np.stack([mv if lead == "MLII" else 0.1 * mv for lead in leads], axis=1)
    wfdb.wrsamp(
        name, 360, ["mV"] * len(leads), list(leads), signals, fmt=["212"] * len(leads), adc_gain=[200.0] * len(leads),
        baseline=[1024] * len(leads), write_dir=str(folder),
    )  # fmt: skip
    samples = np.array([10, 100, 400, 500, 900, 1200])
    wfdb.wrann(
        name, "atr", samples, ["+", "N", "V", "!", "|", "/"], aux_note=["(AFIB", "", "", "", "", ""],
        write_dir=str(folder),
    )  # fmt: skip


def test_mitdb_takes_the_lead_by_name_and_only_beats_as_beats(tmp_path: Path) -> None:
    write_mitdb(tmp_path, "114", ("V5", "MLII"))
    (recording,) = mitdb.ADAPTER.read(tmp_path)
    assert recording.meta == {"lead": "MLII", "division": "DS1"}
    assert recording.channels["ecg"].fs_hz == 360.0
    assert float(np.ptp(recording.channels["ecg"].samples)) > 1.0  # V5 here is a tenth of that
    beats, rhythm = recording.annotations["beats"], recording.annotations["rhythm"]
    assert beats.label == ("N", "V", "/")  # neither the flutter wave, nor the artefact, nor the rhythm change
    np.testing.assert_allclose(beats.t_s, np.array([100, 400, 1200]) / 360.0)
    assert rhythm.label == ("AFIB",)


def test_mitdb_gives_the_first_lead_where_there_is_no_mlii_and_one_man_his_two_records(tmp_path: Path) -> None:
    write_mitdb(tmp_path, "102", ("V5", "V2"))
    write_mitdb(tmp_path, "201")
    write_mitdb(tmp_path, "202")
    paced, first, second = mitdb.ADAPTER.read(tmp_path)
    assert paced.meta == {"lead": "V5", "division": "other"}
    assert first.subject == second.subject == "mitdb-201"


@pytest.mark.parametrize("lost", ["114.dat", "114.atr"])
def test_a_damaged_mitdb_record_is_named(tmp_path: Path, lost: str) -> None:
    write_mitdb(tmp_path, "114")
    (tmp_path / "mitdb" / lost).unlink()
    with pytest.raises(RecordingError, match=r"114 cannot be read .* run wristwise data fetch mitdb"):
        list(mitdb.ADAPTER.read(tmp_path))


def test_a_damaged_wrist_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrist").mkdir()
    (tmp_path / "wrist" / "s1_walk.hea").write_text("s1_walk 1 256 10\ns1_walk.dat 16 1000/mV 16 0 0 0 0 chest_ecg\n")
    with pytest.raises(RecordingError, match=r"s1_walk cannot be read .* run wristwise data fetch wrist"):
        list(wrist.ADAPTER.read(tmp_path))


def strip(path: Path, value: int, n: int = 9 * 300) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"val": np.full((1, n), value, np.int16)}, format="4")


@pytest.mark.parametrize(
    ("labels", "strips"),
    [("training2017/REFERENCE-v3.csv", "training2017"), ("REFERENCE-v3.csv", "training/A00")],
    ids=["unzipped", "file by file"],
)
def test_challenge_strips_are_millivolts_with_the_last_labels(tmp_path: Path, labels: str, strips: str) -> None:
    base = tmp_path / "challenge-2017"
    strip(base / strips / "A00002.mat", -500)
    strip(base / strips / "A00001.mat", 250)
    strip(base / "validation" / "A00001.mat", 250)
    (base / labels).write_text("A00001,N\nA00002,~\nA00003,A\nA00004,?\n", encoding="utf-8")
    first, second = challenge2017.ADAPTER.read(tmp_path)
    assert (first.id, first.meta["rhythm"], second.meta["rhythm"]) == ("A00001", "N", "~")
    assert first.channels["ecg"].samples[0] == pytest.approx(0.25)
    assert second.channels["ecg"].end_s == pytest.approx(9.0)
    assert first.subject != second.subject  # no patient ids: each strip is its own


def test_challenge_without_the_revised_labels_says_what_to_copy(tmp_path: Path) -> None:
    strip(tmp_path / "challenge-2017" / "training2017" / "A00001.mat", 1)
    with pytest.raises(RecordingError, match="copy REFERENCE-v3"):
        list(challenge2017.ADAPTER.read(tmp_path))


def test_a_damaged_challenge_strip_is_named(tmp_path: Path) -> None:
    base = tmp_path / "challenge-2017" / "training2017"
    base.mkdir(parents=True)
    (base / "A00001.mat").write_bytes(b"\x01" * 64)
    (base / "REFERENCE-v3.csv").write_text("A00001,N\n", encoding="utf-8")
    with pytest.raises(RecordingError, match=r"A00001\.mat cannot be read"):
        list(challenge2017.ADAPTER.read(tmp_path))


def test_afdb_needs_no_header_and_takes_its_own_rate(tmp_path: Path) -> None:
    folder = tmp_path / "afdb"
    folder.mkdir()
    wfdb.wrann("00735", "qrs", np.array([250, 500, 740]), ["N"] * 3, write_dir=str(folder))
    wfdb.wrann(
        "00735", "atr", np.array([10, 600]), ["+", "+"], aux_note=["(N", "(AFIB"], write_dir=str(folder)
    )  # fmt: skip
    (recording,) = afdb.ADAPTER.read(tmp_path)
    np.testing.assert_allclose(recording.annotations["beats"].t_s, [1.0, 2.0, 2.96])
    assert recording.annotations["rhythm"].label == ("N", "AFIB")
    assert recording.channels == {}


def test_an_afdb_record_without_its_rhythms_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "afdb"
    folder.mkdir()
    wfdb.wrann("00735", "qrs", np.array([250, 500]), ["N"] * 2, write_dir=str(folder))
    with pytest.raises(RecordingError, match=r"00735\.atr cannot be read"):
        list(afdb.ADAPTER.read(tmp_path))


def test_nsr2db_is_normal_throughout_and_its_artefacts_are_no_beats(tmp_path: Path) -> None:
    folder = tmp_path / "nsr2db"
    folder.mkdir()
    wfdb.wrann("nsr001", "ecg", np.array([128, 256, 300, 384]), ["N", "N", "|", "V"], write_dir=str(folder))
    (recording,) = nsr2db.ADAPTER.read(tmp_path)
    np.testing.assert_allclose(recording.annotations["beats"].t_s, [1.0, 2.0, 3.0])
    assert recording.annotations["rhythm"].label == ("N",)


@pytest.mark.parametrize("adapter", [mitdb.ADAPTER, challenge2017.ADAPTER, afdb.ADAPTER, nsr2db.ADAPTER])
def test_an_absent_set_says_how_to_get_it(tmp_path: Path, adapter: object) -> None:
    with pytest.raises(DataSetError, match=f"wristwise data fetch {adapter.name}"):  # type: ignore[attr-defined]
        adapter.read(tmp_path)  # type: ignore[attr-defined]


def test_the_real_sets_are_whole(real_data: Callable[[str], Path]) -> None:
    marks = next(iter(afdb.read(real_data("afdb"))))
    assert len(marks.annotations["beats"].t_s) > 20_000
    day = next(iter(nsr2db.read(real_data("nsr2db"))))
    assert day.annotations["beats"].t_s[-1] > 20 * 3600
    record = next(iter(mitdb.read(real_data("mitdb"))))
    assert record.channels["ecg"].end_s == pytest.approx(1805.6, abs=0.1)
    one = next(iter(challenge2017.read(real_data("challenge-2017"))))
    assert one.channels["ecg"].fs_hz == 300.0

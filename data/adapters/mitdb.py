"""MIT-BIH Arrhythmia Database: half-hour ambulatory ECG, each beat marked by two cardiologists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.adapters.adapter import Adapter
from data.adapters.wfdb_records import read_record_and_marks
from data.recording import Annotations, Channel, Recording
from data.wfdb_folder import BEAT_CODES

# The division by patient of de Chazal et al. (doi:10.1109/TBME.2004.827359); the four paced records are in neither.
DS1 = frozenset({
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
})  # fmt: skip
_SAME_PERSON = {"202": "201"}  # two records of one man


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a record, sorted; channel ``ecg`` is the lead MLII, chosen by name (114 has V5 first).

    The two records without MLII (102, 104) give their first lead, named in ``meta["lead"]``. ``beats`` are
    PhysioNet's beat codes; flutter waves (``!``, record 207) are not beats. ``rhythm`` are the ``+`` marks.

    Raises
    ------
    RecordingError
        If a record is damaged.
    """
    for header in sorted(folder.glob("[12][0-9][0-9].hea")):
        yield _recording(header.with_suffix(""))


def _recording(path: Path) -> Recording:
    record, marks = read_record_and_marks(path, "mitdb")
    fs_hz = float(record.fs)
    lead = "MLII" if "MLII" in record.sig_name else str(record.sig_name[0])
    ecg = record.p_signal[:, record.sig_name.index(lead)].astype(np.float32)
    times = np.asarray(marks.sample, np.float64) / fs_hz
    beats = [k for k, code in enumerate(marks.symbol) if code in BEAT_CODES]
    changes = [k for k, code in enumerate(marks.symbol) if code == "+"]
    return Recording(
        path.name, f"mitdb-{_SAME_PERSON.get(path.name, path.name)}", {"ecg": Channel("ecg", fs_hz, ecg)},
        {
            "beats": Annotations(times[beats], tuple(marks.symbol[k] for k in beats)),
            "rhythm": Annotations(times[changes], tuple(marks.aux_note[k].strip("\x00 (") for k in changes)),
        },
        dataset="mitdb", origin=str(path), licence=ADAPTER.licence,
        meta={"lead": lead, "division": "DS1" if path.name in DS1 else "other"},
    )  # fmt: skip


ADAPTER = Adapter(
    name="mitdb", title="MIT-BIH Arrhythmia Database", url="https://physionet.org/content/mitdb/1.0.0",
    licence="ODC-By 1.0", open_licence=True, reader=read, marker="*.hea", physionet="mitdb/1.0.0",
)  # fmt: skip

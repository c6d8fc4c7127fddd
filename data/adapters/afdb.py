"""MIT-BIH Atrial Fibrillation Database: ten hours each of 25 people, mostly with paroxysmal fibrillation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data.adapters.adapter import Adapter
from data.adapters.beat_files import beat_marks, read_marks
from data.recording import Annotations, Recording
from data.wfdb_folder import BEAT_CODES

_FS_HZ = 250.0  # two of the records have no header: the rate is the data set's


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a record, without signals: ``beats`` from `.qrs` (an uncorrected detector's, all N) and
    ``rhythm`` (AFIB, AFL, J, N) from `.atr`.

    Raises
    ------
    RecordingError
        If a file is damaged.
    """
    for file in sorted(folder.glob("*.qrs")):
        path = file.with_suffix("")
        beats = beat_marks(*read_marks(path, "qrs", _FS_HZ)[:2], BEAT_CODES)
        times, _, notes = read_marks(path, "atr", _FS_HZ)
        yield Recording(
            path.name, f"afdb-{path.name}", {}, {"beats": beats, "rhythm": Annotations(times, tuple(notes))},
            dataset="afdb", origin=str(path), licence=ADAPTER.licence,
        )  # fmt: skip


ADAPTER = Adapter(
    name="afdb", title="MIT-BIH Atrial Fibrillation Database", url="https://physionet.org/content/afdb/1.0.0",
    licence="see PhysioNet; ODC-By 1.0 recalled, unverified", open_licence=False, reader=read, marker="*.qrs",
    physionet="afdb/1.0.0",
)  # fmt: skip

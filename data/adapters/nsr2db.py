"""Normal Sinus Rhythm RR Interval Database: a day of beats each of people without arrhythmia."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.adapters.adapter import Adapter
from data.adapters.beat_files import beat_marks, read_marks
from data.recording import Annotations, Recording
from data.wfdb_folder import BEAT_CODES

_FS_HZ = 128.0


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a record, without signals: ``beats`` from `.ecg`, ``rhythm`` N throughout.

    Raises
    ------
    RecordingError
        If a file is damaged.
    """
    for file in sorted(folder.glob("nsr*.ecg")):
        path = file.with_suffix("")
        beats = beat_marks(*read_marks(path, "ecg", _FS_HZ)[:2], BEAT_CODES)
        yield Recording(
            path.name, f"nsr2db-{path.name}", {}, {"beats": beats, "rhythm": Annotations(np.zeros(1), ("N",))},
            dataset="nsr2db", origin=str(path), licence=ADAPTER.licence,
        )  # fmt: skip


ADAPTER = Adapter(
    name="nsr2db", title="Normal Sinus Rhythm RR Interval Database",
    url="https://physionet.org/content/nsr2db/1.0.0", licence="see PhysioNet; ODC-By 1.0 recalled, unverified",
    open_licence=False, reader=read, marker="nsr*.ecg", physionet="nsr2db/1.0.0",
)  # fmt: skip

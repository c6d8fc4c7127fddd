"""PhysioNet *Wrist PPG During Exercise*: walking, running and cycling with a chest ECG beside the wrist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.adapters.adapter import Adapter
from data.adapters.wfdb_records import read_record_and_marks
from data.recording import STANDARD_GRAVITY, Annotations, Channel, Recording

# Our channel: the set's name, and the factor to our unit. The wide-range accelerometer does not clip when running.
_CHANNELS = {
    "ppg": ("wrist_ppg", 1.0),
    "ecg": ("chest_ecg", 1.0),
    **{f"acc_{a}": (f"wrist_wide_range_accelerometer_{a}", 1 / STANDARD_GRAVITY) for a in "xyz"},
    **{f"gyro_{a}": (f"wrist_gyro_{a}", 1.0) for a in "xyz"},
}


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a record; ``beats`` are those marked N on the ECG.

    The last 26-310 samples of all channels but the ECG are NaN, as in the source.

    Raises
    ------
    RecordingError
        If a record is damaged.
    """
    for header in sorted(folder.glob("s*.hea")):
        yield _recording(header.with_suffix(""))


def _recording(path: Path) -> Recording:
    record, marks = read_record_and_marks(path, "wrist")
    fs_hz = float(record.fs)
    column = {name: k for k, name in enumerate(record.sig_name)}
    channels = {
        ours: Channel(ours, fs_hz, (record.p_signal[:, column[theirs]] * factor).astype(np.float32))
        for ours, (theirs, factor) in _CHANNELS.items()
        if theirs in column
    }
    normal = np.array(marks.sample)[np.array(marks.symbol) == "N"] / fs_hz
    subject, activity = path.name.split("_", 1)
    return Recording(
        path.name, f"wrist-{subject}", channels, {"beats": Annotations(normal, ("N",) * normal.size)},
        dataset="wrist", origin=str(path), licence=ADAPTER.licence, meta={"activity": activity.replace("_", " ")},
    )  # fmt: skip


ADAPTER = Adapter(
    name="wrist", title="PhysioNet Wrist PPG During Exercise", url="https://physionet.org/content/wrist/1.0.0",
    licence="ODC-By 1.0", open_licence=True, reader=read, marker="*.hea", physionet="wrist/1.0.0",
)  # fmt: skip

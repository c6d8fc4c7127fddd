"""UMAFall: staged falls and activities, five sensors; the wrist's accelerometer is read (sensor 3, 20 Hz, g)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.adapters.accelerometer import acc_channels, regular
from data.adapters.adapter import Adapter
from data.errors import RecordingError
from data.recording import Recording

FS_HZ = 20.0
_WRIST, _ACCELEROMETER = 3, 0
_NAME = re.compile(r"UMAFall_Subject_(?P<subject>\d+)_(?P<kind>ADL|Fall)_(?P<activity>[^_]+)_(?P<trial>\d+)")


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a trial.

    Rows are ``ms; sample; x; y; z; type; sensor`` after a header of ``%`` lines; only type 0 (acceleration, g) of
    sensor 3 (wrist) is kept. No moment of a fall is given.

    Raises
    ------
    RecordingError
        If a file has no such rows, or a name that says neither ``ADL`` nor ``Fall``.
    """
    for path in sorted(folder.rglob("UMAFall_Subject_*.csv")):
        yield _trial(path)


def _trial(path: Path) -> Recording:
    name = _NAME.match(path.stem)
    if name is None:
        raise RecordingError(
            f"{path} is not named UMAFall_Subject_NN_ADL|Fall_Activity_N_...; keep the names of the download"
        )
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.count(";") >= 6]
    rows = [line.split(";")[:7] for line in lines if not line.lstrip().startswith("%")]
    try:
        table = np.array([[float(field) for field in row] for row in rows]).reshape(-1, 7)
    except ValueError as error:
        raise RecordingError(f"{path} is not rows of ms;sample;x;y;z;type;sensor ({error}); fetch it again") from error
    wrist = table[(table[:, 5] == _ACCELEROMETER) & (table[:, 6] == _WRIST)]
    if not len(wrist):
        raise RecordingError(f"{path} has no accelerometer rows of the wrist (type 0, sensor 3); fetch it again")
    wrist = wrist[np.argsort(wrist[:, 0], kind="stable")]
    samples = regular(wrist[:, 0] / 1e3, wrist[:, 2:5], FS_HZ, longest_hole_s=0.5)
    fall = name["kind"] == "Fall"
    return Recording(
        path.stem, f"umafall-{int(name['subject']):02d}", acc_channels(samples, FS_HZ), dataset="umafall",
        origin=str(path), licence=ADAPTER.licence,
        meta={"activity": name["activity"].lower(), "label": "fall" if fall else "adl"},
    )  # fmt: skip


ADAPTER = Adapter(
    name="umafall", title="UMAFall, wrist accelerometer, staged falls and activities",
    url="https://figshare.com/articles/dataset/UMA_ADL_FALL_Dataset_zip/4214283",
    licence="CC BY 4.0 (as recalled; unverified)", open_licence=False, reader=read, marker="**/UMAFall_Subject_*.csv",
)  # fmt: skip

"""PhysioNet/CinC Challenge 2017: strips of 9 to 61 s from a hand-held ECG, one rhythm label each."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from data.adapters.adapter import Adapter
from data.errors import RecordingError
from data.recording import Channel, Recording

_FS_HZ = 300.0
_PER_MV = 1000.0
_CLASSES = frozenset("NAO~")
_LABELS = "REFERENCE-v3.csv"


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a strip that is labelled in `REFERENCE-v3.csv` (the last revision), sorted.

    ``meta["rhythm"]`` is N (normal), A (atrial fibrillation), O (other) or ~ (too noisy). There are no patient
    ids: every strip counts as a subject of its own, and one person may be on both sides of a split.

    Raises
    ------
    RecordingError
        If the reference is not there, or a strip is damaged.
    """
    reference = next((p for p in (folder / "training2017" / _LABELS, folder / _LABELS) if p.is_file()), None)
    if reference is None:
        raise RecordingError(
            f"neither {folder / 'training2017' / _LABELS} nor {folder / _LABELS} is there; copy {_LABELS} (the revised "
            "labels) from the data set's page beside the strips"
        )
    with reference.open(encoding="utf-8", newline="") as lines:
        labels = {row[0]: row[1] for row in csv.reader(lines) if len(row) > 1 and row[1] in _CLASSES}
    # Unzipped: training2017/A00001.mat; file by file from PhysioNet: training/A00/A00001.mat, validation/ has copies.
    strips = {path.stem: path for path in sorted(folder.rglob("A*.mat"), reverse=True)}
    for name in sorted(labels.keys() & strips.keys()):
        yield _recording(strips[name], labels[name])


def _recording(path: Path, label: str) -> Recording:
    try:
        values: Any = loadmat(str(path))["val"]
    except Exception as error:  # scipy raises ValueError, KeyError, OSError and struct errors for damaged files
        raise RecordingError(f"strip {path} cannot be read ({error}); download challenge-2017 again") from error
    ecg = (np.asarray(values[0], np.float32) / _PER_MV).astype(np.float32)
    return Recording(
        path.stem, path.stem, {"ecg": Channel("ecg", _FS_HZ, ecg)}, dataset="challenge-2017", origin=str(path),
        licence=ADAPTER.licence, meta={"rhythm": label},
    )  # fmt: skip


ADAPTER = Adapter(
    name="challenge-2017", title="PhysioNet/CinC Challenge 2017 (training part)",
    url="https://physionet.org/content/challenge-2017/1.0.0", licence="see PhysioNet; ODC-By 1.0 recalled, unverified",
    open_licence=False, reader=read, marker="**/A*.mat", physionet="challenge-2017/1.0.0",
)  # fmt: skip

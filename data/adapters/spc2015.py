"""IEEE Signal Processing Cup 2015: wrist PPG on a treadmill (recordings 1-12) and under arm exercise (S01-S04)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.adapters.adapter import Adapter
from data.adapters.matlab import matrix
from data.errors import RecordingError
from data.recording import Annotations, Channel, Recording

FS_HZ = 125.0
_CHANNELS = ("ppg", "ppg_2", "acc_x", "acc_y", "acc_z")
_FIRST_END_S, _STEP_S = 8.0, 2.0  # the reference is of windows [2 i, 2 i + 8)


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield recordings 1-12 (``activity`` treadmill), then those of arm exercise (``activity`` arm exercise).

    Raises
    ------
    RecordingError
        If a recording lacks its reference, or a file is not as published.
    """
    for path in sorted(folder.glob("Training_data/DATA_??_TYPE0?.mat")):
        number = path.stem.split("_")[1]
        yield _recording(path, path.with_name(f"{path.stem}_BPMtrace.mat"), f"spc-{number}", number, "treadmill")
    for path in sorted([*folder.glob("TestData/TEST_S??_T??.mat"), *folder.glob("Extra_TrainingData/DATA_S*.mat")]):
        subject, trial = path.stem.split("_")[1:]
        name = f"{subject}_{trial}"
        found = path.with_name(f"BPM_{name}.mat")
        reference = found if path.stem.startswith("DATA") else folder / "TrueBPM" / f"True_{name}.mat"
        yield _recording(path, reference, f"spc-{subject}", name, "arm exercise")


def _recording(path: Path, reference: Path, subject: str, name: str, activity: str) -> Recording:
    if not reference.is_file():
        raise RecordingError(f"{path} lacks its reference {reference}; download the set again")
    signals: NDArray[np.float64] = matrix(path, "sig")
    if signals.shape[0] not in (5, 6):
        raise RecordingError(f"{path} must hold 5 or 6 rows of signals, got {signals.shape[0]}; download it again")
    # Six rows begin with an ECG of unknown scale: left out, the reference was made from it.
    own = signals[-5:]
    bpm = matrix(reference, "BPM0").ravel()
    ends: NDArray[np.float64] = _FIRST_END_S + _STEP_S * np.arange(bpm.size, dtype=np.float64)
    channels = {n: Channel(n, FS_HZ, row.astype(np.float32)) for n, row in zip(_CHANNELS, own, strict=True)}
    return Recording(
        name, subject, channels, {"hr": Annotations(ends, value=bpm)}, dataset="spc2015", origin=str(path),
        licence=ADAPTER.licence, meta={"activity": activity},
    )  # fmt: skip


ADAPTER = Adapter(
    name="spc2015", title="IEEE Signal Processing Cup 2015, wrist PPG: treadmill, and arm exercise",
    url="https://sites.google.com/site/researchbyzhang/ieeespcup2015",
    licence="free for the Signal Processing Cup or own academic research, cite doi:10.1109/TBME.2014.2359372",
    open_licence=False, reader=read, marker="Training_data/DATA_*.mat",
)  # fmt: skip

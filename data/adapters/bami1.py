"""BAMI-1: three wrist PPG channels on a treadmill, 24 subjects, 14 minutes each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.adapters.adapter import Adapter
from data.adapters.matlab import matrix
from data.recording import Annotations, Channel, Recording

FS_HZ = 50.0
_OFFSET = 32768.0  # added by the device to remove the sign
_COUNTS_PER_G = 4096.0  # inferred from gravity at rest; the source does not say
_LENGTH_S, _STEP_S = 8.0, 2.0
# The protocol of the set's README; starts in seconds.
_PROTOCOL = ((0, "rest"), (60, "walk"), (180, "run"), (360, "walk"), (480, "run"), (660, "walk"), (780, "rest"))


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a subject.

    The reference of window [2 i, 2 i + 8) is the mean over the beats inside, as published. In most subjects it
    leads the PPG by 2 to 4 s: a causal estimate from the PPG cannot follow it, and we do not shift it.

    Raises
    ------
    RecordingError
        If a file is not as published.
    """
    for path in sorted(folder.glob("BAMI-1/Subject_*.mat"), key=lambda p: int(p.stem.split("_")[1])):
        yield _recording(path)


def _recording(path: Path) -> Recording:
    number = int(path.stem.split("_")[1])
    ppg, acc = matrix(path, "sigPPG"), (matrix(path, "sigAcc") - _OFFSET) / _COUNTS_PER_G
    names = ("ppg", "ppg_2", "ppg_3", "acc_x", "acc_y", "acc_z")
    channels = {
        n: Channel(n, FS_HZ, row.astype(np.float32)) for n, row in zip(names, np.vstack([ppg, acc]), strict=True)
    }
    starts, labels = zip(*_PROTOCOL, strict=True)
    marks = {
        "hr": _windows(matrix(path, "timeECG").ravel(), matrix(path, "bpmECG").ravel(), ppg.shape[1] / FS_HZ),
        "activity": Annotations(np.array(starts, np.float64), labels),
    }
    return Recording(
        f"Subject_{number}", f"bami1-{number:02d}", channels, marks, dataset="bami-1", origin=str(path),
        licence=ADAPTER.licence, meta={"activity": "treadmill"},
    )  # fmt: skip


def _windows(times_s: NDArray[np.float64], bpm: NDArray[np.float64], length_s: float) -> Annotations:
    starts = np.arange(0.0, length_s - _LENGTH_S + 1e-6, _STEP_S)
    first, last = np.searchsorted(times_s, starts), np.searchsorted(times_s, starts + _LENGTH_S)
    sums = np.concatenate([[0.0], np.cumsum(bpm)])
    some = last > first
    return Annotations(starts[some] + _LENGTH_S, value=(sums[last] - sums[first])[some] / (last - first)[some])


ADAPTER = Adapter(
    name="bami-1", title="BAMI-1, wrist PPG (3 channels) of 24 subjects on a treadmill",
    url="https://github.com/hooseok/BAMI1",
    licence="free for own academic research, cite IEEE Sensors Journal 19(3):1166", open_licence=False, reader=read,
    marker="BAMI-1/Subject_*.mat",
)  # fmt: skip

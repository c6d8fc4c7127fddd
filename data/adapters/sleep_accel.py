"""PhysioNet *sleep-accel* (Walch 2019): nights of an Apple Watch beside polysomnography, in the public text layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.adapters.adapter import Adapter
from data.errors import RecordingError
from data.recording import Annotations, Channel, Recording

# Stages of the labels: -1 unscored; 4 is Rechtschaffen and Kales' second deep stage and merges with 3.
_LABELS = {-1: "?", 0: "W", 1: "1", 2: "2", 3: "3", 4: "3", 5: "R"}
_HR_HZ, _COUNTS_HZ, _MOTION_HZ = 0.2, 1 / 15, 50.0


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a night; zero is the start of polysomnography.

    Motion is raw ``acc_x|y|z`` where ``motion/`` stands (public download), else ``counts`` from ``cropped/``; `meta`
    says which under ``motion``. Heart rate before zero is left out: the files reach back up to a week.

    Raises
    ------
    RecordingError
        If a file of a night cannot be read as numbers.
    """
    for labels in sorted((folder / "labels").glob("*_labeled_sleep.txt")):
        yield _night(folder, labels.name.removesuffix("_labeled_sleep.txt"), labels)


def _night(folder: Path, night: str, labels: Path) -> Recording:
    stages = _table(labels, None)
    end_s = float(stages[-1, 0]) + 30.0
    channels: dict[str, Channel] = {}
    heart = folder / "heart_rate" / f"{night}_heartrate.txt"
    if heart.is_file():
        channels["hr"] = _irregular("hr", _HR_HZ, _table(heart, ","), 1, end_s)
    motion, counts = folder / "motion" / f"{night}_acceleration.txt", folder / "cropped" / f"{night}_cleaned_counts.out"
    how = "none"
    if motion.is_file():
        table, how = _table(motion, None), "raw"
        channels |= {f"acc_{a}": _irregular(f"acc_{a}", _MOTION_HZ, table, k, end_s) for k, a in enumerate("xyz", 1)}
    elif counts.is_file():
        channels["counts"], how = _irregular("counts", _COUNTS_HZ, _table(counts, ","), 1, end_s), "counts"
    return Recording(
        night, f"sleep-accel-{night}", channels,
        {"stage": Annotations(stages[:, 0], tuple(_LABELS.get(int(s), "?") for s in stages[:, 1]))},
        dataset="sleep-accel", origin=str(labels), licence=ADAPTER.licence, meta={"motion": how},
    )  # fmt: skip


def _table(path: Path, delimiter: str | None) -> NDArray[np.float64]:
    try:
        table = np.loadtxt(path, delimiter=delimiter, ndmin=2)
    except ValueError as error:
        raise RecordingError(f"{path} cannot be read as numbers ({error}); fetch the data set again") from error
    if not table.size:
        raise RecordingError(f"{path} is empty; fetch the data set again")
    return table


def _irregular(name: str, fs_hz: float, table: NDArray[np.float64], column: int, end_s: float) -> Channel:
    # Some public files hold each row three times and unsorted.
    rows = np.unique(table, axis=0)
    rows = rows[(rows[:, 0] >= 0) & (rows[:, 0] < end_s)]
    rows = rows[np.concatenate([[True], np.diff(rows[:, 0]) > 0])] if len(rows) else rows
    return Channel(name, fs_hz, rows[:, column].astype(np.float32), times_s=rows[:, 0].copy())


ADAPTER = Adapter(
    name="sleep-accel", title="PhysioNet sleep-accel (Walch 2019)",
    url="https://physionet.org/content/sleep-accel/1.0.0", licence="ODC-By 1.0", open_licence=True, reader=read,
    marker="labels/*_labeled_sleep.txt", physionet="sleep-accel/1.0.0",
)  # fmt: skip

"""Stress-Predict: an hour each of an Empatica E4 at the wrist: acceleration, PPG and the device's own heart rate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.adapters.accelerometer import acc_channels
from data.adapters.adapter import Adapter
from data.errors import RecordingError
from data.recording import Annotations, Channel, Recording

_COUNTS_PER_G = 64.0  # info.txt: ±2 g, 1/64 g


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a person; PPG (64 Hz) and the device's heart rate (1 Hz) only where the folder has them.

    The device's heart rate is no reference: no accuracy is to be claimed on it, so it is the channel ``hr`` and not
    an annotation. Task marks become the annotation ``activity`` with empty labels.

    Raises
    ------
    RecordingError
        If a file lacks its two header rows (start, rate).
    """
    for path in sorted((folder / "Raw_data").glob("S*/ACC.csv")):
        yield read_empatica(path.parent)


def read_empatica(folder: Path) -> Recording:
    """Read one folder in Empatica's layout: ``ACC.csv`` and, where present, ``BVP.csv``, ``HR.csv``, ``tags*.csv``."""
    start, rate, acceleration = _stream(folder / "ACC.csv")
    channels = dict(acc_channels(acceleration / _COUNTS_PER_G, rate))
    for name, file in (("ppg", "BVP.csv"), ("hr", "HR.csv")):
        if (folder / file).is_file():
            began, fs_hz, samples = _stream(folder / file)
            channels[name] = Channel(name, fs_hz, samples[:, 0].astype(np.float32), began - start)
    marks = _marks(folder, start)
    return Recording(
        folder.name, f"stress-predict-{folder.name}", channels, {"activity": marks} if marks.t_s.size else {},
        dataset="stress-predict", origin=str(folder), licence=ADAPTER.licence, start=datetime.fromtimestamp(start, UTC),
        meta={"activity": "stress protocol", "label": "adl"},
    )  # fmt: skip


def _stream(path: Path) -> tuple[float, float, NDArray[np.float64]]:
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
        return float(table[0, 0]), float(table[1, 0]), table[2:]
    except (ValueError, IndexError) as error:
        raise RecordingError(
            f"{path} is not an Empatica file of start, rate and samples ({error}); fetch it again"
        ) from error


def _marks(folder: Path, start: float) -> Annotations:
    for path in sorted(folder.glob("tags*.csv")):
        stamps = [float(line.split(",")[0]) for line in path.read_text().split() if line]
        return Annotations(np.sort(np.array(stamps, np.float64)) - start)
    return Annotations(np.empty(0))


ADAPTER = Adapter(
    name="stress-predict", title="Stress-Predict, an hour of an Empatica E4 each: acceleration, PPG, heart rate",
    url="https://github.com/italha-d/Stress-Predict-Dataset", licence="MIT", open_licence=True, reader=read,
    marker="Raw_data/S*/ACC.csv",
)  # fmt: skip

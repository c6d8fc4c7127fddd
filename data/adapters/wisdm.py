"""WISDM (2019): watch accelerometer, 18 activities of 3 minutes each, no falls; clipped at 2 g, mostly 20 Hz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from data.adapters.accelerometer import acc_channels, regular
from data.adapters.adapter import Adapter
from data.errors import RecordingError
from data.recording import STANDARD_GRAVITY, Recording

ACTIVITIES: Mapping[str, str] = MappingProxyType(
    {
        "A": "walking", "B": "jogging", "C": "stairs", "D": "sitting", "E": "standing", "F": "typing", "G": "teeth",
        "H": "soup", "I": "chips", "J": "pasta", "K": "drinking", "L": "sandwich", "M": "kicking", "O": "catch",
        "P": "dribbling", "Q": "writing", "R": "clapping", "S": "folding",
    }
)  # fmt: skip
_LONGEST_HOLE_S = 5.0  # runs of one code that were recorded apart are joined with a hole of at most this


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a subject and activity, at the rate of its own time stamps.

    Raises
    ------
    RecordingError
        If a file is not rows of subject, code, time, x, y, z.
    """
    for path in sorted((folder / "wisdm-dataset" / "raw" / "watch" / "accel").glob("data_*_accel_watch.txt")):
        subject = path.stem.split("_")[1]
        for code, table in sorted(_runs(path).items()):
            yield _run(path, subject, code, table)


def _runs(path: Path) -> dict[str, NDArray[np.float64]]:
    codes: list[str] = []
    numbers: list[str] = []
    with path.open(encoding="ascii") as file:
        for line in file:
            fields = line.strip().rstrip(";").split(",")
            if len(fields) == 6:
                codes.append(fields[1])
                numbers.append(" ".join(fields[2:]))
    try:
        table = np.loadtxt(numbers, ndmin=2)
    except ValueError as error:
        raise RecordingError(f"{path} is not rows of subject,code,time,x,y,z; ({error}); fetch it again") from error
    of = np.array(codes)
    return {str(code): table[of == code] for code in np.unique(of)}


def _run(path: Path, subject: str, code: str, table: NDArray[np.float64]) -> Recording:
    table = table[np.argsort(table[:, 0], kind="stable")]
    steps = np.diff(table[:, 0]) / 1e9
    typical = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.05
    fs_hz = float(np.clip(np.round(1 / typical), 20, 100))
    times = np.concatenate([[0.0], np.cumsum(np.minimum(steps, _LONGEST_HOLE_S))])
    samples = regular(times, table[:, 1:4] / STANDARD_GRAVITY, fs_hz, longest_hole_s=0.5)
    return Recording(
        f"{subject}_{code}", f"wisdm-{subject}", acc_channels(samples, fs_hz), dataset="wisdm", origin=str(path),
        licence=ADAPTER.licence, meta={"activity": ACTIVITIES.get(code, code), "label": "adl", "code": code},
    )  # fmt: skip


ADAPTER = Adapter(
    name="wisdm", title="WISDM smartphone and smartwatch activity (watch accelerometer), 18 activities",
    url="https://archive.ics.uci.edu/dataset/507", licence="CC BY 4.0 (as recalled; unverified)", open_licence=False,
    reader=read, marker="wisdm-dataset/raw/watch/accel/*.txt",
)  # fmt: skip

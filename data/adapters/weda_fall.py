"""
WEDA-FALL: staged falls of young people, everyday activities of young and old, Fitbit Sense at the wrist.

Only ``dataset/40Hz`` is read. In ``50Hz`` the falls of U01 to U13 are byte for byte those of ``40Hz`` while the
activities are not, so there the sampling rate alone tells a fall from an activity.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from data.adapters.accelerometer import acc_channels, regular
from data.adapters.adapter import Adapter
from data.errors import RecordingError
from data.recording import STANDARD_GRAVITY, Annotations, Recording

FS_HZ = 40.0
# The 40 Hz rows are the 50 Hz stream (measured: 49.7 Hz) with every fifth row dropped.
_SOURCE_HZ = 49.7
ACTIVITIES: Mapping[str, str] = MappingProxyType(
    {
        "F01": "fall forward, slip", "F02": "fall sideways, slip", "F03": "fall backward, slip",
        "F04": "fall forward, trip", "F05": "fall backward, sitting down", "F06": "fall forward, fainting",
        "F07": "fall backward, fainting", "F08": "fall sideways, fainting",
        "D01": "walking", "D02": "jogging", "D03": "stairs", "D04": "sit and stand", "D05": "collapse into a chair",
        "D06": "tie shoes", "D07": "stumble", "D08": "jump", "D09": "hit table", "D10": "clapping", "D11": "door",
    }
)  # fmt: skip
# Tables 3 and 4 of the set's README: the files themselves say nothing of age.
AGES: Mapping[str, int] = MappingProxyType(
    {
        "U01": 22, "U02": 22, "U03": 20, "U04": 21, "U05": 23, "U06": 22, "U07": 21, "U08": 23, "U09": 22, "U10": 23,
        "U11": 23, "U12": 23, "U13": 22, "U14": 46, "U21": 95, "U22": 85, "U23": 82, "U24": 81, "U25": 81, "U26": 83,
        "U27": 89, "U28": 88, "U29": 77, "U30": 80, "U31": 88,
    }
)  # fmt: skip


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a trial: acceleration at 40 Hz; falls carry the span that was set by hand.

    Raises
    ------
    RecordingError
        If a file is not the table that the set documents.
    """
    spans = _spans(folder / "dataset" / "fall_timestamps.csv")
    for path in sorted((folder / "dataset" / "40Hz").glob("*/*_accel.csv")):
        yield _trial(path, spans)


def _trial(path: Path, spans: Mapping[str, tuple[float, float]]) -> Recording:
    code, trial = path.parent.name, path.stem.removesuffix("_accel")
    subject = trial.split("_")[0]
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        acceleration = table[:, 1:4] / STANDARD_GRAVITY
        # By index, not by stamp: rows arrive in bursts, some stamps run backward.
        row = np.arange(len(table))
        samples = regular((row + row // 4) / _SOURCE_HZ, acceleration, FS_HZ, longest_hole_s=1.0)
    except (ValueError, IndexError) as error:
        raise RecordingError(f"{path} is not a WEDA-FALL table of time, x, y, z ({error}); fetch it again") from error
    span = spans.get(f"{code}/{trial}")
    fall = code.startswith("F")
    marks = {"fall": Annotations(np.array(span), ("(FALL", "FALL)"))} if fall and span else {}
    age = AGES.get(subject)
    meta = {"activity": ACTIVITIES.get(code, code), "label": "fall" if fall else "adl", "code": code}
    return Recording(
        f"{code}_{trial}", f"weda-{subject}", acc_channels(samples, FS_HZ), marks, dataset="weda-fall",
        origin=str(path), licence=ADAPTER.licence, meta=meta | ({"age": str(age)} if age else {}),
    )  # fmt: skip


def _spans(path: Path) -> dict[str, tuple[float, float]]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:  # the file begins with a byte order mark
        return {row["filename"]: (float(row["start_time"]), float(row["end_time"])) for row in csv.DictReader(file)}


ADAPTER = Adapter(
    name="weda-fall", title="WEDA-FALL, wrist accelerometer, staged falls and activities of young and old",
    url="https://github.com/joaojtmarques/WEDA-FALL", licence="none stated", open_licence=False, reader=read,
    marker="dataset/40Hz/*/*_accel.csv",
)  # fmt: skip

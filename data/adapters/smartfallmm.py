"""
SmartFallMM: watch accelerometer, staged falls of young people, activities of young and old.

Labels are weak: a trial is a fall or not, no moment is given, and one fall in six peaks below 2 g.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from data.adapters.accelerometer import acc_channels, regular
from data.adapters.adapter import Adapter
from data.errors import RecordingError
from data.recording import STANDARD_GRAVITY, Recording

FS_HZ = 33.3  # a row each 30 ms, as read off the trials without stalls
ACTIVITIES: Mapping[str, str] = MappingProxyType(
    {
        "A01": "drinking", "A02": "pick up object", "A03": "jacket", "A04": "stepping up", "A05": "sweeping",
        "A06": "washing hands", "A07": "waving", "A08": "walking", "A09": "sit and stand", "A10": "fall backward",
        "A11": "fall forward", "A12": "fall to the left", "A13": "fall to the right", "A14": "fall with rotation",
    }
)  # fmt: skip
_FALLS = frozenset({"A10", "A11", "A12", "A13", "A14"})
_DAMAGED = frozenset({"S43", "S44", "S45", "S46"})  # duplicated and interleaved files
_LONGEST_HOLE_S = 3.0  # trials were cut by hand: a hole of half an hour inside one is no part of the movement
_EDGE_S = 2.5  # see `_trial`
_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})[:.](\d{2})(?:[.:](\d+))?\s*$")


def read(folder: Path) -> Iterator[Recording]:
    """
    Yield one recording a trial at 33.3 Hz; byte-identical and damaged files are left out.

    Raises
    ------
    RecordingError
        If a file holds no row of a clock time and three numbers.
    """
    seen: set[bytes] = set()
    for group in ("old", "young"):
        for path in sorted((folder / group / "accelerometer" / "watch").glob("*.csv")):
            content = path.read_bytes()
            digest = hashlib.sha256(content).digest()
            if path.stem[:3] in _DAMAGED or digest in seen:
                continue
            seen.add(digest)
            yield _trial(path, content, group)


def sample_times(arrival_s: NDArray[np.float64], fs_hz: float = FS_HZ) -> NDArray[np.float64]:
    """
    Return when rows were sensed from when they arrived.

    The watch delivers in bursts and stalls. A row cannot arrive before it is sensed, and rows are 1 / fs apart or
    more, so the time of row i is i / fs plus the least lateness of any row from i on: a stall that later rows catch
    up with vanishes, a true hole stays.

    Parameters
    ----------
    arrival_s : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        Strictly increasing.
    """
    regular_s = np.arange(arrival_s.size) / fs_hz
    lateness = arrival_s - regular_s
    return regular_s + np.minimum.accumulate(lateness[::-1])[::-1]


def _trial(path: Path, content: bytes, group: str) -> Recording:
    rows = [line.split(",") for line in content.decode("utf-8-sig").splitlines() if line.count(",") >= 3]
    # In a few files of S23 the time stands in the second column.
    clock = 1 if rows and _CLOCK.search(rows[0][1]) else 0
    try:
        arrival = np.array([_seconds(row[clock]) for row in rows])
        axes = [column for column in range(4) if column != clock]
        acceleration = np.array([[float(row[c]) for c in axes] for row in rows]) / STANDARD_GRAVITY
        times = sample_times(arrival)
    except ValueError as error:
        raise RecordingError(f"{path} is not rows of clock, x, y, z ({error}); fetch it again") from error
    if not rows:
        raise RecordingError(f"{path} holds no row of clock, x, y, z; fetch it again, or remove it")
    times = np.concatenate([[0.0], np.cumsum(np.minimum(np.diff(times), _LONGEST_HOLE_S))])
    samples = regular(times, acceleration, FS_HZ, longest_hole_s=0.5)
    # The trial was cut out close around the movement (a fall may peak 0.3 s before the last row) while the watch went
    # on sensing. Unknown samples at both ends say so; else the seconds after such an impact would not exist at all.
    edge = np.full((round(_EDGE_S * FS_HZ), 3), np.nan)
    code = path.stem[3:6]
    meta = {
        "activity": ACTIVITIES.get(code, code), "label": "fall" if code in _FALLS else "adl", "code": code,
        "age_group": group, "label_quality": "weak",
    }  # fmt: skip
    return Recording(
        path.stem, f"smartfallmm-{path.stem[:3]}", acc_channels(np.concatenate([edge, samples, edge]), FS_HZ),
        dataset="smartfallmm", origin=str(path), licence=ADAPTER.licence, meta=meta,
    )  # fmt: skip


def _seconds(text: str) -> float:
    match = _CLOCK.search(text)
    if match is None:
        raise ValueError(f"no clock time in {text!r}")
    hour, minute, second, fraction = match.groups()
    return int(hour) * 3600 + int(minute) * 60 + int(second) + float(f"0.{fraction or 0}")


ADAPTER = Adapter(
    name="smartfallmm", title="SmartFallMM, watch accelerometer, staged falls and activities of young and old",
    url="https://github.com/txst-cs-smartfall/SmartFallMM-Dataset", licence="none stated", open_licence=False,
    reader=read, marker="*/accelerometer/watch/*.csv",
)  # fmt: skip

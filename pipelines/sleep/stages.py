"""The words of a hypnogram: stages as numbers, and how reference labels map onto them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stage(IntEnum):
    """One 30 s epoch; light is N1 and N2, deep is N3 (and the old stage 4)."""

    UNDEFINED = -1
    WAKE = 0
    LIGHT = 1
    DEEP = 2
    REM = 3


Hypnogram = NDArray[np.int8]  # of Stage, one an epoch

# Labels of `.stage` annotations: W, 1, 2, 3, R; 4 is Rechtschaffen and Kales' second deep stage.
FROM_LABEL: Mapping[str, Stage] = {
    "W": Stage.WAKE, "1": Stage.LIGHT, "2": Stage.LIGHT, "3": Stage.DEEP, "4": Stage.DEEP, "R": Stage.REM,
    "N1": Stage.LIGHT, "N2": Stage.LIGHT, "N3": Stage.DEEP, "REM": Stage.REM, "wake": Stage.WAKE,
    "light": Stage.LIGHT, "deep": Stage.DEEP, "rem": Stage.REM,
}  # fmt: skip
NAMES = ("wake", "light", "deep", "rem")
_THREE = np.array([0, 1, 1, 2, -1])  # indexed by Stage; -1 is the last
_TWO = np.array([0, 1, 1, 1, -1])


def collapse(stages: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """
    Return wake / NREM / REM (3) or wake / sleep (2) from four stages; -1 stays.

    Raises
    ------
    ValueError
        If `n_classes` is not 2, 3 or 4.
    """
    if n_classes == 4:
        return stages.astype(np.int64)
    if n_classes not in (2, 3):
        raise ValueError(f"sleep has 2, 3 or 4 classes here, got {n_classes!r}")
    return np.asarray((_THREE if n_classes == 3 else _TWO)[stages], np.int64)

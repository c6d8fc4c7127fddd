"""The figures of a hypnogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.sleep.epochs import EPOCH_S
from pipelines.sleep.stages import Stage

_MIN = EPOCH_S / 60.0


@dataclass(frozen=True)
class SleepStatistics:
    """
    A night in figures; minutes unless named otherwise.

    Parameters
    ----------
    tib_min, known_min : float
        Time in bed (all epochs), and how much of it has a stage.
    tst_min : float
        Total sleep time.
    efficiency : float
        Asleep share of the known time, in [0, 1]; NaN where nothing is known.
    sol_min, waso_min, rem_latency_min : float
        From the start to the first sleep; awake after it; from it to the first REM. NaN where there is none.
    awakenings : int
        Times of being awake between sleep and sleep.
    wake_min, light_min, deep_min, rem_min : float
    onset, final : int
        Epoch of the first sleep, and the epoch after the last; -1 where there is no sleep.
    """

    tib_min: float
    known_min: float
    tst_min: float
    efficiency: float
    sol_min: float
    waso_min: float
    rem_latency_min: float
    awakenings: int
    wake_min: float
    light_min: float
    deep_min: float
    rem_min: float
    onset: int
    final: int


def sleep_statistics(hypnogram: NDArray[np.integer]) -> SleepStatistics:
    """
    Return the figures of `hypnogram`, shape (n,), of `Stage`; undefined epochs are counted nowhere but in `tib_min`.

    With every epoch defined, SOL + TST + WASO = TIB. Without sleep SOL, WASO and REM latency are undefined, not zero.

    References
    ----------
    AASM Manual for the Scoring of Sleep and Associated Events, parameters to be reported.
    """
    stages = np.asarray(hypnogram, np.int64)
    minutes = {stage: float((stages == stage).sum()) * _MIN for stage in Stage}
    known = float((stages >= 0).sum()) * _MIN
    asleep = np.flatnonzero(stages > 0)
    tst = asleep.size * _MIN
    onset, final = (int(asleep[0]), int(asleep[-1]) + 1) if asleep.size else (-1, -1)
    nan = float("nan")
    rem = np.flatnonzero(stages == Stage.REM)
    return SleepStatistics(
        tib_min=stages.size * _MIN,
        known_min=known,
        tst_min=tst,
        efficiency=tst / known if known else nan,
        sol_min=onset * _MIN if asleep.size else nan,
        waso_min=float((stages[onset:] == Stage.WAKE).sum()) * _MIN if asleep.size else nan,
        rem_latency_min=float(rem[0] - onset) * _MIN if rem.size else nan,
        awakenings=_awakenings(stages[onset:final]) if asleep.size else 0,
        wake_min=minutes[Stage.WAKE],
        light_min=minutes[Stage.LIGHT],
        deep_min=minutes[Stage.DEEP],
        rem_min=minutes[Stage.REM],
        onset=onset,
        final=final,
    )


def _awakenings(between: NDArray[np.int64]) -> int:
    """Count runs of wake; what is undefined neither begins nor ends one."""
    awake = between[between >= 0] == Stage.WAKE
    return int((np.diff(awake.astype(np.int8), prepend=0) == 1).sum())

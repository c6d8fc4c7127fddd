"""A night in one piece: when it was, its hypnogram, its figures and its score."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.sleep.epochs import EPOCH_S
from pipelines.sleep.score import score_parts, sleep_score
from pipelines.sleep.stages import Hypnogram, Stage
from pipelines.sleep.statistics import SleepStatistics, sleep_statistics

LETTERS = {Stage.WAKE: "W", Stage.LIGHT: "L", Stage.DEEP: "D", Stage.REM: "R", Stage.UNDEFINED: "?"}
# Sleep that is interrupted for longer belongs to two periods; shorter ones are naps.
_JOIN_MIN, _LEAST_MIN = 60.0, 60.0
# Epochs around one that count for whether somebody sleeps there: half an hour, of which most is sleep.
_AROUND, _MOSTLY = 61, 0.6


@dataclass(frozen=True)
class NightReport:
    """
    What is said of one night.

    Parameters
    ----------
    start, end : datetime
        Aware; of the first and after the last epoch.
    utc_offset_s : int
        Of the wearer's clock at the end; it names the day that the night belongs to.
    hypnogram : ndarray of int8, shape (n,)
        `Stage` of each 30 s.
    figures : SleepStatistics
        SOL, WASO and REM latency are NaN where there is no sleep (no REM).
    score : int or None
    """

    start: dt.datetime
    end: dt.datetime
    utc_offset_s: int
    hypnogram: Hypnogram
    figures: SleepStatistics
    score: int | None

    @property
    def date(self) -> dt.date:
        """The local day on which the night ends."""
        return (self.end + dt.timedelta(seconds=self.utc_offset_s)).date()

    def letters(self) -> str:
        """Return the hypnogram as one letter of ``W L D R ?`` an epoch."""
        return "".join(LETTERS[Stage(int(code))] for code in self.hypnogram)

    def to_dict(self) -> dict[str, Any]:
        """Return the report, JSON-able; undefined figures are None. Keys as docs/records.md has them."""
        figures = {k: None if isinstance(v, float) and isnan(v) else v for k, v in asdict(self.figures).items()}
        parts = {p.name.replace(" ", "_"): round(p.weight * p.reached, 2) for p in score_parts(self.figures)}
        return {
            "start": self.start.isoformat(), "end": self.end.isoformat(), "utc_offset_s": self.utc_offset_s,
            "hypnogram": self.letters(), **figures, "score": self.score, "score_parts": parts,
        }  # fmt: skip


def summarise_night(hypnogram: NDArray[np.integer], start: dt.datetime, utc_offset_s: int = 0) -> NightReport:
    """
    Return the report of `hypnogram`, shape (n,), of `Stage`, whose first epoch begins at `start`.

    Time runs on UTC, so a night across a change of the clock is as long as it was.

    Raises
    ------
    ValueError
        If `start` has no zone, or there is no epoch.
    """
    if start.tzinfo is None:
        raise ValueError("the start of a night needs a zone: give an aware datetime")
    if hypnogram.size == 0:
        raise ValueError("a night without an epoch cannot be summarised: give at least 30 s")
    figures = sleep_statistics(hypnogram)
    end = start + dt.timedelta(seconds=EPOCH_S * hypnogram.size)
    return NightReport(start, end, utc_offset_s, hypnogram.astype(np.int8), figures, sleep_score(figures))


def sleep_periods(hypnogram: NDArray[np.integer]) -> list[tuple[int, int]]:
    """
    Return [first, last) epochs of each period of sleep in a day's hypnogram, the longest first.

    An epoch belongs to a period where most of the half hour around it is sleep. Periods less than an hour apart are
    one; what holds less than an hour of sleep is none. A day without sleep has no period.
    """
    if hypnogram.size == 0:
        return []
    asleep = hypnogram > Stage.WAKE
    known = hypnogram >= 0
    window = np.ones(_AROUND)
    share = np.convolve(asleep, window, "same") / np.maximum(np.convolve(known, window, "same"), 1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (share >= _MOSTLY).astype(int), [0]])))
    joined: list[list[int]] = []
    for first, last in edges.reshape(-1, 2):
        if joined and (first - joined[-1][1]) * EPOCH_S / 60 < _JOIN_MIN:
            joined[-1][1] = int(last)
        else:
            joined.append([int(first), int(last)])
    for span in joined:  # majority cuts into the sleep at both ends: give it back
        while span[0] > 0 and asleep[span[0] - 1]:
            span[0] -= 1
        while span[1] < asleep.size and asleep[span[1]]:
            span[1] += 1
    long_enough = [(a, b) for a, b in joined if asleep[a:b].sum() * EPOCH_S / 60 >= _LEAST_MIN]
    return sorted(long_enough, key=lambda span: span[0] - span[1])

"""What the wearer is doing, minute by minute: asleep, sedentary, walking, exercising, recovering, not worn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class Context(StrEnum):
    """One minute's context."""

    NOT_WORN = "not_worn"
    ASLEEP = "asleep"
    EXERCISING = "exercising"
    RECOVERING = "recovering"
    WALKING = "walking"
    SEDENTARY = "sedentary"


# Heart-rate reserve: moderate exercise begins at 40 % (ACSM's Guidelines for Exercise Testing, 11th ed.).
MODERATE_RESERVE = 0.40
# After exercise the heart falls back over minutes: while it is above this, still and not long after, it recovers.
RECOVERY_RESERVE = 0.20
RECOVERY_MIN = 30
EXERCISE_MIN = 5  # shorter than this, a raised heart rate is stairs or a bus, not exercise
_SMOOTH_MIN = 5
_EXERCISE = frozenset({"run", "sport", "cycle"})
# Housework is no sitting: who does it is not told to stand up.
_ON_FEET = frozenset({"walk", "stairs", "household"})


@dataclass(frozen=True)
class Minutes:
    """
    What is known of each minute, all of shape (n_minutes,).

    Parameters
    ----------
    activity : sequence of str
        Label of the task ``activity``, "" where unknown.
    hr_bpm : ndarray of float
        NaN where unknown.
    worn, asleep : ndarray of bool
    """

    activity: Sequence[str]
    hr_bpm: NDArray[np.float64]
    worn: NDArray[np.bool_]
    asleep: NDArray[np.bool_]


def contexts(minutes: Minutes, *, resting_hr_bpm: float, max_hr_bpm: float) -> list[Context]:
    """
    Return the context of each minute, smoothed over five.

    Parameters
    ----------
    minutes : Minutes
    resting_hr_bpm, max_hr_bpm : float
        The wearer's own; `max_hr_bpm` measured, or 208 - 0.7 age (Tanaka 2001, doi:10.1016/S0735-1097(00)01054-8).

    Raises
    ------
    ValueError
        If the maximum is not above the resting rate.
    """
    if not max_hr_bpm > resting_hr_bpm > 0:
        raise ValueError(
            f"the maximum heart rate must exceed the resting one, got {max_hr_bpm:g} and {resting_hr_bpm:g}"
        )
    activity = np.asarray(minutes.activity, dtype=object)
    reserve = (minutes.hr_bpm - resting_hr_bpm) / (max_hr_bpm - resting_hr_bpm)
    moving = np.isin(activity, [*_ON_FEET, *_EXERCISE])
    hard = np.isin(activity, list(_EXERCISE)) | (moving & (np.nan_to_num(reserve) >= MODERATE_RESERVE))
    exercise = _runs_of_at_least(_majority(hard), EXERCISE_MIN)
    walking = _majority(moving) & ~exercise
    recovering = (
        ~walking & ~exercise & (np.nan_to_num(reserve) >= RECOVERY_RESERVE) & _soon_after(exercise, RECOVERY_MIN)
    )
    result = np.full(activity.size, Context.SEDENTARY, dtype=object)
    # Later rows win: what is not worn says nothing, and a sleeper is neither walking nor recovering.
    for mask, label in (
        (walking, Context.WALKING), (exercise, Context.EXERCISING), (recovering, Context.RECOVERING),
        (minutes.asleep, Context.ASLEEP), (~minutes.worn, Context.NOT_WORN),
    ):  # fmt: skip
        result[mask] = label
    return list(result)


def spans(labels: Sequence[Context]) -> list[tuple[Context, int, int]]:
    """Return (context, first minute, minute after the last) of each run."""
    edges = [0, *(i for i in range(1, len(labels)) if labels[i] != labels[i - 1]), len(labels)]
    return [(labels[a], a, b) for a, b in pairwise(edges) if b > a]


def _majority(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    counts = np.convolve(mask.astype(int), np.ones(_SMOOTH_MIN, int), "same")
    return np.asarray(counts * 2 > _SMOOTH_MIN)


def _runs_of_at_least(mask: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    kept = np.zeros_like(mask)
    for start, end in edges.reshape(-1, 2):
        kept[start:end] = end - start >= n
    return kept


def _soon_after(mask: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    index = np.arange(mask.size)
    last = np.maximum.accumulate(np.where(mask, index, -n - 1))
    return np.asarray(index - last <= n)

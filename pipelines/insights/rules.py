"""The rules of findings, as data: what is watched, how far and how long it must stray, and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Stray:
    """
    A measure that leaves its usual range for several days in a row.

    Parameters
    ----------
    name : str
        Key of the message.
    measure : str
        Field of `Day`.
    direction : {"above", "below"}
    z : float
        Standard deviations from the median that each of the days must exceed.
    days : int
        Days in a row.
    source : str
    """

    name: str
    measure: str
    direction: Literal["above", "below"]
    z: float
    days: int
    source: str


@dataclass(frozen=True)
class Together:
    """Several measures that stray mildly in the same days: each alone says little, together they say something."""

    name: str
    parts: tuple[tuple[str, Literal["above", "below"], float], ...]
    at_least: int
    days: int
    source: str


@dataclass(frozen=True)
class WeeklyGoal:
    """A public guideline about a week's sum."""

    name: str
    measure: str
    goal: float
    source: str


WHO_ACTIVITY = "WHO guidelines on physical activity and sedentary behaviour, 2020: 150-300 min moderate a week"
SLEEP_CONSENSUS = "Watson et al., Sleep 2015;38(6):843-844: adults should sleep 7 h or more, regularly"
RESTING_HR = "Radin et al., Lancet Digital Health 2020;2(2):e85-e93: resting heart rate and sleep in illness"
HRV = "Plews et al., Sports Med 2013;43:773-781: ln RMSSD against its own normal range"

STRAYS: tuple[Stray, ...] = (
    Stray("resting_hr_high", "resting_hr_bpm", "above", 1.6, 3, RESTING_HR),
    Stray("hrv_low", "rmssd_ms", "below", 1.6, 3, HRV),
    Stray("sleep_short", "sleep_min", "below", 1.6, 3, SLEEP_CONSENSUS),
    Stray("bedtime_late", "bedtime_min", "above", 1.8, 4, SLEEP_CONSENSUS),
    Stray("steps_low", "steps", "below", 1.6, 5, WHO_ACTIVITY),
)
TOGETHERS: tuple[Together, ...] = (
    Together(
        "early_warning",
        (("resting_hr_bpm", "above", 1.3), ("rmssd_ms", "below", 1.3), ("sleep_min", "below", 1.3)),
        at_least=2, days=2, source=RESTING_HR,
    ),
)  # fmt: skip
WEEKLY_GOALS: tuple[WeeklyGoal, ...] = (WeeklyGoal("active_minutes_week", "active_min", 150.0, WHO_ACTIVITY),)
# Once said, a finding is not said again while it lasts, nor for so long after.
SILENCE_DAYS = 14
NOT_A_DIAGNOSIS = "This compares you with yourself. It is no diagnosis and cannot rule anything out."

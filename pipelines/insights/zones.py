"""Exercise zones from age and measured maximum, a weekly plan that adapts, and energy used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Fractions of heart-rate reserve: ACSM's Guidelines, 11th ed.: light 30-39 %, moderate 40-59 %, vigorous 60-89 %.
ZONE_EDGES = (0.30, 0.40, 0.60, 0.90)
ZONE_NAMES = ("very_light", "light", "moderate", "vigorous", "maximal")
# Ainsworth et al., 2011 Compendium of Physical Activities, doi:10.1249/MSS.0b013e31821ece12: codes 07021, 17190
# (walking 3.5 mph), 12050 (running 6 mph), 17133 (stairs), 01015 (cycling, general), 05026 (household), 13030
# (eating), 15000-class sport in general.
MET = {
    "still": 1.3, "walk": 4.3, "run": 9.8, "stairs": 4.0, "cycle": 7.5, "household": 3.3, "eat": 1.5, "sport": 6.5,
}  # fmt: skip


def maximum_hr(age_years: float, measured_bpm: float | None = None) -> float:
    """
    Return the maximum heart rate: the measured one where it exceeds the estimate, else 208 - 0.7 age.

    References
    ----------
    .. [1] Tanaka et al., J Am Coll Cardiol 2001;37(1):153-156, doi:10.1016/S0735-1097(00)01054-8.
    """
    estimated = 208.0 - 0.7 * age_years
    return max(estimated, measured_bpm) if measured_bpm is not None else estimated


def zone_bounds(resting_hr_bpm: float, max_hr_bpm: float) -> dict[str, tuple[float, float]]:
    """Return (from, to) in BPM of each zone, by Karvonen's heart-rate reserve."""
    edges = [0.0, *ZONE_EDGES, 1.0]
    reserve = max_hr_bpm - resting_hr_bpm
    return {
        name: (resting_hr_bpm + low * reserve, resting_hr_bpm + high * reserve)
        for name, low, high in zip(ZONE_NAMES, edges, edges[1:], strict=False)
    }


def zone_minutes(hr_bpm: NDArray[np.float64], resting_hr_bpm: float, max_hr_bpm: float) -> dict[str, int]:
    """Return the minutes spent in each zone; NaN minutes count nowhere."""
    known = hr_bpm[np.isfinite(hr_bpm)]
    index = np.digitize((known - resting_hr_bpm) / (max_hr_bpm - resting_hr_bpm), ZONE_EDGES)
    return {name: int((index == k).sum()) for k, name in enumerate(ZONE_NAMES)}


def energy_kcal(activity_minutes: dict[str, float], weight_kg: float) -> float:
    """Return the energy used: MET x kg x hours (1 MET is 1 kcal a kg an hour); unknown activities count as still."""
    return sum(MET.get(name, MET["still"]) * minutes / 60 for name, minutes in activity_minutes.items()) * weight_kg


@dataclass(frozen=True)
class Plan:
    """
    What is proposed for the coming week.

    Parameters
    ----------
    active_min : float
        Moderate minutes, vigorous ones counted twice.
    sessions : int
    why : str
        Key of the reason: ``build``, ``hold`` or ``ease``.
    """

    active_min: float
    sessions: int
    why: str


# A week's load grows by at most a tenth: caution, not a law (Nielsen 2014, doi:10.2519/jospt.2014.5164).
_GROWTH, _EASE = 1.10, 0.70
_START_MIN, _GOAL_MIN, _MOST_MIN = 60.0, 150.0, 300.0


def next_week(done_min: float, recovery_z: float | None) -> Plan:
    """
    Return next week's plan from what was done and how the wearer recovered.

    Parameters
    ----------
    done_min : float
        Active minutes of the last seven days.
    recovery_z : float or None
        Mean of -z(resting heart rate), z(RMSSD) and z(sleep) against the wearer's own baseline; None: unknown, hold.
    """
    base = max(done_min, _START_MIN)
    if recovery_z is not None and recovery_z < -1.0:
        return Plan(round(base * _EASE), 3, "ease")
    if recovery_z is None or recovery_z < -0.3 or base >= _MOST_MIN:
        return Plan(round(min(base, _MOST_MIN)), 4, "hold")
    grown = min(base * _GROWTH, _MOST_MIN)
    return Plan(round(grown), 4 if grown < _GOAL_MIN else 5, "build")

"""Energy used, from what was done: minutes of each activity times its MET."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMPENDIUM = "Ainsworth et al., 2011 Compendium of Physical Activities, doi:10.1249/MSS.0b013e31821ece12"
KJ_PER_KCAL = 4.184


@dataclass(frozen=True)
class Effort:
    """A row of the Compendium: its code, its words, and how many times the energy of sitting at rest it asks for."""

    code: str
    words: str
    met: float


# A watch tells kinds of movement apart, not speeds: each kind stands at the row that is nearest to an ordinary one.
METS: Mapping[str, Effort] = {
    "asleep": Effort("07030", "sleeping", 0.95),
    "still": Effort("07021", "sitting quietly, general", 1.3),
    "eat": Effort("13030", "eating, sitting", 1.5),
    "household": Effort("05030", "cleaning, house or cabin, general", 3.3),
    "walk": Effort("17190", "walking, 2.8 to 3.2 mph, level, moderate pace", 3.5),
    "stairs": Effort("17133", "stair climbing, slow pace", 4.0),
    "sport": Effort("15055", "basketball, general", 6.5),
    "cycle": Effort("01015", "bicycling, general", 7.5),
    "run": Effort("12050", "running, 6 mph (10 min/mile)", 9.8),
}
REST = METS["still"].met


def met_of(activity: str) -> float:
    """Return the MET of an activity; one that we have no row for counts as sitting."""
    return METS[activity].met if activity in METS else REST


def met_minutes(minutes: Mapping[str, float]) -> float:
    """Return the sum of minutes times MET over activities."""
    return sum(met_of(activity) * n for activity, n in minutes.items())


def moving_met_minutes(minutes: Mapping[str, float]) -> float:
    """Return what movement added: the same sum above sitting, sleep and sitting itself left out."""
    return sum(max(met_of(activity) - REST, 0.0) * n for activity, n in minutes.items())


def energy_kcal(met_min: float, weight_kg: float) -> float:
    """Return the energy of so many MET-minutes: 1 MET is 1 kcal a kg an hour."""
    return met_min / 60 * weight_kg

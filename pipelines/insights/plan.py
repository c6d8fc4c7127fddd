"""The coming week's exercise, from what was done and how the wearer recovered."""

from __future__ import annotations

from dataclasses import dataclass


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
        Key of the reason: ``build``, ``hold``, ``enough`` (at the upper end of what WHO advises) or ``ease``.
    """

    active_min: float
    sessions: int
    why: str


# A week's load grows by at most a tenth: caution, not a law (Nielsen 2014, doi:10.2519/jospt.2014.5164).
GROWTH, EASE = 1.10, 0.70
# WHO 2020: 150 to 300 moderate minutes a week; who does little begins at 60.
START_MIN, GOAL_MIN, MOST_MIN = 60.0, 150.0, 300.0
# Mean z of recovery below which the week is held, and eased.
_TIRED_Z, _SPENT_Z = -0.3, -1.0


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
    base = max(done_min, START_MIN)
    if recovery_z is not None and recovery_z < _SPENT_Z:
        return Plan(round(min(base, MOST_MIN) * EASE), 3, "ease")
    if base >= MOST_MIN:
        return Plan(MOST_MIN, 5, "enough")
    if recovery_z is None or recovery_z < _TIRED_Z:
        return Plan(round(base), 4, "hold")
    grown = min(base * GROWTH, MOST_MIN)
    return Plan(round(grown), 4 if grown < GOAL_MIN else 5, "build")

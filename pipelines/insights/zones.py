"""Exercise zones from age and measured maximum, by the heart-rate reserve."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Fractions of heart-rate reserve: ACSM's Guidelines, 11th ed.: light 30-39 %, moderate 40-59 %, vigorous 60-89 %.
ZONE_EDGES = (0.30, 0.40, 0.60, 0.90)
ZONE_NAMES = ("very_light", "light", "moderate", "vigorous", "maximal")
ZONES_SOURCE = "ACSM's Guidelines for Exercise Testing and Prescription, 11th ed.; heart-rate reserve by Karvonen 1957"
MAXIMUM_SOURCE = "Tanaka et al., J Am Coll Cardiol 2001;37(1):153-156, doi:10.1016/S0735-1097(00)01054-8"
# A peak counts once it was held for three minutes: one minute may be a lost pulse.
PEAK_MIN = 3
# Nobody's heart beats faster for minutes; what says so is an artefact.
_HIGHEST_BPM = 220


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
    reserve = max_hr_bpm - resting_hr_bpm
    edges = [resting_hr_bpm + share * reserve for share in (0.0, *ZONE_EDGES, 1.0)]
    return dict(zip(ZONE_NAMES, pairwise(edges), strict=True))


def minutes_at(hr_bpm: NDArray[np.float64]) -> dict[int, int]:
    """Return how many minutes were spent at each BPM; NaN minutes count nowhere."""
    bpm, minutes = np.unique(np.rint(hr_bpm[np.isfinite(hr_bpm)]).astype(int), return_counts=True)
    return dict(zip(bpm.tolist(), minutes.tolist(), strict=True))


def zone_minutes(at_bpm: Mapping[int, float], resting_hr_bpm: float, max_hr_bpm: float) -> dict[str, float]:
    """Return the minutes spent in each zone, from the minutes at each BPM."""
    found = dict.fromkeys(ZONE_NAMES, 0.0)
    for bpm, minutes in at_bpm.items():
        share = (bpm - resting_hr_bpm) / (max_hr_bpm - resting_hr_bpm)
        found[ZONE_NAMES[int(np.digitize(share, ZONE_EDGES))]] += minutes
    return found


def peak_bpm(hr_bpm: NDArray[np.float64]) -> float | None:
    """Return the highest rate that was held for `PEAK_MIN` known minutes in a row; None where there are none."""
    if hr_bpm.size < PEAK_MIN:
        return None
    held = np.lib.stride_tricks.sliding_window_view(hr_bpm, PEAK_MIN).min(axis=1)  # NaN where a minute is unknown
    held = held[np.isfinite(held) & (held <= _HIGHEST_BPM)]
    return float(held.max()) if held.size else None

"""Scoring beats against a reference: within 150 ms each beat meets one beat, as the AAMI's EC57 asks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE_S = 0.15


@dataclass(frozen=True)
class Match:
    """
    Which beats met.

    Parameters
    ----------
    hits : int
        Pairs.
    extra, missed : ndarray of float64
        Times of found beats without a reference, and of reference beats that were not found.
    error_s : ndarray of float64, shape (hits,)
        Found minus reference.
    """

    hits: int
    extra: NDArray[np.float64]
    missed: NDArray[np.float64]
    error_s: NDArray[np.float64]


def match_beats(
    reference_s: NDArray[np.float64], found_s: NDArray[np.float64], tolerance_s: float = TOLERANCE_S
) -> Match:
    """
    Pair beats in order of time, each at most once, so that as many as possible meet.

    Parameters
    ----------
    reference_s, found_s : ndarray of float64
        Increasing times in seconds.
    tolerance_s : float, default=0.15
    """
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < reference_s.size and j < found_s.size:
        gap = found_s[j] - reference_s[i]
        if gap > tolerance_s:
            i += 1
        elif gap < -tolerance_s or _next_is_nearer(reference_s, found_s, i, j):
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    met = np.array(pairs, np.intp).reshape(-1, 2)
    return Match(
        len(met), np.delete(found_s, met[:, 1]), np.delete(reference_s, met[:, 0]),
        found_s[met[:, 1]] - reference_s[met[:, 0]],
    )  # fmt: skip


def _next_is_nearer(reference_s: NDArray[np.float64], found_s: NDArray[np.float64], i: int, j: int) -> bool:
    """Tell whether the next found beat suits this reference better, and is not wanted by the next reference."""
    if j + 1 >= found_s.size or abs(found_s[j + 1] - reference_s[i]) >= abs(found_s[j] - reference_s[i]):
        return False
    if i + 1 >= reference_s.size:
        return True
    return bool(abs(found_s[j + 1] - reference_s[i]) <= abs(found_s[j + 1] - reference_s[i + 1]))


def rates(hits: int, extra: int, missed: int) -> dict[str, float]:
    """Return F1, sensitivity and precision; 0 where there is nothing to divide by."""

    def share(part: float, whole: float) -> float:
        return round(part / whole, 6) if whole else 0.0

    return {
        "f1": share(2 * hits, 2 * hits + extra + missed),
        "sensitivity": share(hits, hits + missed),
        "precision": share(hits, hits + extra),
    }

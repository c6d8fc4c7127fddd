"""The cheap look at every window: is the strongest moment of these seconds in the slot, and strong enough?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.motion_grid import GRID_HZ

BEFORE = round(3.0 * GRID_HZ)  # grid samples before an impact that are looked at: how a body came to be there
AFTER = round(2.1 * GRID_HZ)  # and after it, its own included: the wait before anything can be said
SLOT = round(0.5 * GRID_HZ)  # each window answers for the impacts in half a second
SPAN = BEFORE + SLOT + AFTER
# Of 250 staged falls (WEDA-FALL) the weakest peaks at 2.0 g on this grid; ordinary walking stays below 1.6 g.
TRIGGER_G = 1.75


@dataclass(frozen=True)
class Impacts:
    """
    What the trigger found in each window.

    Parameters
    ----------
    fired : ndarray of bool, shape (n_windows,)
        The strongest sample of the window lies in its slot and reaches the trigger.
    at : ndarray of int, shape (n_windows,)
        Its place in the window, in grid samples; in the slot wherever `fired`.
    peak_g : ndarray of float32, shape (n_windows,)
    """

    fired: NDArray[np.bool_]
    at: NDArray[np.intp]
    peak_g: NDArray[np.float32]


def spans_of(motion_g: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each window of samples on the grid with its context, shape (n_windows, SPAN, 3), without copying."""
    n = (len(motion_g) - BEFORE - AFTER) // SLOT
    if n < 1:
        return np.empty((0, SPAN, 3), np.float32)
    return np.lib.stride_tricks.sliding_window_view(motion_g, SPAN, axis=0)[::SLOT][:n].transpose(0, 2, 1)


def find_impacts(motion_g: NDArray[np.float32], trigger_g: float = TRIGGER_G) -> Impacts:
    """
    Look for an impact in each window: three multiplications a sample and a maximum.

    Because a window answers only for its slot and only where nothing stronger is near, each impact is found by one
    window exactly, and ceaseless movement (clapping, jogging) fires at most once in about three seconds.

    Parameters
    ----------
    motion_g : ndarray of float32, shape (n_windows, SPAN, 3)
        NaN where nothing was sensed: no impact is there.
    trigger_g : float
    """
    if not len(motion_g):
        return Impacts(np.empty(0, np.bool_), np.empty(0, np.intp), np.empty(0, np.float32))
    size = np.linalg.norm(motion_g, axis=2)
    size = np.where(np.isnan(size), np.float32(-1), size).astype(np.float32)
    at = size.argmax(axis=1)
    peak = size.max(axis=1)
    return Impacts((at >= BEFORE) & (at < BEFORE + SLOT) & (peak >= trigger_g), at, peak)

"""How still the wearer is after an impact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.falls.trigger import BEFORE
from pipelines.falls.view import hold
from pipelines.motion_grid import GRID_HZ

_SETTLE = round(0.75 * GRID_HZ)  # bouncing and the arm's last swing are part of the fall
STILL_G = 0.12  # sway of a lying or sitting wrist that is not used


def movement_after(impact_g: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Return how much the wrist moves from 0.75 s after the impact to the end of what is seen.

    Parameters
    ----------
    impact_g : ndarray of float32, shape (n, LENGTH, 3)
        As `pipelines.falls.view.around` gives.

    Returns
    -------
    ndarray of float32, shape (n,)
        Root of the summed variance of the axes, in g: 0 for a resting wrist in any posture.
    """
    rest = hold(impact_g)[:, BEFORE + _SETTLE :]
    return np.asarray(np.sqrt(rest.var(axis=1).sum(axis=-1)), np.float32)

"""One-dimensional k-means that leaves zero where it is."""

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 60


def cluster_values(
    values: NDArray[np.float64], n_clusters: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """
    Return `values` with at most `n_clusters` different ones, zeros untouched.

    Lloyd's algorithm from linearly spaced centres (best for large weights [1]_) and from quantiles, the better of
    the two; deterministic. Zeros stay exact zeros and, if there are any, take one of the clusters.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    n_clusters : int
        At least 2.
    weights : ndarray of float64, shape (n,), or None
        How much each value's error counts, such as the squared scale of its channel.

    References
    ----------
    .. [1] Han, Mao, Dally. Deep Compression. ICLR 2016, arXiv:1510.00149, section 3.2.
    """
    alive = values != 0
    points = values[alive]
    wanted = n_clusters - int(not alive.all())
    if np.unique(points).size <= wanted:
        return values.copy()
    order = np.argsort(points, kind="stable")
    ordered = points[order]
    mass = np.ones_like(ordered) if weights is None else weights[alive][order]
    starts = (
        np.linspace(ordered[0], ordered[-1], wanted),
        np.quantile(ordered, (np.arange(wanted) + 0.5) / wanted),
    )
    best = min((_lloyd(ordered, mass, start) for start in starts), key=lambda found: _error(ordered, mass, found))
    result = values.copy()
    result[alive] = best[_nearest(points, best)]
    return result


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, points)


def _error(ordered: NDArray[np.float64], mass: NDArray[np.float64], centres: NDArray[np.float64]) -> float:
    return float((mass * (ordered - centres[_nearest(ordered, centres)]) ** 2).sum())


def _lloyd(
    ordered: NDArray[np.float64], mass: NDArray[np.float64], centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move centres to the means of what is nearest to them until they stay; empty ones stay where they are."""
    centres = np.sort(centres)
    for _ in range(_ROUNDS):
        place = _nearest(ordered, centres)
        total = np.bincount(place, mass, centres.size)
        moved = np.where(
            total > 0, np.bincount(place, mass * ordered, centres.size) / np.maximum(total, 1e-300), centres
        )
        moved.sort()
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres

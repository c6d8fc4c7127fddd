"""The features of an epoch from what surrounds it: smoothed over several spans, and its rank within the night."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.sleep.epochs import HR_PER_EPOCH, Epochs

Array = NDArray[np.float64]
Smooth = Callable[[Array, float], Array]  # of a series, over a span in epochs

# A mean over the last 2.5 s epochs weighs about as long a stretch as a Gaussian of s epochs does.
_TRAILING = 2.5


def surrounding_features(epochs: Epochs, trailing: Callable[[Array, int], Array], *, whole: bool) -> dict[str, Array]:
    """
    Return the features that look around an epoch, each of shape (n,), NaN where unknown.

    Where `whole`, smoothing is Gaussian and looks both ways; else it is the mean of what came before, and ranks in
    the night are unknown. ``hx``, ``hn`` the epoch's highest and lowest heart rate less the
    smoothed one; ``hc*`` its mean less smoothed ones; ``Lc*``, ``mc*`` how much and how often one moved; ``ca`` counts
    over two minutes; ``hv`` spread of the heart rate, ``dc3`` its change from 5 s to 5 s; ``mr``, ``hr*``, ``hvr``,
    ``dr*`` ranks of these in the night. How far its end is, is left out: that a recording ends on waking up is how
    data sets are made.

    Parameters
    ----------
    epochs : Epochs
    trailing : callable
        Mean of the last values, `pipelines.sleep.features.trailing`.
    whole : bool
        Whether the night is over.
    """

    def before(x: Array, span: float) -> Array:
        return trailing(x, int(_TRAILING * span))

    smooth: Smooth = _around if whole else before
    return {**_motion(epochs, smooth, whole), **_heart(epochs, smooth, whole)}


def _motion(epochs: Epochs, smooth: Smooth, whole: bool) -> dict[str, Array]:
    mean = _row(epochs.counts, np.mean)
    level = np.log1p(mean / 5.0)
    moved = np.where(np.isfinite(mean), (mean > 0).astype(np.float64), np.nan)
    features = {f"Lc{s:g}": smooth(level, s) for s in (1.5, 4.0, 12.0, 40.0)}
    features |= {f"mc{s:g}": smooth(moved, s) for s in (1.5, 4.0, 12.0)}
    features["ca"] = np.log1p(smooth(mean, 1.2))
    features["mr"] = _rank(smooth(moved, 6.0), whole)
    return features


def _heart(epochs: Epochs, smooth: Smooth, whole: bool) -> dict[str, Array]:
    rows = epochs.hr_bpm.reshape(len(epochs), HR_PER_EPOCH)
    hr = _row(rows, np.mean)
    around = smooth(hr, 8.0)
    features = {"hx": _row(rows, np.max) - around, "hn": _row(rows, np.min) - around, "hc8": hr - around}
    features |= {f"hc{s:g}": hr - smooth(hr, s) for s in (25.0, 60.0)}
    features["hr8"], features["hr3"] = _rank(around, whole), _rank(smooth(hr, 3.0), whole)
    features["hv"] = np.log(0.3 + np.sqrt(smooth((hr - around) ** 2, 6.0)))
    features["hvr"] = _rank(features["hv"], whole)
    step = np.abs(np.diff(epochs.hr_bpm, prepend=np.nan)).reshape(rows.shape)
    change = _row(step, np.mean)
    features["dc3"] = np.log(0.1 + smooth(change, 3.0))
    features["dr3"], features["dr10"] = _rank(smooth(change, 3.0), whole), _rank(smooth(change, 10.0), whole)
    return features


def _around(x: Array, span: float) -> Array:
    """Return the mean of the known under a Gaussian; NaN where none is near."""
    from scipy.ndimage import gaussian_filter1d  # heavy: whoever only registers the task does not need it

    known = np.isfinite(x)
    weight = gaussian_filter1d(known.astype(np.float64), span, mode="constant")
    total = gaussian_filter1d(np.where(known, x, 0.0), span, mode="constant")
    return np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), np.nan)


def _rank(x: Array, whole: bool) -> Array:
    """Return the share of the night below each value, ties in the middle; NaN where unknown or not yet known."""
    known = np.isfinite(x)
    if not whole or not known.any():
        return np.full(x.size, np.nan)
    filled = np.where(known, np.round(x, 9), np.inf)
    order = np.sort(filled[known])
    rank = (np.searchsorted(order, filled, "left") + np.searchsorted(order, filled, "right")) / (2 * order.size)
    return np.where(known, rank, np.nan)


def _row(rows: Array, of: Callable[..., Array]) -> Array:
    """Return a figure of the known values of each row; NaN where there is none."""
    known = np.isfinite(rows)
    some = known.any(1)
    start = -np.inf if of is np.max else np.inf
    if of is np.mean:
        value = np.where(known, rows, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    else:
        value = of(np.where(known, rows, start), axis=1)
    return np.where(some, value, np.nan)

"""
The features of an epoch, from what came before it.

Every figure looks back at most `CONTEXT_EPOCHS`, so a stream and a whole night give the same rows. What is relative
to "the night so far" is relative to the last `SO_FAR` epochs here; once the night is over, the night itself takes its
place (`relative_features` with `whole`), and what surrounds an epoch the place of what came before it
(`pipelines.sleep.surroundings`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.sleep.epochs import HR_PER_EPOCH, Epochs

Array = NDArray[np.float64]

SO_FAR = 200  # epochs, 100 min: about one sleep cycle
CONTEXT_EPOCHS = 250  # SO_FAR and the 40 epochs that the slowest heart-rate band looks back, and a margin
_LOW = 120  # epochs, one hour
_STILL_CAP = 120  # epochs after which stillness is merely long
_BANDS = ((1, 4), (4, 12), (12, 36), (36, 120))  # in 5 s steps: 20 s, 1 min, 3 min, 10 min
_RELATIVE_SPREAD = ("df36", "df120", "bp1_120", "bp4_120", "bp12_120", "bp36_120")

# Centre and scale of each feature, round figures from the nights of sleep-accel: they only put the inputs of a
# network near 0 ± 1.
SCALES: Mapping[str, tuple[float, float]] = {
    "L": (0.09, 0.4), "mx": (0.1, 0.5), "mv": (0.05, 0.22), "Lp3": (0.09, 0.3), "mp3": (0.05, 0.16),
    "Lp10": (0.09, 0.23), "mp10": (0.06, 0.11), "Lp30": (0.1, 0.2), "mp30": (0.06, 0.1), "Lp120": (0.12, 0.18),
    "mp120": (0.07, 0.09), "since0": (2.9, 1.3), "since2": (3.7, 1.2), "nomo": (0.0, 1.0), "ha": (66.0, 10.0),
    "hd4": (0.0, 2.7), "hd10": (0.0, 3.4), "hd30": (0.0, 4.0), "hd120": (0.0, 5.0), "hlo": (5.0, 5.0),
    "dfe": (-0.3, 0.9), "sde": (0.2, 0.8), "df12": (-0.2, 0.8), "df36": (-0.2, 0.7), "df120": (-0.1, 0.7),
    "bp1_12": (-0.1, 0.8), "bp1_120": (0.0, 0.7), "bp4_12": (-0.1, 0.8), "bp4_120": (0.0, 0.8),
    "bp12_36": (-0.1, 0.9), "bp12_120": (0.0, 0.8), "bp36_120": (0.1, 0.7), "nohr": (0.0, 1.0), "t": (0.5, 0.3),
    "t1": (1.0, 0.2), "hz": (0.0, 1.1), "h5": (0.7, 0.7), "hq": (0.5, 0.3), "df36z": (0.0, 1.0),
    "df120z": (0.0, 1.0), "bp1_120z": (0.0, 1.0), "bp4_120z": (0.0, 1.0), "bp12_120z": (0.0, 1.0),
    "bp36_120z": (0.0, 1.0), "Ln": (0.5, 2.8), "mn": (0.6, 1.3), "mm": (-2.6, 0.5), "cn": (0.1, 0.5),
    "hx": (2.4, 6.0), "hn": (-1.2, 4.0), "hc8": (0.0, 3.0), "hc25": (0.0, 4.0), "hc60": (0.0, 5.0),
    "Lc1.5": (0.09, 0.3), "Lc4": (0.09, 0.23), "Lc12": (0.09, 0.2), "Lc40": (0.09, 0.15), "mc1.5": (0.06, 0.12),
    "mc4": (0.06, 0.12), "mc12": (0.06, 0.12), "ca": (0.75, 1.5), "mr": (0.5, 0.3), "hr8": (0.5, 0.3),
    "hr3": (0.5, 0.3), "hv": (0.6, 1.0), "hvr": (0.5, 0.3), "dc3": (-0.1, 1.0), "dr3": (0.5, 0.3), "dr10": (0.5, 0.3),
}  # fmt: skip
NAMES: tuple[str, ...] = tuple(SCALES)


def base_features(epochs: Epochs) -> dict[str, Array]:
    """
    Return the features that need no night around them, each of shape (n,), NaN where unknown.

    ``L`` log of the epoch's mean count; ``mx`` of its larger half; ``mv`` moved at all; their means over the last
    w epochs; ``since*`` log of epochs since motion; ``ha`` heart rate; ``hd*`` heart rate less its mean over the last
    w epochs; ``hlo`` less the lowest of the last hour; ``df*`` change from one 5 s to the next; ``sde`` spread within
    the epoch; ``bp*`` size of its swings in four bands of period; ``nohr``, ``nomo`` what is missing; ``t``, ``t1``
    time since the start, the clock that a watch has.
    """
    n = len(epochs)
    features = {**_motion(epochs.counts), **_heart(epochs.hr_bpm, n)}
    at = epochs.first + np.arange(n)
    features["t"] = at / 960.0
    features["t1"] = np.minimum(at / 60.0, 1.0)
    return features


def relative_features(base: Mapping[str, Array], epochs: Epochs, *, whole: bool) -> dict[str, Array]:
    """
    Return the features relative to the night: the last `SO_FAR` epochs, or all of them where `whole`.

    People differ more in how much they move and how fast their heart beats than stages do.
    """
    n = len(epochs)
    centre = _over_all if whole else _so_far
    hr = epoch_hr(epochs)
    features = {"hz": _standard(hr, centre, 0.25), "h5": (hr - _low(hr, whole)) / 8.0}
    features["hq"] = _rank(trailing(hr, 4), whole)
    for name in _RELATIVE_SPREAD:
        features[f"{name}z"] = _standard(base[name], centre, 0.04)
    moved, level, count = centre(base["mv"]), centre(base["L"]), centre(_mean_count(epochs.counts))
    features["Ln"] = base["L"] / (level + 0.05)
    features["mn"] = base["mp10"] / (moved + 0.02)
    features["mm"] = np.log(moved + 0.02) * np.ones(n)
    features["cn"] = np.log1p(_mean_count(epochs.counts) / (count + 0.5))
    return features


def matrix(features: Mapping[str, Array]) -> NDArray[np.float32]:
    """Return the features as a network takes them, shape (n, len(NAMES)): scaled, cut at ±4, 0 where unknown."""
    columns = [(features[name] - centre) / scale for name, (centre, scale) in SCALES.items()]
    return np.clip(np.nan_to_num(np.stack(columns, axis=1), nan=0.0), -4.0, 4.0).astype(np.float32)


def epoch_hr(epochs: Epochs) -> Array:
    """Return the mean heart rate of each epoch, shape (n,), NaN where unknown."""
    return _row_mean(epochs.hr_bpm.reshape(-1, HR_PER_EPOCH))


def trailing(x: Array, width: int) -> Array:
    """Return the mean of the known among the last `width` values, shape (n,); NaN where none is known."""
    known = np.isfinite(x)
    total = np.cumsum(np.concatenate([[0.0], np.where(known, x, 0.0)]))
    count = np.cumsum(np.concatenate([[0], known]))
    end = np.arange(1, x.size + 1)
    start = np.maximum(end - width, 0)
    n = count[end] - count[start]
    return np.where(n > 0, (total[end] - total[start]) / np.maximum(n, 1), np.nan)


def _motion(counts: Array) -> dict[str, Array]:
    mean = _mean_count(counts)
    level = np.log1p(mean / 5.0)
    moved = np.where(np.isfinite(mean), (mean > 0).astype(np.float64), np.nan)
    peak = np.fmax(counts[:, 0], counts[:, 1])
    features = {"L": level, "mx": np.log1p(peak / 5.0), "mv": moved}
    for width in (3, 10, 30, 120):
        features[f"Lp{width}"] = trailing(level, width)
        features[f"mp{width}"] = trailing(moved, width)
    features["since0"], features["since2"] = _since(level > 0.0), _since(level > 2.0)
    features["nomo"] = (~np.isfinite(mean)).astype(np.float64)
    return features


def _heart(hr5: Array, n: int) -> dict[str, Array]:
    rows = hr5.reshape(n, HR_PER_EPOCH)
    hr = _row_mean(rows)
    features = {"ha": hr}
    for width in (4, 10, 30, 120):
        features[f"hd{width}"] = hr - trailing(hr, width)
    features["hlo"] = hr - _low(hr, whole=False)
    step = np.abs(np.diff(hr5, prepend=np.nan))
    features["dfe"] = np.log(0.1 + _row_mean(step.reshape(n, HR_PER_EPOCH)))
    features["sde"] = np.log(0.3 + np.sqrt(_row_mean((rows - hr[:, None]) ** 2)))
    for width in (12, 36, 120):
        features[f"df{width}"] = _at_epochs(np.log(0.1 + trailing(step, width)))
    for fast, slow in _BANDS:
        swing = np.abs(trailing(hr5, fast) - trailing(hr5, slow))
        for width in sorted({max(12, slow), 120}):
            # Cumulative sums leave 1e-13 of dust, which the log's 0.1 hides.
            features[f"bp{fast}_{width}"] = _at_epochs(np.log(0.1 + np.maximum(trailing(swing, width), 0.0)))
    features["nohr"] = (~np.isfinite(hr)).astype(np.float64)
    return features


def _at_epochs(x: Array) -> Array:
    return x[HR_PER_EPOCH - 1 :: HR_PER_EPOCH]


def _mean_count(counts: Array) -> Array:
    return _row_mean(counts)


def _row_mean(rows: Array) -> Array:
    known = np.isfinite(rows)
    n = known.sum(1)
    return np.where(n > 0, np.where(known, rows, 0.0).sum(1) / np.maximum(n, 1), np.nan)


def _since(event: NDArray[np.bool_]) -> Array:
    at = np.arange(event.size)
    last = np.maximum.accumulate(np.where(event, at, -_STILL_CAP)) if event.size else at
    return np.log1p(np.minimum(at - last, _STILL_CAP).astype(np.float64))


def _low(hr: Array, whole: bool) -> Array:
    """Return the lowest smoothed heart rate: of the last hour, or the night's 5th percentile."""
    if whole:
        known = hr[np.isfinite(hr)]
        return np.full(hr.size, np.percentile(known, 5) if known.size else np.nan)
    smooth = np.nan_to_num(trailing(hr, 4), nan=np.inf)
    before = np.concatenate([np.full(_LOW - 1, np.inf), smooth])
    low = np.lib.stride_tricks.sliding_window_view(before, _LOW).min(axis=1) if hr.size else smooth
    return np.where(np.isfinite(low), low, np.nan)


def _so_far(x: Array) -> Array:
    return trailing(x, SO_FAR)


def _over_all(x: Array) -> Array:
    known = x[np.isfinite(x)]
    return np.full(x.size, known.mean() if known.size else np.nan)


def _standard(x: Array, centre: object, floor: float) -> Array:
    mean = centre(x)  # type: ignore[operator]
    variance = centre(x * x) - mean * mean  # type: ignore[operator]
    return np.asarray((x - mean) / np.sqrt(np.maximum(variance, 0.0) + floor))


def _rank(x: Array, whole: bool) -> Array:
    """Return the fraction of the night (so far) that lies below each value; NaN where unknown."""
    # Rounded, or the dust of cumulative sums would break ties one way in a stream and another offline.
    filled = np.nan_to_num(np.round(x, 6), nan=np.inf)
    if whole:
        order = np.sort(filled[np.isfinite(filled)])
        rank = np.searchsorted(order, filled) / max(order.size, 1)
    else:
        padded = np.concatenate([np.full(SO_FAR - 1, np.inf), filled])
        windows = np.lib.stride_tricks.sliding_window_view(padded, SO_FAR)
        rank = (windows < filled[:, None]).sum(1) / np.maximum(np.isfinite(windows).sum(1), 1)
    return np.where(np.isfinite(x), rank, np.nan)

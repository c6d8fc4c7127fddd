"""Atrial fibrillation from beat intervals, of an ECG or of a PPG: irregular without a pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.irregular_rhythm_model import BIAS, DEVIATION, MEAN, THRESHOLD, WEIGHTS

WINDOW_BEATS = 60  # intervals judged together
MIN_BEATS = 20  # fewer say too little
_SHORTEST_S, _LONGEST_S = 0.2, 3.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Irregularity:
    """
    What a row of intervals says.

    Parameters
    ----------
    probability : ndarray of float64, shape (n_windows,)
        Of atrial fibrillation in each window.
    irregular : ndarray of bool, shape (n_windows,)
        Above `THRESHOLD`: sensitivity 0.97 or more on records left out (docs/ecg.md).
    start_s, end_s : ndarray of float64, shape (n_windows,)
        Span of each window.
    """

    probability: Floats
    irregular: NDArray[np.bool_]
    start_s: Floats
    end_s: Floats


def check_rhythm(beats_s: Floats, *, step_beats: int = WINDOW_BEATS) -> Irregularity:
    """
    Return the chance of atrial fibrillation in each window of 60 beat intervals.

    Parameters
    ----------
    beats_s : ndarray of float64, shape (n,)
        Times of beats or pulses, increasing, in seconds.
    step_beats : int, default=60
        Beats between the starts of two windows.

    Returns
    -------
    Irregularity
        Without windows when there are fewer than 61 beats; a gap is one long interval and counts as no more.
    """
    intervals = np.diff(np.asarray(beats_s, np.float64))
    if intervals.size < WINDOW_BEATS:
        none = np.empty(0)
        return Irregularity(none, np.empty(0, bool), none, none)
    starts = np.arange(0, intervals.size - WINDOW_BEATS + 1, step_beats)
    rows = np.lib.stride_tricks.sliding_window_view(intervals, WINDOW_BEATS)[starts]
    p = probability(rows)
    return Irregularity(p, p >= THRESHOLD, np.asarray(beats_s)[starts], np.asarray(beats_s)[starts + WINDOW_BEATS])


def probability(intervals_s: Floats) -> Floats:
    """Return the chance of atrial fibrillation for rows of intervals (n_windows, n >= 20), from logistic regression."""
    z = np.clip((irregularity_features(intervals_s) - MEAN) / DEVIATION, -5.0, 5.0)
    return np.asarray(1.0 / (1.0 + np.exp(-(z @ WEIGHTS + BIAS))))


def irregularity_features(intervals_s: Floats) -> Floats:
    """
    Return features that do not depend on the heart rate, shape (n_windows, 42).

    Parameters
    ----------
    intervals_s : ndarray of float64, shape (n_windows, n >= 20)
        Beat intervals in seconds, clipped to 0.2-3 s here.

    Notes
    -----
    Successive differences, deviations and entropies see irregularity; distances over two to four beats and the
    differences left after short-long pairs are taken out tell an ectopic pattern from fibrillation. Sample entropy
    after Richman and Moorman (doi:10.1152/ajpheart.2000.278.6.H2039), the plane of successive differences after
    Sarkar et al. (doi:10.1109/TBME.2007.903707).
    """
    intervals = np.clip(np.asarray(intervals_s, np.float64), _SHORTEST_S, _LONGEST_S)
    median = np.median(intervals, axis=1, keepdims=True)
    x = intervals / median
    step = np.diff(x, axis=1)
    columns = [
        *_differences(step),
        *_quantiles(np.abs(x - 1.0), 0.25, 0.5, 0.75, 0.9),
        *_patterns(x),
        _entropy(x, 0.4, 1.8, 28),
        _entropy(step, -0.8, 0.8, 32),
        *_sample_entropies(x),
        _turning_points(x),
        *_correlations(x, step),
        *_plane(step),
        *_without_ectopy(x, step),
        np.log(median[:, 0]),
    ]
    return np.stack(columns, axis=1)


def _quantiles(x: Floats, *shares: float) -> list[Floats]:
    ordered = np.sort(x, axis=1)
    return [ordered[:, round(share * (x.shape[1] - 1))] for share in shares]


def _differences(step: Floats) -> list[Floats]:
    size = np.abs(step)
    # Root mean square without the largest 15 %: a premature beat or two do not carry it.
    kept = np.sort(step**2, axis=1)[:, : int(0.85 * step.shape[1])]
    return [
        *_quantiles(size, 0.25, 0.5, 0.75, 0.9),
        size.mean(axis=1),
        *[(size > limit).mean(axis=1) for limit in (0.04, 0.08, 0.15, 0.3)],
        np.sqrt(kept.mean(axis=1)),
    ]


def _patterns(x: Floats) -> list[Floats]:
    """Distance from the running median of 5, and between beats two to four apart: bigeminy and its kin repeat."""
    running = np.median(np.lib.stride_tricks.sliding_window_view(x, 5, axis=1), axis=2)
    apart = {k: np.abs(x[:, k:] - x[:, :-k]) for k in (1, 2, 3, 4)}
    found = _quantiles(np.abs(x[:, 2:-2] - running), 0.5, 0.75)
    for k in (2, 3, 4):
        found += _quantiles(apart[k], 0.25, 0.5)
    return [*found, np.min([np.median(d, axis=1) for d in apart.values()], axis=0)]


def _entropy(x: Floats, low: float, high: float, n_bins: int) -> Floats:
    bins = ((np.clip(x, low, high - 1e-6) - low) / (high - low) * n_bins).astype(np.intp)
    flat = np.bincount((bins + n_bins * np.arange(len(x))[:, None]).ravel(), minlength=n_bins * len(x))
    share = flat.reshape(len(x), n_bins) / x.shape[1]
    return np.asarray(-(share * np.log(share + 1e-12)).sum(axis=1) / np.log(n_bins))


def _sample_entropies(x: Floats) -> list[Floats]:
    found: list[Floats] = []
    # n x n comparisons a window: some hundreds of windows at a time keep the memory small.
    for m, tolerance in ((1, 0.05), (1, 0.1), (2, 0.1)):
        parts = [_sample_entropy(x[k : k + 256], m, tolerance) for k in range(0, len(x), 256)]
        found += [np.concatenate([p[i] for p in parts]) if parts else np.empty(0) for i in (0, 1)]
    return found


def _sample_entropy(x: Floats, m: int, tolerance: float) -> tuple[Floats, Floats]:
    n = x.shape[1] - m
    alike = np.abs(x[:, :, None] - x[:, None, :]) < tolerance
    short = alike[:, :n, :n].copy()
    for k in range(1, m):
        short &= alike[:, k : n + k, k : n + k]
    longer = short & alike[:, m : n + m, m : n + m]
    b, a = short.sum(axis=(1, 2)) - n, longer.sum(axis=(1, 2)) - n
    return np.log((b + 1) / (a + 1)), np.log((a + 1) / n**2)


def _turning_points(x: Floats) -> Floats:
    middle = x[:, 1:-1]
    return np.asarray(((middle - x[:, :-2]) * (middle - x[:, 2:]) > 0).mean(axis=1))


def _correlations(x: Floats, step: Floats) -> list[Floats]:
    centred = np.clip(x, 0.5, 1.6)
    centred = centred - centred.mean(axis=1, keepdims=True)
    power = (centred**2).mean(axis=1) + 1e-5
    found = [(centred[:, k:] * centred[:, :-k]).mean(axis=1) / power for k in (1, 2, 3)]
    limited = np.clip(step, -0.6, 0.6)
    return [*found, (limited[:, 1:] * limited[:, :-1]).mean(axis=1) / ((limited**2).mean(axis=1) + 1e-5)]


def _plane(step: Floats) -> list[Floats]:
    """Share of distinct cells that successive differences visit in their plane, and share at its origin."""
    bins = np.clip(np.round(step / 0.06), -8, 8).astype(np.intp) + 8
    cells = np.sort(bins[:, 1:] * 17 + bins[:, :-1], axis=1)
    distinct = 1 + (np.diff(cells, axis=1) > 0).sum(axis=1)
    return [distinct / cells.shape[1], (cells == 8 * 17 + 8).mean(axis=1)]


def _without_ectopy(x: Floats, step: Floats) -> list[Floats]:
    """Differences outside short-long pairs (premature beat and pause), and the share of such pairs."""
    pair_sum = x[:, :-1] + x[:, 1:]
    pair = (x[:, :-1] < 0.88) & (x[:, 1:] > 1.05) & (pair_sum > 1.6) & (pair_sum < 2.4)
    ectopic = np.zeros(x.shape, bool)
    ectopic[:, :-1] |= pair
    ectopic[:, 1:] |= pair
    clean = ~(ectopic[:, 1:] | ectopic[:, :-1])
    count = np.maximum(clean.sum(axis=1), 1)
    size = np.sort(np.where(clean, np.abs(step), np.inf), axis=1)
    middle = size[np.arange(len(x)), count // 2]
    median = np.where(np.isfinite(middle), middle, 0.2)
    large = ((np.abs(step) > 0.08) & clean).sum(axis=1) / count
    return [median, large, ectopic.mean(axis=1)]

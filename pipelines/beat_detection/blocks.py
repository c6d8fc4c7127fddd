"""The R-peak detector: a stream is judged block by block, so any chunking gives the same beats to the bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.beat_detection.bands import BLOCK_S, QRS_BAND, SHAPE_BAND, SHARP_BAND, SLOW_BAND, band_signals
from pipelines.beat_detection.features import FAR, Candidates, find_candidates, second_features
from pipelines.beat_detection.flutter import in_flutter
from pipelines.beat_detection.selection import REFRACTORY_S, Scorer, best_apart, score
from pipelines.beat_detection.spikes import without_spikes
from pipelines.beat_detection.weights import STAGE_ONE, STAGE_TWO

BEFORE_S, CORE_S, AFTER_S = 5.0, 24.0, 3.0  # a block judges its core and looks so far to either side
assert BEFORE_S + CORE_S + AFTER_S == BLOCK_S
MIN_RATE_HZ = 60.0  # below, the QRS band is no longer in the signal
_AT_ONCE = 128  # blocks judged together: they stay in the cache, and a day's ECG in bounded memory
_ROUNDING = 1e-6  # of the largest sample: what float32 leaves of a flat line
_PAUSE_S, _FADE_S, _LEVEL_S = 0.6, 0.08, 2.0  # behind the end: a pause, how fast it is reached, and its level's span
_PEAK_S = 0.06  # an R peak is sought so far around the envelope's peak
_MEAN_S = 0.15  # and measured against the mean of so much to either side
APART_S = REFRACTORY_S - _PEAK_S  # what two peaks keep of it at least


@dataclass(frozen=True)
class Beats:
    """
    Beats that were found.

    Parameters
    ----------
    time_s : ndarray of float64, shape (n,)
        R peaks (or the highest deflection of a wide beat), in seconds since the first sample.
    confidence : ndarray of float32, shape (n,)
        Probability that each is a beat, in (0.5, 1).
    """

    time_s: NDArray[np.float64]
    confidence: NDArray[np.float32]

    def __len__(self) -> int:
        return int(self.time_s.size)


@dataclass(frozen=True)
class Judged:
    """
    One batch of blocks, judged: what `detect_beats`, the training of the scorers and the rhythm task read.

    Parameters
    ----------
    found : Candidates
    first_odds, odds : ndarray of float32, shape (n_blocks, k)
        Log odds of stage one, and of stage two (far below zero in flutter and empty slots).
    second : ndarray of float32, shape (n_blocks, k, n_features)
        Features of stage two.
    beats : ndarray of bool, shape (n_blocks, k)
    flutter : ndarray of bool, shape (n_blocks, k)
    """

    found: Candidates
    first_odds: NDArray[np.float32]
    odds: NDArray[np.float32]
    second: NDArray[np.float32]
    beats: NDArray[np.bool_]
    flutter: NDArray[np.bool_]


def detect_beats(
    ecg: NDArray[np.floating], fs_hz: float, *, scorers: tuple[Scorer, Scorer] = (STAGE_ONE, STAGE_TWO)
) -> Beats:
    """
    Return the heartbeats of a single-lead ECG.

    Polarity, gain and offset do not matter; any rate from 60 Hz. Bridged samples (NaN) carry no beats. Flat,
    railed or empty input gives no beats. In ventricular flutter no wave is called a beat.

    Parameters
    ----------
    ecg : ndarray, shape (n_samples,)
        In any unit; NaN where nothing was sensed.
    fs_hz : float
    scorers : pair of Scorer
        Default: the shipped ones.

    Returns
    -------
    Beats

    Notes
    -----
    Blocks of 32 s begin every 24 s from the first sample on; a block says what beats its 24 s core holds. So a
    stream needs 5 s behind and 3 s ahead of what it judges, and the answer does not depend on how it arrived
    (`pipelines.beats` streams it).

    Examples
    --------
    >>> ecg = np.zeros(3600); ecg[180::360] = 1.0
    >>> len(detect_beats(ecg, 360.0))
    10
    """
    if fs_hz < MIN_RATE_HZ or ecg.size < fs_hz:
        return Beats(np.empty(0), np.empty(0, np.float32))
    clean, sensed = bridge(ecg)
    blocks, core_start = blocks_of(clean, fs_hz)
    times, odds = [], []
    for first in range(0, len(blocks), _AT_ONCE):
        judged = judge_with(blocks[first : first + _AT_ONCE], fs_hz, *scorers)
        core = judged.beats & (judged.found.time_s >= BEFORE_S) & (judged.found.time_s < BEFORE_S + CORE_S)
        block, slot = np.nonzero(core)
        times.append(core_start[first + block] + judged.found.time_s[block, slot].astype(np.float64) - BEFORE_S)
        odds.append(judged.odds[block, slot])
    time_s, log_odds = np.concatenate(times), np.concatenate(odds)
    return settle(clean, sensed, fs_hz, time_s, log_odds)


def bridge(ecg: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the samples with straight lines over NaN (and zeros where all is NaN), and which were sensed."""
    sensed = np.isfinite(ecg)
    if sensed.all():
        return np.asarray(ecg, np.float32), sensed
    if not sensed.any():
        return np.zeros(ecg.size, np.float32), sensed
    at = np.flatnonzero(sensed)
    return np.interp(np.arange(ecg.size), at, ecg[at]).astype(np.float32), sensed


def blocks_of(clean: NDArray[np.float32], fs_hz: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """
    Return the blocks of a whole signal (a view; continued at both ends), and the second at which each core begins.

    Shapes (n_blocks, round(BLOCK_S * fs_hz)) and (n_blocks,).
    """
    n_blocks = max(1, int(np.ceil(clean.size / (CORE_S * fs_hz) - 1e-9)))
    core_start: NDArray[np.float64] = np.arange(n_blocks, dtype=np.float64) * CORE_S
    before, length = round(BEFORE_S * fs_hz), round(BLOCK_S * fs_hz)
    starts = np.round(core_start * fs_hz).astype(np.intp)
    padded = continued(clean, before, max(0, int(starts[-1]) + length - before - clean.size), fs_hz)
    step = CORE_S * fs_hz
    if step == round(step):
        return np.lib.stride_tricks.sliding_window_view(padded, length)[:: round(step)][:n_blocks], core_start
    return np.lib.stride_tricks.sliding_window_view(padded, length)[starts], core_start


def continued(x: NDArray[np.float32], before: int, after: int, fs_hz: float) -> NDArray[np.float32]:
    """
    Return `x` continued by `before` and `after` samples: a pause at the level of the last seconds, then its mirror.

    Without the pause, a beat just before the end would have its twin just behind it: too close for a heart, and one of
    the two would go.
    """
    if x.size < 2:
        return np.pad(x, (before, after), mode="edge")
    pause = round(_PAUSE_S / 2 * fs_hz)
    near = max(1, round(_LEVEL_S * fs_hz))
    fade = np.maximum(0.0, 1.0 - np.arange(1, pause + 1) / max(1, round(_FADE_S * fs_hz)))
    ends = [np.median(part) + (end - np.median(part)) * fade for part, end in ((x[:near], x[0]), (x[-near:], x[-1]))]
    calm = np.concatenate([ends[0][::-1], x, ends[1]]).astype(np.float32)
    calm = np.pad(calm, (max(0, before - pause), max(0, after - pause)), mode="reflect")
    first = max(0, pause - before)
    return calm[first : first + before + x.size + after]


def judge(blocks: NDArray[np.float32], fs_hz: float) -> Judged:
    """
    Judge blocks, each on its own.

    Parameters
    ----------
    blocks : ndarray of float32, shape (n_blocks, round(BLOCK_S * fs_hz))
        Without NaN.
    """
    return judge_with(blocks, fs_hz, STAGE_ONE, STAGE_TWO)


def judge_with(blocks: NDArray[np.float32], fs_hz: float, one: Scorer | None, two: Scorer | None) -> Judged:
    """Judge blocks with these scorers; where one is not fitted yet, a plain rule on the size stands in."""
    blocks = without_spikes(blocks, fs_hz)
    qrs, slow, sharp, shape = band_signals(blocks, fs_hz, (QRS_BAND, SLOW_BAND, SHARP_BAND, SHAPE_BAND))
    found = find_candidates(qrs, slow, sharp, _ROUNDING * np.abs(blocks[:, ::5]).max(axis=1))
    first_odds = score(one or _by_size, found.first, found.valid)
    second = second_features(found, shape, first_odds, best_apart(found, first_odds))
    flutter = in_flutter(shape, found.index) & found.valid
    odds = np.where(flutter, np.float32(-FAR), score(two, second, found.valid) if two else first_odds)
    return Judged(found, first_odds, odds, second, best_apart(found, odds), flutter)


def _by_size(features: NDArray[np.float32]) -> NDArray[np.float32]:
    # Above 40 % of the usual beat.
    return np.asarray(features[:, 0] - np.log(0.4), np.float32)


def settle(
    clean: NDArray[np.float32], sensed: NDArray[np.bool_], fs_hz: float,
    time_s: NDArray[np.float64], log_odds: NDArray[np.float32],
) -> Beats:  # fmt: skip
    """
    Move beats from the 64 Hz grid to the sample of their peak, and drop those on samples that were not sensed.

    Parameters
    ----------
    clean, sensed : ndarray, shape (n_samples,)
        From `bridge`.
    time_s, log_odds : ndarray, shape (n,)
        Approximate times in seconds since the first sample, increasing.
    """
    inside = (time_s >= 0) & (time_s < clean.size / fs_hz)
    time_s, log_odds = time_s[inside], log_odds[inside]
    sample = peak_samples(clean, fs_hz, time_s)
    keep = sensed[sample]
    time_s, log_odds = sample[keep] / fs_hz, log_odds[keep]
    apart = np.ones(time_s.size, bool)
    if time_s.size:
        apart[1:] = np.diff(time_s) > APART_S
    confidence = 1.0 / (1.0 + np.exp(-np.clip(log_odds[apart], -30.0, 30.0)))
    return Beats(time_s[apart], confidence.astype(np.float32))


def peak_samples(clean: NDArray[np.float32], fs_hz: float, time_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the sample of the highest deflection, either way, from the local mean around each time."""
    reach, wide = max(1, round(_PEAK_S * fs_hz)), round(_MEAN_S * fs_hz)
    near = np.arange(-reach, reach + 1)
    # A hundred samples a second are enough for a mean.
    around = np.arange(-wide, wide + 1, max(1, round(fs_hz / 100.0)))
    centre = np.round(time_s * fs_hz).astype(np.intp)
    found = centre.copy()
    inner = (centre >= wide) & (centre < clean.size - wide)
    for rows, at_border in ((inner, False), (~inner, True)):
        place, context = centre[rows, None] + near, centre[rows, None] + around
        if at_border:
            place, context = place.clip(0, clean.size - 1), context.clip(0, clean.size - 1)
        deflection = np.abs(clean[place] - clean[context].mean(axis=1, keepdims=True))
        found[rows] = centre[rows] - reach + deflection.argmax(axis=1)
    return found.clip(0, clean.size - 1)

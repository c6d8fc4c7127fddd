"""What the rhythm network sees of 30 s of ECG: its beats side by side, their intervals, and a summary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.beat_detection.bands import (
    BLOCK_S,
    GRID_HZ,
    QRS_BAND,
    SHARP_BAND,
    band_response,
    band_signals,
    beat_level,
    envelope,
    quiet_level,
)
from pipelines.beat_detection.blocks import Judged, bridge, continued, judge, peak_samples
from pipelines.irregular_rhythm import MIN_BEATS, irregularity_features, probability
from pipelines.rhythm_scale import MEAN, SPREAD
from pipelines.rhythm_shape import AFTER, BEFORE, N_SHAPE, cut_beats, shape_figures

STRIP_S = 30.0
N_BEATS = 40  # rows of the picture; a faster strip shows its first 40, a slower one begins again
N_INTERVAL = 6
N_SUMMARY = 59 + N_SHAPE
_PAD_S = (BLOCK_S - STRIP_S) / 2
_WAVE_BAND = band_response(0.7, 28.0)  # P and T waves too, without the wandering baseline
_MIN_INTERVALS = 6  # fewer say nothing of a rhythm

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class StripInputs:
    """
    Inputs of the rhythm network for one strip.

    Parameters
    ----------
    beats : ndarray of float32, shape (40, 64, 1)
        Each beat around its R peak at 64 Hz, as multiples of the usual R wave, through asinh(4 x) / 2 so that a P wave
        is more than a step of int8; polarity such that the R wave points up.
    intervals : ndarray of float32, shape (40, 1, 6)
        For each beat: interval before and after against the median, their difference, likeness, size, certainty.
    summary : ndarray of float32, shape (79,)
        Irregularity of the intervals, how clean the strip is, and the shape of its waves; standardised, within ±4.
        Zero without beats.
    n_beats : int
    quality : float
        In [0, 1]: mean certainty of the beats, 0 where there are none.
    irregular : float
        Chance of fibrillation from the intervals alone; 0 with fewer than 20.
    figures : ndarray of float64, shape (79,)
        The summary before it is standardised.
    """

    beats: Floats
    intervals: Floats
    summary: Floats
    n_beats: int
    quality: float
    irregular: float
    figures: NDArray[np.float64]


def strip_inputs(ecg: NDArray[np.floating], fs_hz: float) -> StripInputs:
    """
    Return the inputs for up to 30 s of ECG.

    Parameters
    ----------
    ecg : ndarray, shape (n_samples,)
        At most 30 s; shorter is continued for the filters' sake, but only its own beats are shown. NaN is bridged.
    fs_hz : float
    """
    own = ecg[: round(STRIP_S * fs_hz)]
    clean, sensed = bridge(own)
    if own.size < 2 * fs_hz or not sensed.any() or float(np.ptp(clean)) == 0.0:
        return _nothing()
    before, total = round(_PAD_S * fs_hz), round(BLOCK_S * fs_hz)
    block = continued(clean, before, total - before - clean.size, fs_hz)[None, :total]
    judged = judge(block, fs_hz)
    wave, qrs, sharp = (z[0] for z in band_signals(block, fs_hz, (_WAVE_BAND, QRS_BAND, SHARP_BAND)))
    length_s = clean.size / fs_hz
    slots = _own_beats(judged, length_s)
    grid = judged.found.index[0, slots]
    peaks = peak_samples(clean, fs_hz, grid / GRID_HZ - _PAD_S) / fs_hz
    signal = np.ascontiguousarray(wave.real, np.float32)
    at = np.round((peaks + _PAD_S) * GRID_HZ).astype(np.intp)
    size, sign = _r_wave(signal, at)
    upright = np.asarray(sign * signal / size, np.float32)
    scaled = (np.arcsinh(4.0 * upright) / 2.0).astype(np.float32)
    noise = _noise(clean, qrs, sharp, size, sensed)
    certainty = 1.0 / (1.0 + np.exp(-np.clip(judged.odds[0, slots], -20, 20)))
    alike = _likeness(judged, slots)
    figures = np.array([
        *_rhythm_figures(peaks, length_s, judged, alike, certainty), *noise, *shape_figures(upright, at, peaks)
    ])  # fmt: skip
    return StripInputs(
        _picture(scaled, at), _intervals(peaks, alike, np.asarray(np.abs(signal[at]) / size, np.float32), certainty),
        np.asarray(np.clip((figures - MEAN) / SPREAD, -4.0, 4.0), np.float32),
        int(at.size), float(certainty.mean()) if at.size else 0.0,
        float(probability(np.diff(peaks)[None, :])[0]) if at.size > MIN_BEATS else 0.0,
        figures,
    )  # fmt: skip


def _nothing() -> StripInputs:
    return StripInputs(
        np.zeros((N_BEATS, BEFORE + AFTER, 1), np.float32), np.zeros((N_BEATS, 1, N_INTERVAL), np.float32),
        np.zeros(N_SUMMARY, np.float32), 0, 0.0, 0.0, np.zeros(N_SUMMARY),
    )  # fmt: skip


def _own_beats(judged: Judged, length_s: float) -> NDArray[np.intp]:
    t = judged.found.time_s[0] - _PAD_S
    return np.flatnonzero(judged.beats[0] & (t >= 0) & (t < length_s))


def _r_wave(signal: Floats, at: NDArray[np.intp]) -> tuple[float, float]:
    """Return the usual height of the R wave and its sign; without beats the signal's own size."""
    if at.size < 2:
        return float(np.percentile(np.abs(signal), 98)) + 1e-9, 1.0
    around = signal[(at[:, None] + np.arange(-4, 5)).clip(0, signal.size - 1)]
    usual = np.median(around, axis=0)
    top = usual[np.abs(usual).argmax()]
    return float(abs(top)) + 1e-9, 1.0 if top >= 0 else -1.0


def _picture(scaled: Floats, at: NDArray[np.intp]) -> Floats:
    if not at.size:
        return np.zeros((N_BEATS, BEFORE + AFTER, 1), np.float32)
    rows = np.resize(at, N_BEATS)  # begins again where beats are fewer: the mean over rows stays the beats' mean
    return np.asarray(np.clip(cut_beats(scaled, rows), -2.0, 2.0)[:, :, None], np.float32)


def _intervals(peaks: NDArray[np.float64], alike: Floats, size: Floats, certainty: Floats) -> Floats:
    found = np.zeros((N_BEATS, 1, N_INTERVAL), np.float32)
    if peaks.size < 3:
        return found
    rr = np.diff(peaks)
    usual = float(np.median(rr))
    before = np.clip(np.concatenate([[usual], rr]) / usual - 1.0, -1.0, 1.5)
    after = np.clip(np.concatenate([rr, [usual]]) / usual - 1.0, -1.0, 1.5)
    columns = [before, after, np.clip(after - before, -1.5, 1.5), alike, np.clip(np.log(size + 1e-3), -2, 2), certainty]
    table = np.stack(columns, axis=1)
    found[:, 0] = table[np.resize(np.arange(peaks.size), N_BEATS)]
    return found


def _likeness(judged: Judged, slots: NDArray[np.intp]) -> Floats:
    # Columns 5 and 6 of stage two: signed likeness, and likeness whatever the phase.
    return np.asarray(judged.second[0, slots, 5], np.float32)


def _noise(
    clean: Floats, qrs: NDArray[np.complex64], sharp: NDArray[np.complex64], size: float, sensed: NDArray[np.bool_]
) -> list[float]:
    """Return how high the floor between beats is, at which frequencies, and what is missing or railed."""
    e, s = envelope(qrs[None]), envelope(sharp[None])
    level, quiet = beat_level(e)[0], quiet_level(e)[0]
    spread = np.percentile(clean, [1, 99])
    rail = np.mean((clean == clean.max()) | (clean == clean.min()))
    return [
        *np.clip(np.log((np.percentile(quiet, [25, 50, 90]) + 1e-9) / (np.median(level) + 1e-9)), -6, 2),
        float(np.clip(np.log((np.median(quiet_level(s)) + 1e-9) / (np.median(level) + 1e-9)), -8, 2)),
        float(np.clip(np.std(np.log(level + 1e-9)), 0, 2)),
        float(np.clip(np.log((spread[1] - spread[0] + 1e-9) / size), -1, 4)),
        float(rail) * 10.0,
        1.0 - float(sensed.mean()),
    ]


def _rhythm_figures(
    peaks: NDArray[np.float64], length_s: float, judged: Judged, alike: Floats, certainty: Floats
) -> list[float]:
    rr = np.diff(peaks)
    if rr.size < _MIN_INTERVALS:
        irregular, rate = np.zeros(42), [0.0] * 4
    else:
        irregular = irregularity_features(rr[None, :])[0]
        median = float(np.median(rr))
        rate = [1.0 / median, float(rr.min()) / median, min(float(rr.max()) / median, 4.0), peaks.size / length_s]
    doubtful = judged.found.valid[0] & (np.abs(judged.odds[0]) < 2.0)
    beats = [
        float(certainty.mean()) if certainty.size else 0.0,
        float((certainty < 0.9).mean()) if certainty.size else 1.0,
        float(alike.mean()) if alike.size else 0.0,
        float(np.percentile(alike, 10)) if alike.size else 0.0,
        min(int(doubtful.sum()) / (peaks.size + 1.0), 3.0),
    ]
    return [*irregular, *rate, *beats]

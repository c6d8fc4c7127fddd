"""What a strip's beats look like beyond their intervals: P waves, width, odd beats, and what the atria do between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.beat_detection.bands import GRID_HZ

BEFORE, AFTER = 29, 35  # grid samples around an R peak: 0.45 s before (the P wave) to 0.55 s after (the T wave)
N_SHAPE = 20
_QRS = slice(BEFORE - 5, BEFORE + 6)
_P = slice(BEFORE - 18, BEFORE - 5)  # 0.28 to 0.08 s before the R peak
_LEVEL = slice(BEFORE - 24, BEFORE - 18)
_T = slice(BEFORE + 9, BEFORE + AFTER)
_ALIKE, _ODD = 0.9, 0.8  # likeness to the usual QRS complex: surely one of them, surely not
_EARLY = 0.88  # of the median interval
_FEWEST = 4
_SPAN = 4 * GRID_HZ
# Hz: breathing and drift, the atria in flutter and fibrillation, muscle.
_ATRIAL_BANDS = ((1.0, 3.5), (3.5, 9.5), (9.5, 14.0), (14.0, 28.0))

Floats = NDArray[np.float32]


def cut_beats(signal: Floats, at: NDArray[np.intp]) -> Floats:
    """Return the beats side by side, shape (n_beats, 64); at the ends the last sample is repeated."""
    return np.asarray(signal[(at[:, None] + np.arange(-BEFORE, AFTER)).clip(0, signal.size - 1)], np.float32)


def shape_figures(signal: Floats, at: NDArray[np.intp], peaks_s: NDArray[np.float64]) -> list[float]:
    """
    Return twenty figures, zero with fewer than four beats.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_grid,)
        At 64 Hz, as multiples of the usual R wave, which points up.
    at : ndarray of intp, shape (n_beats,)
        Grid samples of the R peaks.
    peaks_s : ndarray of float64, shape (n_beats,)
    """
    if at.size < _FEWEST:
        return [0.0] * N_SHAPE
    beats = cut_beats(signal, at)
    usual = np.median(beats, axis=0)
    likeness = _likeness(beats[:, _QRS], usual[_QRS])
    own = likeness >= min(_ALIKE, float(np.median(likeness)))
    return [
        *_waves(beats[own], usual),
        float((likeness < _ODD).mean()),
        float(np.percentile(likeness, 10)),
        *_early(likeness, peaks_s),
        *_atrial(_without_beats(signal, at, usual)),
    ]


def _likeness(rows: Floats, usual: Floats) -> Floats:
    centred, like = rows - rows.mean(axis=1, keepdims=True), usual - usual.mean()
    size = np.sqrt((centred**2).sum(axis=1) * (like**2).sum()) + 1e-6
    return np.asarray(centred @ like / size, np.float32)


def _waves(beats: Floats, usual: Floats) -> list[float]:
    """Width of the usual complex; P wave: height, depth, place, how alike from beat to beat; T wave: the same."""
    level = float(usual[_LEVEL].mean())
    p, t = usual[_P] - level, usual[_T] - level
    left = beats[:, _P] - usual[_P]
    return [
        float(np.abs(usual[BEFORE - 8 : BEFORE + 9]).sum() / (np.abs(usual).max() + 1e-6)),
        float(p.max()), float(p.min()), float(p.argmax()) / p.size,
        float(_likeness(beats[:, _P], usual[_P]).mean()),
        float(np.log(left.std() + 1e-3)),
        float(t.max()), float(t.min()), float(np.abs(t).argmax()) / t.size,
        float(np.log((beats[:, _QRS] - usual[_QRS]).std() + 1e-3)),
    ]  # fmt: skip


def _early(likeness: Floats, peaks_s: NDArray[np.float64]) -> list[float]:
    """Share of early beats of the usual shape (atrial), of another (ventricular), and how early the others come."""
    intervals = np.diff(peaks_s)
    before = np.concatenate([[1.0], intervals / np.median(intervals)])
    odd = likeness < _ODD
    return [
        float((~odd & (before < _EARLY)).mean()),
        float((odd & (before < _EARLY)).mean()),
        float(np.clip(before[odd].mean(), 0.0, 2.0)) if odd.any() else 1.0,
    ]


def _without_beats(signal: Floats, at: NDArray[np.intp], usual: Floats) -> Floats:
    """Return the signal with the usual beat taken out at each R peak: what is left is the atria's, and noise."""
    left = signal.copy()
    usual = usual - usual.mean()
    for start in at - BEFORE:
        a, b = max(0, int(start)), min(signal.size, int(start) + usual.size)
        left[a:b] -= usual[a - start : b - start]
    return left


def _atrial(left: Floats) -> list[float]:
    """Log power of what is left in four bands, and how much of the atrial band's is one line."""
    spans = np.lib.stride_tricks.sliding_window_view(left, _SPAN)[:: _SPAN // 2]
    power = (np.abs(np.fft.rfft(spans * np.hanning(_SPAN), axis=1)) ** 2 / _SPAN**2).mean(axis=0)
    hz = np.fft.rfftfreq(_SPAN, 1.0 / GRID_HZ)
    inside = [power[(hz >= low) & (hz < high)] for low, high in _ATRIAL_BANDS]
    return [*(float(np.log(band.sum() + 1e-7)) for band in inside), float(inside[1].max() / (inside[1].sum() + 1e-9))]

"""Where an ECG has no beats to find: ventricular flutter and fibrillation, told by one pure tone without an edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.beat_detection.bands import GRID_HZ

_SPAN = 4 * GRID_HZ  # 4 s: bins of 0.25 Hz, some twelve cycles of flutter
_HOP = 2 * GRID_HZ
_TONE_BINS = slice(9, 27)  # 2.25-6.5 Hz: 135-390 waves a minute
_HALF_WIDTH = 3  # bins that a tone spreads over behind a Hann window
_EDGE_BIN = 32  # 8 Hz: a QRS complex, also a wide one, has more than 8 % of its energy above
# A tone of 60 % is far above a ventricular tachycardia (its harmonics take their share: at most 0.5 in nearly all of
# MIT-BIH's runs) and below flutter (median 0.8 in record 207, the only one that has it).
TONE_SHARE = 0.6
EDGE_SHARE = 0.08


def in_flutter(shape_band: NDArray[np.complex64], index: NDArray[np.intp]) -> NDArray[np.bool_]:
    """
    Tell for each candidate whether it stands in a stretch that is one slow tone: no wave there is a beat.

    Parameters
    ----------
    shape_band : ndarray of complex64, shape (n_blocks, 2048)
        Analytic signal from 2 to 28 Hz at 64 Hz.
    index : ndarray of intp, shape (n_blocks, k)

    Returns
    -------
    ndarray of bool, shape (n_blocks, k)
    """
    spans = np.lib.stride_tricks.sliding_window_view(shape_band, _SPAN, axis=1)[:, ::_HOP]
    tone = np.zeros((spans.shape[0], spans.shape[1]), bool)
    block, span = np.nonzero(_may_be_tone(spans))
    if block.size:
        tone[block, span] = _is_tone(spans[block, span])
    place = np.clip(index - _SPAN // 2, 0, None) / _HOP
    last = tone.shape[1] - 1
    rows: NDArray[np.intp] = np.arange(len(index)).reshape(-1, 1)
    return np.asarray(
        tone[rows, np.minimum(np.floor(place), last).astype(np.intp)]
        | tone[rows, np.minimum(np.ceil(place), last).astype(np.intp)]
    )


def _may_be_tone(spans: NDArray[np.complex64]) -> NDArray[np.bool_]:
    """Cheap first look: the signal of a tone turns by the same angle from sample to sample (0.1-0.7 rad here)."""
    now, then = spans[:, :, 1::2], spans[:, :, :-1:2]
    turn = np.einsum("nsk,nsk->ns", now, np.conj(then))
    energy = np.einsum("nsk,nsk->ns", then, np.conj(then)).real
    angle = np.angle(turn)
    return np.asarray((np.abs(turn) > 0.5 * energy) & (angle > 0.15) & (angle < 0.8))


def _is_tone(spans: NDArray[np.complex64]) -> NDArray[np.bool_]:
    from scipy import fft as sfft  # here: 30 MB that a server without an ECG can spare

    power = np.abs(sfft.fft(spans * np.hanning(_SPAN).astype(np.float32), axis=1)[:, : _SPAN // 2]) ** 2
    total = power.sum(axis=1) + 1e-12
    centre = power[:, _TONE_BINS].argmax(axis=1) + _TONE_BINS.start
    rows = np.arange(len(power))
    share = sum(power[rows, centre + k] for k in range(-_HALF_WIDTH, _HALF_WIDTH + 1)) / total
    return np.asarray((share > TONE_SHARE) & (power[:, _EDGE_BIN:].sum(axis=1) / total < EDGE_SHARE))

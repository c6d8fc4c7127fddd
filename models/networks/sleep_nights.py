"""Nights as training takes them: their features while they went on and once they were over, some nights disturbed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.training.recipe import Examples
from pipelines.sleep.epochs import HR_PER_EPOCH, Epochs
from pipelines.sleep_staging import INPUT, NIGHT, OUTPUT, TASK, features_of

VERSIONS = 8  # of each night: as it was, and seven times as another wearer's watch might have told it


def night_examples(recordings: Sequence[Recording], *, seed: int) -> Examples:
    """
    Return `VERSIONS` rows a night, the undisturbed ones first, padded to the longest night.

    `weight` holds each night's number of epochs; stages are NaN where nothing was sensed.
    """
    rng = np.random.default_rng(seed)
    windows = [TASK.prepare(r) for r in recordings]
    epochs = [Epochs(0, w.extras["counts"], w.extras["hr"].reshape(-1)) for w in windows]
    stages = [
        np.where(w.quality > 0, TASK.targets(r, w)[OUTPUT][:, 0], np.nan).astype(np.float32)
        for r, w in zip(recordings, windows, strict=True)
    ]
    told = [e if version == 0 else disturbed(e, rng) for version in range(VERSIONS) for e in epochs]
    longest = max(len(w) for w in windows)
    return Examples(
        {
            INPUT: _padded([features_of(e, whole=False) for e in told], longest, 0.0),
            NIGHT: _padded([features_of(e, whole=True) for e in told], longest, 0.0),
        },
        {OUTPUT: _padded(stages * VERSIONS, longest, np.nan)},
        np.array([len(e) for e in told], np.float32),
        np.array([r.subject for r in recordings] * VERSIONS), np.array([r.id for r in recordings] * VERSIONS),
    )  # fmt: skip


def disturbed(epochs: Epochs, rng: np.random.Generator) -> Epochs:
    """
    Return a night as another wearer or another watch might have told it; the stages stay what they were.

    Motion is stronger or weaker, some movements are missed and some come from nowhere; the heart beats faster or
    slower, its swings are larger or smaller, its baseline drifts, and now and then the sensor loses it.
    """
    counts = np.maximum(epochs.counts * np.exp(rng.normal(0, 0.35)) - rng.choice([0.0, 0.0, 3.0, 6.0]), 0.0)
    counts = np.where(rng.random(counts.shape) < rng.uniform(0, 0.2), counts * 0.0, counts)
    moves = epochs.counts[epochs.counts > 0]
    if moves.size:
        extra = (rng.random(counts.shape) < rng.uniform(0, 0.008)) & np.isfinite(counts)
        counts = np.where(extra, rng.choice(moves, counts.shape), counts)
    return Epochs(epochs.first, counts, _disturbed_heart(epochs.hr_bpm, rng))


def _disturbed_heart(hr: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    known = np.isfinite(hr)
    if not known.any():
        return hr
    middle = float(np.median(hr[known]))
    drift = np.interp(np.arange(hr.size), np.linspace(0, hr.size, 8), rng.normal(0, 1.2, 8))
    told = middle + rng.normal(0, 5.0) + (hr - middle) * np.exp(rng.normal(0, 0.12)) + drift
    told = told + rng.normal(0, rng.uniform(0, 0.6), hr.shape)
    if rng.random() < 0.3:
        for _ in range(rng.integers(1, 4)):
            first = rng.integers(0, hr.size)
            told[first : first + rng.integers(HR_PER_EPOCH, 20 * HR_PER_EPOCH)] = np.nan
    return np.asarray(told)


def _padded(rows: Sequence[NDArray[np.float32]], longest: int, fill: float) -> NDArray[np.float32]:
    return np.stack(
        [np.pad(r, [(0, longest - len(r)), *[(0, 0)] * (r.ndim - 1)], constant_values=fill) for r in rows]
    )  # fmt: skip

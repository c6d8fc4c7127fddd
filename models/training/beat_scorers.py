"""Fitting the two small scorers of the R-peak detector, whose numbers stand in `pipelines.beat_detection.weights`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from data.recording import Recording
from pipelines.beat_detection.blocks import AFTER_S, BEFORE_S, CORE_S, blocks_of, bridge, judge_with
from pipelines.beat_detection.features import Candidates
from pipelines.beat_detection.selection import Scorer

_HIDDEN = (12, 16)  # units of stage one and two
_MEMBERS = 3  # nets averaged into one three times as wide: seeds disagree most where nothing was learned
_JITTER = 0.3  # standard deviations of noise on the features, so that the answer is smooth between records
_RARE_WEIGHT = 2.0  # of ectopic beats, which are few and the hardest
_FAULT_WEIGHT = 0.3  # of rows with an electrode's faults, which are rare: more of it cost clean records
_NEAR_S = 0.1
_ALL_COLUMNS = (tuple(range(12)), tuple(range(21)))


@dataclass(frozen=True)
class Rows:
    """Training rows: both stages' features, whether a beat, and weight."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    beat: NDArray[np.int8]
    weight: NDArray[np.float32]


def fit(recordings: Sequence[Recording], *, seed: int = 0) -> tuple[Scorer, Scorer]:
    """
    Return stage one and stage two fitted on the ``beats`` of `recordings`, each as it is and disturbed.

    Parameters
    ----------
    recordings : sequence of Recording
        With channel ``ecg`` and annotations ``beats``.
    """
    rng = np.random.default_rng(seed)
    takes = [take for recording in recordings for take in _takes(recording, rng)]
    one = None
    for stage in (0, 1):
        rows = [_rows(*take, one) for take in takes]
        features = np.concatenate([(r.second if stage else r.first) for r in rows])
        scorer = _ensemble(
            features, np.concatenate([r.beat for r in rows]), np.concatenate([r.weight for r in rows]),
            _HIDDEN[stage], _ALL_COLUMNS[stage], seed,
        )  # fmt: skip
        if one is None:
            one = scorer
    assert one is not None
    return one, scorer


def _takes(recording: Recording, rng: np.random.Generator) -> list[tuple[Recording, NDArray[np.float32], float, float]]:
    """Return (recording, samples, time scale, weight) of the ECG as it is, with noise, with an electrode's faults."""
    samples, fs_hz = recording.require("ecg").samples, recording.require("ecg").fs_hz
    return [
        (recording, samples, 1.0, 1.0),
        # A tenth faster or slower: widths and intervals of more people than there are.
        (recording, with_noise(samples, fs_hz, rng), float(rng.uniform(0.9, 1.1)), 1.0),
        (recording, with_faults(samples, fs_hz, rng), 1.0, _FAULT_WEIGHT),
    ]


def with_noise(ecg: NDArray[np.float32], fs_hz: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the ECG with bursts of muscle noise, electrode motion and a gain that drifts."""
    x = bridge(ecg)[0]
    n = x.size
    size = float(np.percentile(np.abs(x - np.median(x)), 98)) + 1e-9
    knots = np.arange(0, n + 5 * fs_hz, 5 * fs_hz)
    burst = np.interp(np.arange(n), knots, rng.random(knots.size) ** 2)
    motion = sosfilt(
        butter(2, [1.0, rng.uniform(5.0, 12.0)], "bandpass", fs=fs_hz, output="sos"), rng.standard_normal(n)
    )
    motion *= np.roll(burst, n // 3) * size * rng.uniform(0.0, 0.5) / motion.std()
    muscle = rng.standard_normal(n) * burst * size * rng.uniform(0.0, 0.5)
    steps = int(n / fs_hz / 40) + 2
    gain = np.interp(np.arange(n), np.linspace(0, n, steps), np.exp(0.3 * rng.standard_normal(steps)))
    return ((x + motion + muscle) * gain).astype(np.float32)


def with_faults(ecg: NDArray[np.float32], fs_hz: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the ECG with what an electrode does: jumps that fade, steps of the gain up to five times, hiss."""
    x = bridge(ecg)[0].astype(np.float64)
    times = np.arange(x.size) / fs_hz
    size = float(np.percentile(np.abs(x - np.median(x)), 98)) + 1e-9
    edges = _now_and_then(60.0, float(times[-1]), rng)
    x *= np.exp(rng.uniform(-1.6, 0.0, edges.size + 1))[np.searchsorted(edges, times)]
    for at_s in _now_and_then(40.0, float(times[-1]), rng):
        first, fade_s = int(at_s * fs_hz), rng.uniform(0.2, 1.5)
        own = x[first : first + int(6 * fade_s * fs_hz)]
        own += rng.uniform(-5.0, 5.0) * size * np.exp(-np.arange(own.size) / (fade_s * fs_hz))
    x += rng.uniform(0.0, 0.05) * size * rng.standard_normal(x.size)
    return np.asarray(x, np.float32)


def _now_and_then(mean_s: float, until_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    times = np.cumsum(rng.exponential(mean_s, int(2 * until_s / mean_s) + 10))
    return np.asarray(times[times < until_s])


def _rows(recording: Recording, samples: NDArray[np.float32], scale: float, share: float, one: Scorer | None) -> Rows:
    fs_hz = recording.require("ecg").fs_hz * scale
    beats = recording.annotations["beats"]
    blocks, core_start = blocks_of(bridge(samples)[0], fs_hz)
    judged = judge_with(blocks, fs_hz, one, None)
    truth = beats.t_s / scale
    label, use = _labels(judged.found, core_start, truth)
    use &= ~judged.flutter
    rare = truth[np.array([code not in "NLR" for code in beats.label], bool)]
    weight = share * np.where(_near(judged.found, core_start, rare) & (label == 1), _RARE_WEIGHT, 1.0)
    return Rows(judged.found.first[use], judged.second[use], label[use], weight[use].astype(np.float32))


def _labels(
    found: Candidates, core_start: NDArray[np.float64], truth: NDArray[np.float64]
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return 1 for the candidate nearest to each beat (within 0.1 s), and which candidates to learn from."""
    times = found.time_s + core_start[:, None] - BEFORE_S
    label = np.zeros(found.valid.shape, np.int8)
    for row, (t, valid) in enumerate(zip(times, found.valid, strict=True)):
        slots = np.flatnonzero(valid)
        if not slots.size or not truth.size:
            continue
        here = truth[(truth > t[slots[0]] - _NEAR_S) & (truth < t[slots[-1]] + _NEAR_S)]
        distance = np.abs(t[slots][None, :] - here[:, None])
        nearest = distance.argmin(axis=1)
        close = distance[np.arange(here.size), nearest] < _NEAR_S
        label[row, slots[nearest[close]]] = 1
    judged = (found.time_s >= BEFORE_S - 2) & (found.time_s < BEFORE_S + CORE_S + AFTER_S - 2)
    last = truth[-1] if truth.size else 0.0
    return label, found.valid & judged & (times >= 0) & (times <= last + 2.0)


def _near(found: Candidates, core_start: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not truth.size:
        return np.zeros(found.valid.shape, bool)
    times = found.time_s + core_start[:, None] - BEFORE_S
    after = np.searchsorted(truth, times).clip(0, truth.size - 1)
    before = (after - 1).clip(0)
    near = np.minimum(np.abs(truth[after] - times), np.abs(truth[before] - times)) < _NEAR_S
    return np.asarray(near, np.bool_)


def _ensemble(
    features: NDArray[np.float32], beat: NDArray[np.int8], weight: NDArray[np.float32], hidden: int,
    columns: tuple[int, ...], seed: int,
) -> Scorer:  # fmt: skip
    from sklearn.neural_network import MLPClassifier

    x = features[:, list(columns)]
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-3
    z = np.clip((x - mean) / deviation, -2.5, 2.5)
    nets: list[Any] = []
    for member in range(_MEMBERS):
        rng = np.random.default_rng([seed, member])
        jittered = np.concatenate([z, z + _JITTER * rng.standard_normal(z.shape)]).astype(np.float32)
        net = MLPClassifier(
            (hidden,), alpha=1e-2, batch_size=512, learning_rate_init=2e-3, max_iter=8, random_state=seed + member,
            tol=0.0,
        )  # fmt: skip
        nets.append(_fitted(net, jittered, np.tile(beat, 2), np.tile(weight, 2)))
    return Scorer(
        columns, mean.astype(np.float32), deviation.astype(np.float32),
        [np.concatenate([n.coefs_[0] for n in nets], axis=1).astype(np.float32),
         np.concatenate([n.coefs_[1] / _MEMBERS for n in nets]).astype(np.float32)],
        [np.concatenate([n.intercepts_[0] for n in nets]).astype(np.float32),
         np.mean([n.intercepts_[1] for n in nets], axis=0).astype(np.float32)],
    )  # fmt: skip


def _fitted(net: Any, x: NDArray[np.float32], y: NDArray[np.int8], weight: NDArray[np.float32]) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says each time that it stopped at max_iter, which is what was asked
        return net.fit(x, y, sample_weight=weight)

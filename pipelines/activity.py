"""The task ``activity``: what the wearer does, every 4 s from the last 8 s, smoothed over time, and how hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.activities import CLASSES, class_of, enmo_mg, intensity, reference
from pipelines.falls.view import hold
from pipelines.motion_grid import AXES, GRID_HZ, LOOKBACK_S, motion_grid
from pipelines.task import ChannelSpec, Estimate, Metrics, Outputs, Windows, WindowSpec

LENGTH, STEP = round(8 * GRID_HZ), round(4 * GRID_HZ)
WINDOW = WindowSpec(LENGTH / GRID_HZ, STEP / GRID_HZ, LOOKBACK_S)
LIMIT_G = 2.0  # as the narrowest device: so that the range of the sensor tells nothing
INPUT, OUTPUT = "motion", "activity"
SIGNALS = ("forearm", "size", "movement", "jerk", "along", "across", "tilt")
_SMOOTH = 21  # samples (1.05 s)
_ENOUGH = 0.5  # of a window's samples
_FLOOR = 1e-3  # no single window may rule a class out
DWELL_S = 60.0


class Activity:
    """Activity from the wrist's accelerometer, in seven classes."""

    name: str = "activity"
    title: str = "Activity from the wrist's accelerometer"
    version: str = "1"
    kind: str = "activity"
    channels: tuple[ChannelSpec, ...] = tuple(ChannelSpec(axis, required=True) for axis in AXES)
    window: WindowSpec = WINDOW
    metric: str = "f1_macro"
    higher_is_better: bool = True
    network: bool = True
    datasets: tuple[str, ...] = ("wisdm", "weda-fall", "smartfallmm")

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """
        Cut windows of 8 s every 4 s; `extras`: ``enmo_mg``. `quality` is the share of samples that were there.
        """
        end_s = min(recording.require(name).end_s for name in AXES)
        first, last = windows if windows is not None else (0, self.window.count(end_s))
        n = max(0, last - first)
        stop = (first + n) * STEP + LENGTH - STEP if n else first * STEP
        spans = spans_of(motion_grid(recording, first * STEP, stop, limit_g=LIMIT_G))
        start_s = np.asarray((first + np.arange(n)) * self.window.step_s, np.float64)
        return Windows(
            {INPUT: view(spans)}, start_s, np.asarray(start_s + self.window.length_s, np.float64),
            np.isfinite(spans).all(axis=2).mean(axis=1).astype(np.float32) if n else np.empty(0, np.float32),
            {"enmo_mg": enmo_mg(spans)},
        )  # fmt: skip

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        """Return one-hot classes, shape (n, 7); NaN where unknown."""
        code = reference(recording, windows.start_s, windows.end_s)
        one_hot = np.eye(len(CLASSES), dtype=np.float32)[np.maximum(code, 0)]
        one_hot[code < 0] = np.nan
        return {OUTPUT: one_hot}

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> ActivityDecoder:
        """Return a decoder that smooths over the past, or over past and future if `offline`."""
        return ActivityDecoder(float((config or {}).get("dwell_s", DWELL_S)), offline=offline)

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return what intensity alone says: still, eating, household, walking or running by ENMO."""
        cuts = np.array([18.0, 35.0, 70.0, 350.0])
        named = [CLASSES.index(c) for c in ("still", "eat", "household", "walk", "run")]
        code = np.array(named)[np.searchsorted(cuts, windows.extras["enmo_mg"])]
        outputs = {OUTPUT: np.eye(len(CLASSES), dtype=np.float32)[code] * 0.8 + 0.2 / len(CLASSES)}
        return ActivityDecoder(DWELL_S).update(outputs, windows)

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """Return the confusion of this recording: ``confusion`` {true: {said: windows}}."""
        known = [e for e in estimates if isinstance(e.value, str)]
        start, end = (np.array([getattr(e, a) for e in known], np.float64) for a in ("start_s", "end_s"))
        confusion: dict[str, dict[str, int]] = {}
        for code, estimate in zip(reference(recording, start, end), known, strict=True):
            if code >= 0:
                row = confusion.setdefault(CLASSES[code], {})
                row[str(estimate.value)] = row.get(str(estimate.value), 0) + 1
        name = recording.meta.get("activity", "")
        return {"activity": name, "class": class_of(name) or "", "dataset": recording.dataset, "confusion": confusion}

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return ``f1_macro`` over the classes that occur, ``accuracy``, and F1 of each class."""
        matrix = confusion_matrix(scores)
        hits, truth, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        f1 = 2 * hits / np.maximum(truth + said, 1)
        there = truth > 0
        metrics: Metrics = {
            "f1_macro": float(f1[there].mean()) if there.any() else None,
            "accuracy": float(hits.sum() / truth.sum()) if there.any() else None,
        }
        return metrics | {f"f1_{c}": float(f1[k]) if there[k] else None for k, c in enumerate(CLASSES)}


class ActivityDecoder:
    """
    Smooths class probabilities by a hidden Markov model in which an activity lasts `dwell_s` on average.

    Causal: the forward recursion. Offline: forward and backward, given by `finish`.

    Parameters
    ----------
    dwell_s : float
    offline : bool, default=False
    """

    def __init__(self, dwell_s: float, *, offline: bool = False) -> None:
        n = len(CLASSES)
        stay = max(0.0, 1 - WINDOW.step_s / dwell_s)
        self._move = np.full((n, n), (1 - stay) / (n - 1))
        np.fill_diagonal(self._move, stay)
        self._belief = np.full(n, 1 / n)
        self._offline = offline
        self._held: list[tuple[NDArray[np.float64], NDArray[np.float64], Estimate]] = []

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        """Return one estimate a window; `value` None where too little was sensed (nothing yet if offline)."""
        found = []
        enmo = windows.extras["enmo_mg"]
        for row in range(len(windows)):
            seen = float(windows.quality[row]) >= _ENOUGH
            likely = np.maximum(outputs[OUTPUT][row].astype(np.float64), _FLOOR) if seen else np.ones(len(CLASSES))
            belief = (self._belief @ self._move) * likely
            self._belief = belief / belief.sum()
            span = (float(windows.start_s[row]), float(windows.end_s[row]), float(windows.quality[row]))
            estimate = _estimate(self._belief, span, float(enmo[row]), seen)
            if self._offline:
                self._held.append((self._belief, likely, estimate))
            else:
                found.append(estimate)
        return found

    def finish(self) -> list[Estimate]:
        """Return the smoothed estimates of an offline decoder; nothing of a causal one."""
        after = np.ones(len(CLASSES))
        found = []
        for belief, likely, estimate in reversed(self._held):
            both = belief * after
            span = (estimate.start_s, estimate.end_s, estimate.quality)
            seen = estimate.value is not None
            found.append(_estimate(both / both.sum(), span, float(estimate.extras["enmo_mg"]), seen))
            after = self._move @ (likely * after)
            after = after / after.sum()
        self._held = []
        return found[::-1]

    def state(self) -> dict[str, Any]:
        """Return the belief over classes."""
        return {"belief": [float(p) for p in self._belief]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._belief = np.array(state["belief"], np.float64)


def view(motion_g: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Return the network's input for windows of samples.

    The strap holds the sensor's x axis along the forearm; everything else about how a watch is worn is free. So the
    signals use the forearm's axis without its sign and what lies across it without its direction: a turn about the
    forearm (inside of the wrist), the other way round, and the other wrist change nothing.

    Parameters
    ----------
    motion_g : ndarray of float32, shape (n, LENGTH, 3)
        May hold NaN.

    Returns
    -------
    ndarray of float32, shape (n, 1, LENGTH, 7)
    """
    x = hold(motion_g)
    posture = _smooth(x)
    size = np.linalg.norm(x, axis=2)
    direction = posture / np.maximum(np.linalg.norm(posture, axis=2, keepdims=True), 0.2)
    fast = x - posture
    # The forearm's sign: that of its mean posture, so that all flips give the same.
    sign = np.where(posture[..., 0].mean(axis=1, keepdims=True) < 0, -1.0, 1.0)
    signals = (
        np.abs(direction[..., 0]),
        size - 1,
        _log(np.linalg.norm(fast, axis=2)),
        _log(np.linalg.norm(np.diff(x, axis=1, prepend=x[:, :1]), axis=2)),
        fast[..., 0] * sign,
        np.linalg.norm(x[..., 1:], axis=2) - 1,
        np.linalg.norm(direction - direction.mean(axis=1, keepdims=True), axis=2),
    )
    return np.stack(signals, axis=-1).astype(np.float32)[:, None]


def spans_of(motion_g: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each whole window of samples on the grid, shape (n_windows, LENGTH, 3), without copying."""
    if len(motion_g) < LENGTH:
        return np.empty((0, LENGTH, 3), np.float32)
    return np.lib.stride_tricks.sliding_window_view(motion_g, LENGTH, axis=0)[::STEP].transpose(0, 2, 1)


def confusion_matrix(scores: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Return windows by true (rows) and said (columns) class over the rows of `Activity.score`."""
    matrix = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for score in scores:
        for true, row in score["confusion"].items():
            for said, n in row.items():
                matrix[CLASSES.index(true), CLASSES.index(said)] += n
    return matrix


def _estimate(
    belief: NDArray[np.float64], span: tuple[float, float, float], enmo: float, seen: bool
) -> Estimate:  # fmt: skip
    best = int(belief.argmax())
    probability = float(belief[best])
    extras = {"probability": round(probability, 3), "enmo_mg": round(enmo, 1), "intensity": intensity(enmo)}
    value = CLASSES[best] if seen else None
    return Estimate("activity", span[0], span[1], value, round(1 - probability, 4), span[2], extras)


def _smooth(x: NDArray[np.float32]) -> NDArray[np.float32]:
    half = _SMOOTH // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (half + 1, half), (0, 0)), mode="edge")
    padded[:, 0] = 0
    total = np.cumsum(padded, axis=1)
    return np.asarray((total[:, _SMOOTH:] - total[:, :-_SMOOTH]) / _SMOOTH, np.float32)


def _log(size: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    return np.asarray(np.log2(size + 0.01) / 3 + 1)


TASK = Activity()

"""Errors of heart-rate estimates against a recording's reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Annotations, Recording
from pipelines.pulse_features import LENGTH_S
from pipelines.task import Estimate, Metrics

_KEPT = 0.8  # coverage at which a gated error is stated
_LONGEST_STEP_S = 5.0  # marks further apart are not joined by a line
_FEWEST_BEATS = 3


def reference_bpm(recording: Recording, ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the reference of the 8 s windows that end at `ends_s`; NaN where unknown.

    From ``hr`` marks where there are any (between two marks at most 5 s apart by a straight line), else from beats:
    60 (n - 1) / (last - first) of those labelled N inside the window, at least three.
    """
    if "hr" in recording.annotations:
        return _from_marks(recording.annotations["hr"], ends_s)
    if "beats" in recording.annotations:
        return _from_beats(recording.annotations["beats"], ends_s)
    return np.full(ends_s.size, np.nan)


def _from_marks(marks: Annotations, ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(marks.value)
    times, values = marks.t_s[known], marks.value[known]
    if not times.size:
        return np.full(ends_s.size, np.nan)
    after = np.clip(np.searchsorted(times, ends_s), 0, times.size - 1)
    before = np.maximum(after - 1, 0)
    at_mark = np.minimum(np.abs(times[after] - ends_s), np.abs(times[before] - ends_s)) <= 0.05
    between = (times[before] <= ends_s) & (ends_s <= times[after]) & (times[after] - times[before] <= _LONGEST_STEP_S)
    return np.where(at_mark | between, np.interp(ends_s, times, values), np.nan)


def _from_beats(beats: Annotations, ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
    times = beats.t_s[np.array([label in ("N", "") for label in beats.label], bool)]
    first, last = np.searchsorted(times, ends_s - LENGTH_S), np.searchsorted(times, ends_s)
    out = np.full(ends_s.size, np.nan)
    for k in np.flatnonzero(last - first >= _FEWEST_BEATS):
        out[k] = 60.0 * (last[k] - first[k] - 1) / (times[last[k] - 1] - times[first[k]])
    return out


def score(estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
    """
    Return one recording's metrics over the windows with a reference.

    ``mae_bpm`` and ``within_5_bpm`` are over the windows that the gate answered (share: ``coverage``);
    ``mae_bpm_full`` takes the best guess of the refused ones too. ``windows`` holds [end s, reference, guess,
    half width, quality, answered] of each, for pictures and for coverage curves over recordings.
    """
    ends = np.array([e.end_s for e in estimates])
    truth = reference_bpm(recording, ends) if ends.size else np.empty(0)
    rows = [
        [e.end_s, round(float(t), 2), float(e.extras["guess_bpm"]), e.uncertainty, e.quality, int(e.value is not None)]
        for e, t in zip(estimates, truth, strict=True)
        if np.isfinite(t)
    ]
    table = np.array(rows, np.float64).reshape(-1, 6)
    error, answered = np.abs(table[:, 2] - table[:, 1]), table[:, 5] > 0
    return {
        "activity": recording.meta.get("activity", ""),
        "n_windows": len(rows),
        "mae_bpm": _mean(error[answered]),
        "mae_bpm_full": _mean(error),
        "mae_bpm_own_mean": _mean(np.abs(table[:, 1] - table[:, 1].mean())) if rows else None,
        "within_5_bpm": _mean(error[answered] <= 5.0),
        "coverage": _mean(answered),
        "interval_coverage": _mean(error <= table[:, 3]),
        "windows": rows,
    }


def summarise(scores: Sequence[Mapping[str, Any]]) -> Metrics:
    """
    Return the metrics over recordings.

    ``mae_bpm`` and ``mae_bpm_full`` are means over recordings, the others over windows: ``mae_bpm_windows``,
    ``within_5_bpm``, ``coverage``, ``mae_bpm_at_80`` (the 80 % of all windows of the best quality),
    ``interval_coverage`` (of the 90 % interval) and ``mae_bpm_own_mean``, what each recording's own mean would err.
    """
    tables = [np.array(s["windows"], np.float64).reshape(-1, 6) for s in scores]
    table = np.concatenate([*tables, np.empty((0, 6))])
    if not len(table):
        return {"mae_bpm": None, "coverage": None}
    error, answered = np.abs(table[:, 2] - table[:, 1]), table[:, 5] > 0
    best = np.argsort(-table[:, 4], kind="stable")[: max(1, round(_KEPT * len(table)))]
    return {
        "mae_bpm": _over_recordings(scores, "mae_bpm"),
        "mae_bpm_windows": _mean(error[answered]),
        "within_5_bpm": _mean(error[answered] <= 5.0),
        "coverage": _mean(answered),
        "mae_bpm_full": _over_recordings(scores, "mae_bpm_full"),
        "mae_bpm_at_80": _mean(error[best]),
        "interval_coverage": _mean(error <= table[:, 3]),
        "mae_bpm_own_mean": _over_recordings(scores, "mae_bpm_own_mean"),
    }


def _mean(values: NDArray[Any]) -> float | None:
    return float(np.mean(values)) if values.size else None


def _over_recordings(scores: Sequence[Mapping[str, Any]], key: str) -> float | None:
    return _mean(np.array([s[key] for s in scores if s.get(key) is not None], np.float64))

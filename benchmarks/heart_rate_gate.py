"""What turns a belief into a chance and an interval: fitted on people, judged on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.heart_rate import Judged, half_width, log_odds, quality_of

NEAR_BPM = 5.0  # an error below it counts as right
GATE = 0.75
_LEVEL = 0.9
_RIDGE = 1.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """
    One recording's windows with a reference, as one network left them.

    Parameters
    ----------
    key, set, subject : str
    activity : tuple of str
        Of each window.
    end_s, reference : ndarray, shape (n,)
    judged : list of Judged
    """

    key: str
    set: str
    subject: str
    activity: tuple[str, ...]
    end_s: Floats
    reference: Floats
    judged: Sequence[Judged]

    @property
    def guess(self) -> Floats:
        """Return the estimates in BPM."""
        return np.array([j.guess_bpm for j in self.judged])

    @property
    def error(self) -> Floats:
        """Return absolute errors in BPM."""
        return np.asarray(np.abs(self.guess - self.reference), np.float64)

    @property
    def spread(self) -> Floats:
        """Return the belief's half span in BPM."""
        return np.array([j.spread_bpm for j in self.judged])


def fit(recordings: Sequence[Scored]) -> dict[str, float]:
    """
    Return the decoder's calibration from recordings that its network was not trained on.

    Each set counts alike for the chance of being right, so that the gate knows both clear and hopeless light; for the
    interval each recording does.
    """
    return {**_chance(recordings), **_interval(recordings), "gate": GATE}


def _chance(recordings: Sequence[Scored]) -> dict[str, float]:
    rows = np.array([[1.0, log_odds(j.mass), log_odds(j.seen), j.motion] for r in recordings for j in r.judged])
    right = np.concatenate([r.error for r in recordings]) <= NEAR_BPM
    sets = np.concatenate([np.full(len(r.judged), r.set) for r in recordings])
    weight = np.ones(right.size)
    for name in np.unique(sets):
        weight[sets == name] = right.size / (np.unique(sets).size * (sets == name).sum())
    beta = np.zeros(4)
    for _ in range(25):  # Newton's method; a dozen steps suffice
        p = 1 / (1 + np.exp(-rows @ beta))
        slope = rows.T @ (weight * (right - p)) - _RIDGE * beta
        curve = (rows * (weight * p * (1 - p))[:, None]).T @ rows + _RIDGE * np.eye(4)
        beta = beta + np.linalg.solve(curve, slope)
    names = ("quality_bias", "quality_mass", "quality_seen", "quality_motion")
    return dict(zip(names, map(float, beta.round(3)), strict=True))


def _interval(recordings: Sequence[Scored]) -> dict[str, float]:
    """Fit the 90 % line of the log error over the log spread, by the quantile's own loss."""
    spread = np.log(np.concatenate([r.spread for r in recordings]))
    error = np.log(np.maximum(np.concatenate([r.error for r in recordings]), 0.05))
    share = np.concatenate([np.full(len(r.judged), 1 / len(r.judged)) for r in recordings])
    best = (np.inf, 0.0, 0.0)
    for power in np.arange(0.6, 2.6, 0.1):
        rest = error - power * spread
        order = np.argsort(rest)
        level = float(rest[order][np.searchsorted(np.cumsum(share[order]), _LEVEL * share.sum())])
        over = rest - level
        loss = float((share * np.where(over > 0, _LEVEL * over, (_LEVEL - 1) * over)).sum())
        best = min(best, (loss, level, float(power)))
    return {"width_log": round(best[1], 3), "width_power": round(best[2], 2)}


def table(recording: Scored, config: Mapping[str, float]) -> Floats:
    """Return [end s, reference, estimate, half width, quality, answered] of each window."""
    half = [half_width(j.spread_bpm, config) for j in recording.judged]
    quality = np.array([quality_of(j, config) for j in recording.judged])
    return np.column_stack(
        [recording.end_s, recording.reference, recording.guess, half, quality, quality >= config["gate"]]
    )  # fmt: skip


def tables(recordings: Sequence[Scored], known: Sequence[Scored]) -> list[Floats]:
    """Return `table` of each recording, calibrated on those of `known` that are of other subjects."""
    configs = {s: fit([r for r in known if r.subject != s]) for s in {r.subject for r in recordings}}
    return [table(r, configs[r.subject]) for r in recordings]

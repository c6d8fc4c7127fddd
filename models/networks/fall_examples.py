"""What the fall network learns from: impacts of recordings, as devices of ±2 g and ±4 g have them, and augmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.training.recipe import Examples
from pipelines.fall_detection import INPUT, LIMIT_G, OUTPUT, TASK
from pipelines.falls.scoring import is_fall
from pipelines.falls.trigger import AFTER, BEFORE, SLOT, find_impacts, spans_of
from pipelines.falls.view import LENGTH, around, view
from pipelines.motion_grid import AXES, delay_s, motion_grid

CLIPS_G = (2.0, LIMIT_G)  # every movement as a device of ±2 g and as one of ±4 g and more has it
COPIES = 2  # of each clip, differently augmented
_TRIGGER_G = 1.5  # weaker impacts teach too
_WEAK = 0.15  # weight of falls whose moment is unknown: some of those files hold no fall at all
_WEAK_PEAK_G = 1.6
_FALL_WEIGHT = 2.0
_MOST_LOST = BEFORE - 8  # samples: the approach to an impact is never all gone


@dataclass(frozen=True)
class Impacts:
    """
    The impacts of one recording, as one device has them.

    Parameters
    ----------
    near_g : ndarray of float32, shape (n, LENGTH, 3)
    fall : ndarray of float32, shape (n,)
        1 or 0.
    weight : ndarray of float32, shape (n,)
    recording : Recording
    """

    near_g: NDArray[np.float32]
    fall: NDArray[np.float32]
    weight: NDArray[np.float32]
    recording: Recording


def impacts_of(recording: Recording, clip_g: float) -> Impacts:
    """Return those impacts of `recording` of which somebody knows whether they are a fall's."""
    axes = [recording.require(name) for name in AXES]
    n = TASK.window.count(min(axis.end_s for axis in axes))
    motion = motion_grid(recording, -BEFORE, n * SLOT + AFTER, limit_g=clip_g)
    windows = TASK.windows_of(motion, 0, max(delay_s(axis) for axis in axes), trigger_g=_TRIGGER_G)
    target = TASK.targets(recording, windows)[OUTPUT][:, 0]
    weight = np.where(np.isnan(target), 0.0, np.where(target == 1, _FALL_WEIGHT, 1.0)).astype(np.float32)
    if weak(recording):
        weight *= np.where(windows.extras["peak_g"] >= _WEAK_PEAK_G, _WEAK, 0.0).astype(np.float32)
    rows = np.flatnonzero(weight > 0)
    spans = spans_of(motion)[rows]
    near = around(spans, find_impacts(spans, _TRIGGER_G).at)
    return Impacts(near, target[rows].astype(np.float32), weight[rows], recording)


def weak(recording: Recording) -> bool:
    """Return whether `recording` is called a fall by a label that is not to be trusted."""
    return recording.meta.get("label_quality") == "weak" and bool(is_fall(recording))


def fall_examples(recordings: Sequence[Recording], seed: int) -> Examples:
    """
    Return the impacts of all recordings, clipped at 2 g and 4 g, with gain, pace, lost beginnings and lost ends.

    Where trials are staged, the beginning of an activity's impact is often missing (nothing was recorded before) and a
    fall's hardly ever: a network would learn how trials were cut. So falls, and life that was never cut, lose as much.
    Turning and mirroring the watch need no augmentation: the view does not see them.
    """
    rng = np.random.default_rng(seed)
    parts = [impacts_of(r, clip) for r in recordings for clip in CLIPS_G]
    staged = {r.dataset for r in recordings if is_fall(r)}
    lost = [lost_beginning(p.near_g[p.fall == 0]) for p in parts if p.recording.dataset in staged]
    pool = np.concatenate([*lost, np.zeros(1, np.intp)])
    rows = []
    for part in parts:
        cut = (part.fall == 1) | (part.recording.dataset not in staged)
        for _ in range(COPIES):
            near = augmented(part.near_g, rng)
            begin = np.where(cut, rng.choice(pool, cut.size), 0)
            near[np.arange(LENGTH) < begin[:, None]] = np.nan
            rows.append((view(near), part.fall[:, None], part.weight, part.recording))
    n = [len(r[2]) for r in rows]
    return Examples(
        {INPUT: np.concatenate([r[0] for r in rows])},
        {OUTPUT: np.concatenate([r[1] for r in rows])},
        np.concatenate([r[2] for r in rows]),
        np.repeat([r[3].subject for r in rows], n),
        np.repeat([r[3].id for r in rows], n),
    )


def lost_beginning(near_g: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return how many samples are missing before the first of each row that is there; at most what may be lost."""
    seen = np.asarray(~np.isnan(near_g).any(axis=2))
    return np.minimum(np.where(seen.any(axis=1), seen.argmax(axis=1), LENGTH), _MOST_LOST)


def augmented(near_g: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """
    Return impacts 8 % faster or slower and 10 % stronger or weaker, one in ten without its beginning, one in fifteen
    without its end.
    """
    n = len(near_g)
    time = np.arange(LENGTH)
    pace, shift = np.exp(rng.normal(0, 0.08, (n, 1))), rng.uniform(-0.5, 0.5, (n, 1))
    at = np.clip((time - BEFORE) * pace + BEFORE + shift, 0, LENGTH - 1.001)
    left, part = at.astype(np.intp)[..., None], (at % 1)[..., None].astype(np.float32)
    near_g = np.take_along_axis(near_g, left, 1) * (1 - part) + np.take_along_axis(near_g, left + 1, 1) * part
    out = (near_g * rng.normal(1, 0.1, (n, 1, 1))).astype(np.float32)
    begins = np.where(rng.random(n) < 0.1, rng.integers(0, _MOST_LOST, n), 0)
    ends = np.where(rng.random(n) < 0.07, BEFORE + rng.integers(15, AFTER, n), LENGTH)
    out[(time < begins[:, None]) | (time >= ends[:, None])] = np.nan
    return out

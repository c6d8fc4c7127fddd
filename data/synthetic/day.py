"""Part of a seeded day on a wrist: sitting, typing, walking, eating, and one fall, with a pulse all along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.recording import Recording
from data.synthetic import motion
from data.synthetic.wearer import wearer

_PARTS = (
    ("still", 0.2), ("typing", 0.2), ("walk", 0.15), ("eating", 0.15), ("fall", 0.1), ("still", 0.2),
)  # fmt: skip


def day(*, minutes: float, seed: int, bpm: float = 72.0) -> Recording:
    """
    Return `minutes` of a day, its parts in a fixed order.

    Parameters
    ----------
    minutes : float
        At least 10, so that a minute lies before and after the fall.
    seed : int
    bpm : float, default=72
        Mean heart rate.

    Returns
    -------
    Recording
        ``ppg`` at 64 Hz and ``acc_x|y|z`` at 50 Hz; annotations ``beats``, ``hr`` and ``fall``.

    Raises
    ------
    ValueError
        If it is too short.
    """
    if minutes < 10:
        raise ValueError(f"a day needs at least 10 minutes. Got {minutes} instead.")
    rng = np.random.default_rng(seed)
    pieces, fall_s, now_s = [], 0.0, 0.0
    for name, share in _PARTS:
        seconds = share * minutes * 60.0
        if name == "fall":
            samples, impact_s = motion.fall(rng, before_s=seconds / 2, after_s=seconds / 2)
            fall_s = now_s + impact_s
        elif name == "walk":
            samples, _ = motion.walk(seconds, rng)
        else:
            samples = {"still": motion.still, "typing": motion.typing, "eating": motion.eating}[name](seconds, rng)
        pieces.append(samples)
        now_s += len(samples) / motion.FS_HZ
    moved = motion.recording(np.concatenate(pieces), name=f"day_{seed}", fall_s=fall_s)
    pulse = wearer(["ppg"], seconds=moved.end_s, seed=seed, bpm=bpm)
    channels = {**pulse.channels, **moved.channels}
    annotations = {**pulse.annotations, **moved.annotations}
    return replace(moved, channels=channels, annotations=annotations, origin=f"data.synthetic.day(seed={seed})")

"""The little raw signal that the mock person's watch sends: the fall, and the last minutes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.recording import Recording
from data.synthetic import motion
from data.synthetic.wearer import wearer
from services.person.life import Life

BEFORE_FALL_S, AFTER_FALL_S = 72.0, 108.0
# The impact comes so far into its minute.
IMPACT_MIN = 0.4


def around_fall(life: Life, minute: int, seed: int) -> Recording:
    """Return pulse and acceleration around a fall: a walk, the fall, and lying still."""
    rng = np.random.default_rng((seed, minute))
    samples, impact_s = motion.fall(rng, before_s=BEFORE_FALL_S, after_s=AFTER_FALL_S)
    moved = motion.recording(samples, name=f"fall_{seed}", fall_s=impact_s)
    return _worn(life, moved, minute + IMPACT_MIN - impact_s / 60.0, seed)


def last_minutes(life: Life, minutes: int, seed: int) -> Recording:
    """Return pulse and acceleration of the life's last `minutes`, which the wearer sits through."""
    rng = np.random.default_rng((seed, len(life)))
    sat = motion.recording(motion.typing(minutes * 60.0, rng), name=f"now_{seed}")
    return _worn(life, sat, len(life) - minutes, seed)


def _worn(life: Life, moved: Recording, first_min: float, seed: int) -> Recording:
    """Add the pulse of those minutes, and when they were."""
    span = slice(max(0, int(first_min)), max(1, int(first_min + moved.end_s / 60.0)))
    known = life.heart_rate_bpm[span][np.isfinite(life.heart_rate_bpm[span])]
    bpm = float(known.mean()) if known.size else 70.0
    pulse = wearer(["ppg"], seconds=moved.end_s, seed=seed, bpm=bpm)
    channels = {**moved.channels, **pulse.channels}
    offset_s = int(life.utc_offset_s[min(len(life) - 1, max(0, int(first_min)))])
    return replace(moved, channels=channels, start=life.time(first_min), utc_offset_s=offset_s)

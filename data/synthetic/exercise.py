"""A seeded recording of exercise with known heart rate: motion lines cross the pulse's, whatever the rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.recording import Annotations, Channel, Recording
from data.synthetic.pulse import arm_motion, artefact, pulse_wave, rate_walk, window_means


def exercise(
    *, seconds: float = 180.0, seed: int = 0, fs_hz: float = 64.0, n_ppg: int = 1, artefact_strength: float = 6.0,
    start_bpm: float | None = None,
) -> Recording:  # fmt: skip
    """
    Return PPG and acceleration of an exercising wearer; motion and heart rate are drawn independently.

    Parameters
    ----------
    seconds, fs_hz : float
    seed : int
        The same seed gives the same samples.
    n_ppg : int, default=1
        PPG channels, 1 to 3, each with its own artefact.
    artefact_strength : float, default=6.0
        Of the artefact per g of motion, where the pulse has RMS 1.
    start_bpm : float, optional

    Returns
    -------
    Recording
        With ``hr`` annotations (mean BPM of the 8 s that end at each mark, every 2 s).
    """
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * fs_hz)) / fs_hz
    walk = rate_walk(rng, seconds, start_bpm)
    pulse, acc = pulse_wave(rng, walk, times), arm_motion(rng, times)
    channels = {}
    for name in ("ppg", "ppg_2", "ppg_3")[:n_ppg]:
        noise = 0.15 * rng.normal(size=times.size)
        channels[name] = _channel(name, fs_hz, pulse + artefact_strength * artefact(rng, acc, fs_hz) + noise)
    for name, axis in zip(("acc_x", "acc_y", "acc_z"), acc, strict=True):
        channels[name] = _channel(name, fs_hz, axis)
    ends = np.arange(8.0, seconds + 1e-9, 2.0)
    return Recording(
        f"exercise_{seed}", f"exercise_{seed}", channels, {"hr": Annotations(ends, value=window_means(walk, ends))},
        dataset="synthetic", origin=f"data.synthetic.exercise(seed={seed})", licence="MIT",
        meta={"activity": "synthetic exercise"},
    )  # fmt: skip


def _channel(name: str, fs_hz: float, samples: NDArray[np.float64]) -> Channel:
    return Channel(name, fs_hz, samples.astype(np.float32))

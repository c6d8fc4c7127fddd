"""A seeded wearer with every channel that a task may ask for: plain signals of known truth, for tests and demos."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from data.recording import Annotations, Channel, Recording

RATES_HZ = {"ppg": 64.0, "acc": 32.0, "gyro": 32.0, "ecg": 250.0}


def wearer(channels: Iterable[str], *, seconds: float, seed: int, bpm: float = 66.0) -> Recording:
    """
    Return a recording of a wearer at rest, who moves now and then.

    Parameters
    ----------
    channels : iterable of str
        Names from `data.recording.CHANNEL_UNITS`.
    seconds : float
    seed : int
        The same seed gives the same samples.
    bpm : float, default=66.0
        Mean heart rate; beats vary by about 3 % around it.

    Returns
    -------
    Recording
        With ``beats`` and ``hr`` annotations that are true by construction.
    """
    rng = np.random.default_rng(seed)
    beats = _beats(seconds, bpm, rng)
    made = {name: _channel(name, seconds, beats, rng) for name in channels}
    ends = np.arange(8.0, seconds + 1e-9, 2.0)
    rate = np.array([_mean_bpm(beats, end - 8.0, end) for end in ends])
    return Recording(
        f"wearer_{seed}", f"wearer_{seed}", made,
        {"beats": Annotations(beats, ("N",) * beats.size), "hr": Annotations(ends, value=rate)},
        dataset="synthetic", origin=f"data.synthetic.wearer(seed={seed})", licence="MIT",
    )  # fmt: skip


def _beats(seconds: float, bpm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    intervals = 60.0 / bpm * (1 + 0.03 * rng.standard_normal(int(seconds * bpm / 60 * 1.5) + 10))
    beats = np.cumsum(intervals)
    return beats[beats < seconds]


def _mean_bpm(beats: NDArray[np.float64], start_s: float, end_s: float) -> float:
    inside = beats[(beats >= start_s) & (beats < end_s)]
    return 60.0 * (inside.size - 1) / float(inside[-1] - inside[0]) if inside.size > 1 else float("nan")


def _channel(name: str, seconds: float, beats: NDArray[np.float64], rng: np.random.Generator) -> Channel:
    if name in {"hr", "counts"}:
        return _sparse(name, seconds, beats, rng)
    family = name.split("_")[0]
    fs = RATES_HZ[family]
    times = np.arange(int(seconds * fs)) / fs
    noise = rng.standard_normal(times.size)
    if family in {"ppg", "ecg"}:
        width, delay = (0.12, 0.2) if family == "ppg" else (0.012, 0.0)
        samples = _pulses(times, beats + delay, width) + 0.02 * noise
    else:
        moving = (np.sin(2 * np.pi * times / 41.0) > 0.8) * np.sin(2 * np.pi * 1.6 * times)
        gravity = {"acc_x": 0.1, "acc_y": -0.2, "acc_z": 0.97}.get(name, 0.0)
        samples = gravity + 0.3 * moving + 0.01 * noise
    return Channel(name, fs, samples.astype(np.float32))


def _pulses(times: NDArray[np.float64], at: NDArray[np.float64], width_s: float) -> NDArray[np.float64]:
    nearest = np.clip(np.searchsorted(at, times), 1, at.size - 1)
    gap = np.minimum(np.abs(times - at[nearest - 1]), np.abs(times - at[nearest]))
    return np.exp(-0.5 * (gap / width_s) ** 2)


def _sparse(name: str, seconds: float, beats: NDArray[np.float64], rng: np.random.Generator) -> Channel:
    times = np.arange(0.0, seconds, 5.0 if name == "hr" else 15.0)
    if name == "hr":
        values = 60.0 / np.interp(times, beats[1:], np.diff(beats))
    else:
        values = np.where(rng.random(times.size) < 0.1, rng.uniform(10, 200, times.size), 0.0)
    return Channel(name, 1 / (times[1] - times[0]), values.astype(np.float32), times_s=times)

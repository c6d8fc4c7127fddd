"""Heart rates, pulses and arm motion drawn independently of each other, from a seeded generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

Floats = NDArray[np.float64]

_RATE_HZ = 4.0  # of the heart-rate walk
_LOWEST_BPM, _HIGHEST_BPM = 40.0, 200.0


def rate_walk(rng: np.random.Generator, seconds: float, start_bpm: float | None = None) -> Floats:
    """
    Return a heart rate that wanders, climbs and recovers by up to 1 BPM a second.

    Parameters
    ----------
    rng : Generator
    seconds : float
    start_bpm : float, optional
        Default: drawn evenly from 45 to 185 BPM.

    Returns
    -------
    ndarray, shape (4 * seconds + 1,)
        BPM at 4 Hz.
    """
    n = int(np.ceil(seconds * _RATE_HZ)) + 1
    rate = start_bpm or rng.uniform(45, 185)
    target, speed = rate, 0.0
    # A new goal every 45 s on average, as efforts change.
    new_goal = rng.random(n) < 1 / (45 * _RATE_HZ)
    effort, goals, jitter = rng.uniform(0.3, 1.0, n), rng.normal(0, 30, n), rng.normal(0, 0.15, n)
    out = np.empty(n)
    for k in range(n):
        if new_goal[k]:
            target = float(np.clip(rate + goals[k], _LOWEST_BPM, _HIGHEST_BPM))
        wanted = np.clip((target - rate) / 20, -1, 1) * effort[k]
        speed += (wanted - speed) / (4 * _RATE_HZ)
        rate = float(np.clip(rate + speed / _RATE_HZ + jitter[k], _LOWEST_BPM, _HIGHEST_BPM))
        out[k] = rate
    return out


def rate_at(walk: Floats, times_s: Floats) -> Floats:
    """Return the walk's BPM at times in seconds."""
    return np.asarray(np.interp(times_s, np.arange(walk.size) / _RATE_HZ, walk), np.float64)


def window_means(walk: Floats, ends_s: Floats, length_s: float = 8.0) -> Floats:
    """Return the mean BPM of the windows that end at `ends_s`."""
    sums = np.concatenate([[0.0], np.cumsum(walk)])
    last = np.minimum((ends_s * _RATE_HZ).astype(int) + 1, walk.size)
    first = np.maximum(last - int(length_s * _RATE_HZ), 0)
    return np.asarray((sums[last] - sums[first]) / (last - first), np.float64)


def pulse_wave(rng: np.random.Generator, walk: Floats, times_s: Floats) -> Floats:
    """
    Return a pulse wave of RMS about 1 at the rate of `walk`.

    Three harmonics of random weight and phase; beats vary with breathing and at random; strength drifts.
    """
    step = np.gradient(times_s)
    breathing = rng.uniform(0, 0.04) * np.sin(2 * np.pi * rng.uniform(0.15, 0.4) * times_s + rng.uniform(0, 6.3))
    rate_hz = rate_at(walk, times_s) / 60 * (1 + breathing + slow_noise(rng, times_s, 0.7, rng.uniform(0, 0.02)))
    phase = 2 * np.pi * np.cumsum(rate_hz * step)
    second, third = rng.uniform(0.02, 0.7), rng.uniform(0, 0.3)
    wave = np.cos(phase) + second * np.cos(2 * phase + rng.uniform(-1.5, 1.5))
    wave += third * np.cos(3 * phase + rng.uniform(0, 6.3))
    size = np.sqrt((1 + second**2 + third**2) / 2)
    return np.asarray(wave / size * np.exp(slow_noise(rng, times_s, 3.0, 0.2)), np.float64)


def slow_noise(rng: np.random.Generator, times_s: Floats, every_s: float, scale: float) -> Floats:
    """Return normal noise drawn every `every_s` seconds, with straight lines between."""
    knots = np.arange(times_s[0], times_s[-1] + 2 * every_s, every_s)
    return np.asarray(np.interp(times_s, knots, rng.normal(0, scale, knots.size)), np.float64)


def arm_motion(rng: np.random.Generator, times_s: Floats) -> Floats:
    """
    Return what an accelerometer at the wrist senses: shape (3, n), in g, gravity included.

    Spans of 4 to 40 s of rest, steady cadence (20 to 200 a minute, with harmonics), and irregular motion follow
    each other; the hand turns slowly.
    """
    fs = 1 / float(np.median(np.diff(times_s)))
    out = np.zeros((3, times_s.size))
    at = 0
    while at < times_s.size:
        n = min(int(rng.uniform(4, 40) * fs), times_s.size - at)
        if n > 8:
            out[:, at : at + n] += _span(rng, times_s[at : at + n], fs) * np.hanning(n + 2)[1:-1].clip(0, 0.2) * 5
        at += max(n, 1)
    pitch, roll = (slow_noise(rng, times_s, 5.0, 0.5).cumsum() / (5 * fs) for _ in range(2))
    gravity = np.stack([np.sin(pitch), np.cos(pitch) * np.sin(roll), np.cos(pitch) * np.cos(roll)])
    return np.asarray(out + gravity + rng.normal(0, 0.004, out.shape), np.float64)


def _span(rng: np.random.Generator, times_s: Floats, fs: float) -> Floats:
    strength = np.exp(rng.normal(-1.2, 0.8))
    kind = rng.choice(3, p=[0.2, 0.45, 0.35])
    if kind == 0:
        return np.asarray(0.003 * rng.normal(size=(3, times_s.size)), np.float64)
    if kind == 1:
        return np.asarray(strength * _cadence(rng, times_s), np.float64)
    low = rng.uniform(0.2, 1.5)
    noise = sosfiltfilt(
        butter(2, [low, min(low + rng.uniform(0.5, 4), 0.45 * fs)], "band", fs=fs, output="sos"),
        rng.normal(size=(3, times_s.size)), padlen=min(15, times_s.size - 1),
    )  # fmt: skip
    return np.asarray(strength * noise / (noise.std() + 1e-9), np.float64)


def _cadence(rng: np.random.Generator, times_s: Floats) -> Floats:
    rate_hz = rng.uniform(20, 200) / 60 * (1 + slow_noise(rng, times_s, 6.0, rng.uniform(0, 0.06)))
    phase = 2 * np.pi * np.cumsum(rate_hz * np.gradient(times_s))
    axes = np.zeros((3, times_s.size))
    for harmonic in (1, 2, 3, 4):
        weight = rng.normal(size=(3, 1)) / harmonic ** rng.uniform(0.2, 1.5)
        axes += weight * np.cos(harmonic * phase + rng.uniform(0, 6.3, (3, 1)))
    return np.asarray(axes / (axes.std() + 1e-9), np.float64)


def artefact(rng: np.random.Generator, acc_g: Floats, fs_hz: float) -> Floats:
    """
    Return what motion does to the light: axes and their products through short random filters, in g.

    Proportional to the motion, so that a still arm leaves the pulse alone. Products and rectified parts make lines at
    multiples of the cadence that the accelerometer itself does not show.
    """
    sos = butter(2, [0.4, min(8.0, 0.45 * fs_hz)], "band", fs=fs_hz, output="sos")
    moving = sosfiltfilt(sos, acc_g)
    parts = [
        *moving, np.linalg.norm(acc_g, axis=0) - 1, np.abs(moving[0]), moving[1] * np.abs(moving[1]),
        np.maximum(moving[2], 0),
    ]  # fmt: skip
    out = np.zeros(acc_g.shape[1])
    for part in parts:
        length = rng.integers(1, max(2, int(0.8 * fs_hz)))
        response = rng.normal(size=length) * np.exp(-np.arange(length) / rng.uniform(0.04, 0.35) / fs_hz)
        filtered = np.convolve(part, response)[: out.size]
        if rng.random() < 0.5:
            out += rng.normal() * filtered / (filtered.std() + 0.02)
    out = sosfiltfilt(sos, out)
    return np.asarray(out / (out.std() + 1e-3) * moving.std(), np.float64)

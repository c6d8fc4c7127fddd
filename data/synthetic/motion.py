"""Wrist acceleration whose truth is known by construction: steps, falls, and what is mistaken for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from data.adapters.accelerometer import acc_channels
from data.recording import Annotations, Recording

Floats = NDArray[np.float64]
FS_HZ = 50.0
_HANGING = np.array([-1.0, 0.05, 0.1])  # gravity while the arm hangs, forearm along x
_LYING = np.array([0.1, -0.3, 0.95])
_LEVEL = np.array([-0.2, 0.1, 0.97])  # forearm on a table


def recording(
    samples_g: Floats, *, fs_hz: float = FS_HZ, name: str = "motion", activity: str = "", fall_s: float | None = None
) -> Recording:
    """
    Return samples of shape (n, 3) in g as a recording.

    Parameters
    ----------
    fall_s : float, optional
        Moment of the impact: the span from 1.2 s before to 1.8 s after is marked as a fall.
    """
    marks = {}
    if fall_s is not None:
        marks["fall"] = Annotations(np.array([max(0.0, fall_s - 1.2), fall_s + 1.8]), ("(FALL", "FALL)"))
    meta = {"label": "adl" if fall_s is None else "fall"} | ({"activity": activity} if activity else {})
    return Recording(
        name, name, acc_channels(samples_g, fs_hz), marks, dataset="synthetic",
        origin="data.synthetic.motion", licence="MIT", meta=meta,
    )  # fmt: skip


def still(seconds: float, rng: np.random.Generator, fs_hz: float = FS_HZ, posture: Floats = _LEVEL) -> Floats:
    """Return a wrist at rest: gravity, sensor noise of 6 mg and a slow sway."""
    n = round(seconds * fs_hz)
    sway = 0.01 * np.sin(2 * np.pi * 0.2 * np.arange(n) / fs_hz + rng.uniform(0, 2 * np.pi))
    return np.asarray(posture / np.linalg.norm(posture) * (1 + sway[:, None]) + 0.006 * rng.standard_normal((n, 3)))


def walk(
    seconds: float, rng: np.random.Generator, *, steps_per_minute: float = 110.0, strength_g: float = 0.8,
    swing_g: float = 0.15, fs_hz: float = FS_HZ,
) -> tuple[Floats, int]:  # fmt: skip
    """
    Return a walk with the arm swinging, and its exact number of steps.

    Each step is a pulse that dies away, its interval varies by 3 % and its strength by 15 %; the arm swings once in two
    steps, so that half the step rate is in the signal too, as on a real wrist.

    Returns
    -------
    samples : ndarray, shape (n, 3)
    n_steps : int
        Steps whose heel strike lies inside.
    """
    n = round(seconds * fs_hz)
    times = np.arange(n) / fs_hz
    mean = 60.0 / steps_per_minute
    intervals = mean * np.clip(1 + 0.03 * rng.standard_normal(int(seconds / mean) + 20), 0.85, 1.15)
    strikes = np.cumsum(intervals) - intervals[0] / 2
    strikes = strikes[strikes < seconds]
    bounce = np.zeros(n)
    for strike in strikes:
        since = times - strike
        size = strength_g * (1 + 0.15 * rng.standard_normal())
        bounce += size * np.exp(-np.maximum(since, 0) / 0.12) * np.cos(2 * np.pi * since / mean) * (since >= 0)
    phase = np.interp(times, strikes, np.arange(strikes.size) * np.pi)
    swing = swing_g * np.sin(phase)
    down = _HANGING / np.linalg.norm(_HANGING)
    across = np.array([0.05, 0.8, 0.6])
    samples = down * (1 + bounce[:, None]) + across * swing[:, None] + 0.02 * rng.standard_normal((n, 3))
    return samples, int(strikes.size)


def stairs(seconds: float, rng: np.random.Generator, fs_hz: float = FS_HZ) -> tuple[Floats, int]:
    """Return climbing, a slower and weaker walk (92 steps a minute) with the hand near a rail, and its steps."""
    return walk(seconds, rng, steps_per_minute=92, strength_g=0.7, swing_g=0.08, fs_hz=fs_hz)


def typing(seconds: float, rng: np.random.Generator, fs_hz: float = FS_HZ) -> Floats:
    """Return keystrokes: ticks of some 30 mg at 3 to 6 a second on a level forearm."""
    samples = still(seconds, rng, fs_hz)
    at = np.cumsum(rng.uniform(0.16, 0.34, int(seconds / 0.16)))
    index = (at[at < seconds] * fs_hz).astype(int)
    samples[index] += rng.normal(0, 0.03, (index.size, 3))
    return samples


def eating(seconds: float, rng: np.random.Generator, fs_hz: float = FS_HZ) -> Floats:
    """Return a spoon's way to the mouth and back every 5 to 9 s: slow turns of the forearm, no rhythm of steps."""
    n = round(seconds * fs_hz)
    lift, now = np.zeros(n), rng.uniform(1, 3)
    times = np.arange(n) / fs_hz
    while now < seconds:
        lift = np.maximum(lift, np.exp(-0.5 * ((times - now) / 0.7) ** 2))
        now += rng.uniform(5, 9)
    angle = 1.1 * lift
    turned = np.stack([-0.2 - 0.75 * np.sin(angle), 0.1 + 0.2 * lift, 0.95 * np.cos(angle)], axis=1)
    unit = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return np.asarray(unit + 0.015 * rng.standard_normal((n, 3)))


def driving(seconds: float, rng: np.random.Generator, fs_hz: float = FS_HZ) -> Floats:
    """Return hands on a wheel: vibration around 1.8 Hz (the body on its springs) and 12 Hz (the engine), 60 mg."""
    n = round(seconds * fs_hz)
    times = np.arange(n) / fs_hz
    drift = np.cumsum(rng.normal(0, 0.35, n)) / np.sqrt(fs_hz)  # random phase: a road is no metronome
    swell = np.abs(np.sin(2 * np.pi * times / 17 + rng.uniform(0, 6))) * 0.06
    road = swell * np.sin(2 * np.pi * 1.8 * times + 2 * np.pi * drift)
    engine = 0.03 * np.sin(2 * np.pi * 12.3 * times)
    return np.asarray(still(seconds, rng, fs_hz) + np.outer(road + engine, [0.2, 0.3, 0.9]))


def clapping(seconds: float, rng: np.random.Generator, fs_hz: float = FS_HZ) -> Floats:
    """Return claps at about 3 a second, each a shock of 1.5 to 3 g."""
    samples = still(seconds, rng, fs_hz)
    at = np.cumsum(rng.normal(0.33, 0.02, int(seconds / 0.28)))
    return _shocks(samples, at[at < seconds], rng.uniform(1.5, 3, at.size), np.array([0.2, 1.0, 0.1]), fs_hz)


def fall(
    rng: np.random.Generator, *, before_s: float = 8.0, after_s: float = 12.0, fs_hz: float = FS_HZ
) -> tuple[Floats, float]:
    """
    Return a walk that ends in a fall, and the moment of impact in seconds.

    A stumble with thrown arms for 0.5 s, 0.45 s of partial free fall, an impact of 4 to 6 g, the arm's and the body's
    own a moment later, a second of settling, then a body at rest in another posture.
    """
    first, _ = walk(before_s, rng, fs_hz=fs_hz)
    down = round(0.45 * fs_hz)
    turn = np.linspace(0, 1, down)[:, None]
    posture = (1 - turn) * _HANGING + turn * _LYING
    flight = posture / np.linalg.norm(posture, axis=1, keepdims=True) * np.linspace(0.8, 0.25, down)[:, None]
    last = still(after_s, rng, fs_hz, _LYING)
    samples = np.concatenate([first, flight + 0.05 * rng.standard_normal((down, 3)), last])
    impact_s = before_s + 0.45 + 0.02
    since = np.arange(len(samples)) / fs_hz - impact_s
    swings = np.stack(
        [np.sin(2 * np.pi * (f * since + p)) for f, p in zip((2.1, 2.7, 3.4), rng.random(3), strict=True)], axis=1
    )
    thrown = np.exp(-0.5 * ((since + 0.6) / 0.25) ** 2)
    settling = np.where(since > 0, np.exp(-since / 0.35), 0.0)
    samples += (0.8 * thrown + 0.7 * settling)[:, None] * swings
    sizes = np.array([rng.uniform(4, 6), rng.uniform(1.2, 1.8)])
    samples = _shocks(samples, np.array([impact_s, impact_s + 0.28]), sizes, np.array([0.4, -0.5, 0.8]), fs_hz)
    arm = np.array([impact_s - 0.18, impact_s + 0.14])
    return _shocks(samples, arm, rng.uniform(1.5, 2.5, 2), np.array([-0.7, 0.5, 0.3]), fs_hz), impact_s


def put_on_table(rng: np.random.Generator, fs_hz: float = FS_HZ) -> Floats:
    """Return a watch that is taken off and laid on a table: a turn, one knock of 2 g, and perfect rest."""
    hand = eating(8, rng, fs_hz)
    rest = still(12, rng, fs_hz, np.array([0.0, 0.0, 1.0]))
    return _shocks(np.concatenate([hand, rest]), np.array([8.0]), np.array([2.0]), np.array([0.0, 0.0, 1.0]), fs_hz)


def thrown_on_bed(rng: np.random.Generator, fs_hz: float = FS_HZ) -> Floats:
    """Return a watch thrown on a bed: a swing, 0.5 s of free flight while it spins, a soft landing, rest."""
    hand = eating(8, rng, fs_hz)
    n = round(0.5 * fs_hz)
    spin = np.arange(n) / fs_hz * 2 * np.pi * 3
    flight = 0.15 * np.stack([np.cos(spin), np.sin(spin), 0.3 * np.ones(n)], axis=1)
    rest = still(12, rng, fs_hz, np.array([0.5, 0.6, -0.6]))
    samples = np.concatenate([hand, flight, rest])
    landing = 8.5 + np.array([0.0, 0.2, 0.35])
    return _shocks(samples, landing, np.array([2.5, 1.2, 0.6]), np.array([0.6, 0.2, -0.7]), fs_hz)


def _shocks(samples: Floats, at_s: Floats, size_g: Floats, along: Floats, fs_hz: float) -> Floats:
    """Add shocks of about 0.1 s that swing back once, as an arm does that meets something."""
    out = samples.copy()
    direction = along / np.linalg.norm(along)
    times = np.arange(len(samples)) / fs_hz
    for moment, size in zip(at_s, size_g, strict=False):
        since = (times - moment) / 0.04
        out += np.outer(size * (np.exp(-0.5 * since**2) - 0.35 * np.exp(-0.5 * (since - 2) ** 2)), direction)
    return out


STILL_ACTIVITIES: Mapping[str, Callable[[float, np.random.Generator], Floats]] = MappingProxyType(
    {"still": still, "typing": typing, "eating": eating, "driving": driving}
)

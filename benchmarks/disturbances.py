"""What a lead suffers, laid over real ECG: each disturbance is a function of samples, rate and a generator."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt

Floats = NDArray[np.float64]
Disturbance = Callable[[Floats, float, np.random.Generator], tuple[Floats, float]]


def size(x: Floats) -> float:
    """Return about the height of the R waves: the highest fiftieth of deflections from the median."""
    return float(np.percentile(np.abs(x - np.median(x)), 98)) + 1e-9


def _at_rate(rate_hz: int) -> Disturbance:
    def other(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
        del rng
        common = gcd(rate_hz, round(fs_hz))
        return resample_poly(x, rate_hz // common, round(fs_hz) // common), float(rate_hz)

    return other


def _turned(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    del rng
    return -1e4 * x + 300.0, fs_hz


def _mains(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    hum_hz = float(rng.choice([50.0, 60.0]))
    return x + 0.5 * size(x) * np.sin(2 * np.pi * hum_hz * np.arange(x.size) / fs_hz), fs_hz


def _wander(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    times, phase = np.arange(x.size) / fs_hz, rng.uniform(0, 6.28)
    return x + size(x) * (2 * np.sin(2 * np.pi * 0.3 * times + phase) + np.sin(2 * np.pi * 0.13 * times)), fs_hz


def _noise(share: float) -> Disturbance:
    def noisy(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
        return x + share * size(x) * rng.standard_normal(x.size), fs_hz

    return noisy


def _motion(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    bells = sosfilt(butter(2, [0.7, 10.0], "bandpass", fs=fs_hz, output="sos"), rng.standard_normal(x.size))
    knots = np.arange(0, x.size + 8 * fs_hz, 8 * fs_hz)
    burst = np.interp(np.arange(x.size), knots, rng.random(knots.size) ** 2)
    return x + 0.5 * size(x) * burst * bells / bells.std(), fs_hz


def _jumps(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    made, height = x.copy(), size(x)
    for start in np.arange(7.0, x.size / fs_hz, 11.0):
        own = made[int(start * fs_hz) : int((start + 5.0) * fs_hz)]
        own += rng.uniform(-4.0, 4.0) * height * np.exp(-np.arange(own.size) / fs_hz / 0.8)
    return made, fs_hz


def _gain_steps(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    del rng
    return x * np.where((np.arange(x.size) / fs_hz // 20.0) % 2 == 0, 1.0, 0.2), fs_hz


def _rails(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    del rng
    return np.clip(x, np.median(x) - 0.5 * size(x), np.median(x) + 0.5 * size(x)), fs_hz


def _spikes(x: Floats, fs_hz: float, rng: np.random.Generator) -> tuple[Floats, float]:
    made, height = x.copy(), 3.0 * size(x)
    for start in np.cumsum(rng.uniform(0.8, 2.6, int(x.size / fs_hz))):
        made[int(start * fs_hz) : int(start * fs_hz) + max(1, round(0.002 * fs_hz))] += height
    return made, fs_hz


DISTURBANCES: dict[str, Disturbance] = {
    "128 Hz": _at_rate(128), "250 Hz": _at_rate(250), "1000 Hz": _at_rate(1000), "turned, another gain": _turned,
    "50 or 60 Hz mains, half an R wave": _mains, "baseline wander of three R waves": _wander,
    "white noise, a tenth": _noise(0.1), "white noise, three tenths": _noise(0.3), "bursts of motion": _motion,
    "electrode jumps every 11 s": _jumps, "gain steps of five times every 20 s": _gain_steps,
    "rails at half an R wave": _rails, "2 ms spikes of three R waves": _spikes,
}  # fmt: skip


def disturbed(name: str, samples: NDArray[np.float32], fs_hz: float, seed: int) -> tuple[NDArray[np.float32], float]:
    """Return the samples (NaN bridged) with one disturbance laid over, and their rate; the same for the same seed."""
    x = samples.astype(np.float64)
    known = np.isfinite(x)
    x = np.interp(np.arange(x.size), np.flatnonzero(known), x[known])
    made, rate_hz = DISTURBANCES[name](x, fs_hz, np.random.default_rng(seed))
    return made.astype(np.float32), rate_hz

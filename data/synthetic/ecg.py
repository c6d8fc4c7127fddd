"""A seeded single-lead ECG of known beats: P, QRS and T as sums of bells, any rate, and what a lead suffers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.recording import Annotations, Channel, Recording

Floats = NDArray[np.float64]

# Wave: place against the R peak in s, width (standard deviation) in s, height in mV. T stands later in slow rhythms.
NORMAL = {"P": (-0.16, 0.022, 0.12), "Q": (-0.028, 0.009, -0.10), "R": (0.0, 0.011, 1.0),
          "S": (0.030, 0.010, -0.22), "T": (0.27, 0.045, 0.28)}  # fmt: skip
# A ventricular beat: wide, high, no P wave, T against it.
VENTRICULAR = {"R": (0.0, 0.035, 1.3), "S": (0.10, 0.030, -0.5), "T": (0.30, 0.055, -0.4)}


def ecg_wave(
    beats_s: Floats, times_s: Floats, waves: dict[str, tuple[float, float, float]] = NORMAL, height: float = 1.0
) -> Floats:
    """
    Return the ECG in mV at `times_s` of a heart that beats at `beats_s` (R peaks).

    Parameters
    ----------
    waves : mapping of str to (place_s, width_s, height_mv)
        "T" moves with the square root of the interval before it, as Bazett has it.
    height : float, default=1.0
        Factor on all waves.
    """
    wave = np.zeros(times_s.size)
    intervals = np.diff(beats_s, prepend=2 * beats_s[0] - beats_s[1] if beats_s.size > 1 else beats_s[:1] - 1.0)
    for name, (place, width, size) in waves.items():
        shift = place * np.sqrt(np.clip(intervals, 0.3, 1.5)) if name == "T" else np.full(beats_s.size, place)
        for centre in beats_s + shift:
            a, b = np.searchsorted(times_s, [centre - 5 * width, centre + 5 * width])
            wave[a:b] += height * size * np.exp(-0.5 * ((times_s[a:b] - centre) / width) ** 2)
    return wave


def ecg(
    *, seconds: float, seed: int, fs_hz: float = 250.0, bpm: float = 70.0, spread: float = 0.04, noise_mv: float = 0.01
) -> Recording:
    """
    Return a recording with channel ``ecg`` and the true ``beats``.

    Parameters
    ----------
    bpm, spread : float
        Mean heart rate, and the standard deviation of the intervals as a share of their mean.
    noise_mv : float
        Standard deviation of white noise.
    """
    rng = np.random.default_rng(seed)
    mean_s = 60.0 / bpm
    count = int(seconds / mean_s * 1.5) + 10
    beats = 0.3 + np.cumsum(mean_s * np.clip(1 + spread * rng.standard_normal(count), 0.4, 1.6))
    beats = beats[beats < seconds - 0.1]
    times = np.arange(int(seconds * fs_hz)) / fs_hz
    samples = ecg_wave(beats, times) + noise_mv * rng.standard_normal(times.size)
    return Recording(
        f"ecg_{seed}", f"ecg_{seed}", {"ecg": Channel("ecg", fs_hz, samples.astype(np.float32))},
        {"beats": Annotations(beats, ("N",) * beats.size)},
        dataset="synthetic", origin=f"data.synthetic.ecg(seed={seed})", licence="MIT",
    )  # fmt: skip

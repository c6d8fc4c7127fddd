"""Recordings remade so that heart rate and motion are independent: what breaks the treadmill's link."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, hilbert, resample_poly, sosfiltfilt

from data.recording import Annotations, Channel, Recording
from data.synthetic.exercise import exercise
from data.synthetic.pulse import artefact, pulse_wave, rate_walk, slow_noise, window_means
from pipelines.pulse_features import ACC_NAMES, LENGTH_S, PPG_NAMES, STEP_S

Floats = NDArray[np.float64]
_WORK_HZ = 64.0  # faster signals are brought near this rate first: the spectra end at 7.35 Hz
_SPEEDS = (0.6, 1.45)


def whitened(recording: Recording) -> tuple[float, Floats, Floats]:
    """
    Return rate, PPG channels of unit deviation (n, n_samples) and acceleration (3, n_samples) on one grid.

    All channels must share one rate, as they do in the sets that we train on.
    """
    ppg = [recording.channels[n] for n in PPG_NAMES if n in recording.channels]
    acc = [recording.channels[n] for n in ACC_NAMES]
    fs = ppg[0].fs_hz
    factor = max(1, round(fs / _WORK_HZ))
    sos = butter(2, [0.4, 10.0], "band", fs=fs / factor, output="sos")
    light = sosfiltfilt(sos, np.stack([resample_poly(_bridged(c), 1, factor) for c in ppg]))
    light /= light.std(axis=1, keepdims=True) + 1e-9
    return fs / factor, light, np.stack([resample_poly(_bridged(c), 1, factor) for c in acc])


def other_optics(light: Floats, fs: float, rng: np.random.Generator) -> Floats:
    """Return PPG as another device would pass it: another band, and less or more of the low frequencies."""
    low, high = rng.uniform(0.2, 0.9), rng.uniform(2.5, min(12.0, 0.45 * fs))
    passed = sosfiltfilt(butter(1, [low, high], "band", fs=fs, output="sos"), light)
    return np.asarray(passed if rng.random() < 0.6 else light, np.float64)


def faster(recording: Recording, bpm: Floats, rng: np.random.Generator) -> Recording:
    """Return the recording played faster or slower, pulse and motion together; rates scale with it."""
    fs, light, acc = whitened(recording)
    speed = float(np.exp(rng.uniform(*np.log(_SPEEDS))))
    times = np.arange(light.shape[1]) / fs
    at = np.arange(int(light.shape[1] / speed)) / fs * speed
    ends = _ends(at.size / fs)
    middle = STEP_S * np.arange(bpm.size) + LENGTH_S / 2
    known = np.isfinite(bpm)
    rate = np.interp((ends - LENGTH_S / 2) * speed, middle[known], bpm[known], left=np.nan, right=np.nan) * speed
    played = [np.stack([np.interp(at, times, row) for row in rows]) for rows in (light, acc)]
    return _made(recording, fs, played[0], played[1], ends, rate, rng)


def other_pulse(recording: Recording, bpm: Floats, lead_s: float, rng: np.random.Generator) -> Recording:
    """
    Return the recording with its pulse taken out and another, of independent rate, put in; motion stays.

    Parameters
    ----------
    bpm : ndarray, shape (n_windows,)
        The reference, NaN where unknown.
    lead_s : float
        By how much the reference leads the PPG.
    """
    fs, light, acc = whitened(recording)
    times = np.arange(light.shape[1]) / fs
    walk = _independent_walk(rng, times[-1] + 1)
    pulse = pulse_wave(rng, walk, times)
    known = np.isfinite(bpm)
    rate = np.interp(times, (STEP_S * np.arange(bpm.size) + LENGTH_S / 2 + lead_s)[known], bpm[known])
    rows = []
    for row in light:
        residue, amplitude = _without_pulse(row, fs, rate)
        usual = np.median(amplitude) * rng.uniform(0.5, 1.6)
        lines = usual * _strength(rng) * stubborn(rng, acc, fs) if rng.random() < 0.4 else 0.0
        rows.append(residue + usual * np.exp(slow_noise(rng, times, 20.0, 0.6)) * pulse + lines)
    ends = _ends(times.size / fs)
    return _made(
        recording, fs, np.stack(rows), acc * np.exp(rng.normal(0, 0.4)), ends, window_means(walk, ends), rng
    )  # fmt: skip


def motion_over_pulse(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return the recording's real motion, with an artefact made of it laid over a pulse of independent rate."""
    fs, light, acc = whitened(recording)
    times = np.arange(acc.shape[1]) / fs
    walk = _independent_walk(rng, times[-1] + 1)
    pulse = pulse_wave(rng, walk, times)
    acc = acc * np.exp(rng.normal(0, 0.3))
    made = stubborn if rng.random() < 0.3 else artefact
    rows = [pulse + _noise(rng, times, fs) + _strength(rng) * made(rng, acc, fs) for _ in light]
    ends = _ends(times.size / fs)
    return _made(recording, fs, np.stack(rows), acc, ends, window_means(walk, ends), rng)


def without_pulse(recording: Recording, bpm: Floats, lead_s: float, rng: np.random.Generator) -> Recording:
    """
    Return the recording with its pulse taken out: motion and noise only, as of a watch that lost the skin.

    What is left carries lines at the motion's multiples that no filter of the accelerometer explains (`stubborn`), in
    a third of the recordings instead noise alone. Parameters as of `other_pulse`; there is no reference.
    """
    fs, light, acc = whitened(recording)
    times = np.arange(light.shape[1]) / fs
    known = np.isfinite(bpm)
    rate = np.interp(times, (STEP_S * np.arange(bpm.size) + LENGTH_S / 2 + lead_s)[known], bpm[known])
    lost = rng.random() < 1 / 3
    rows = []
    for row in light:
        residue, _ = _without_pulse(row, fs, rate)
        over = 0.0 if lost else _strength(rng) * stubborn(rng, acc, fs)
        rows.append((0.1 if lost else 1.0) * residue + over + _noise(rng, times, fs))
    ends = _ends(times.size / fs)
    return _made(recording, fs, np.stack(rows), acc, ends, np.full(ends.size, np.nan), rng)


def stubborn(rng: np.random.Generator, acc_g: Floats, fs_hz: float) -> Floats:
    """
    Return lines at multiples of the motion's rhythm that the accelerometer does not explain, in g.

    In running, the third harmonic of the stride can be the light's strongest line, whatever the heart does. One or two
    narrow bands of the motion's products, whose phase and strength wander, so that no fixed filter takes them out.
    """
    sos = butter(2, [0.4, min(8.0, 0.45 * fs_hz)], "band", fs=fs_hz, output="sos")
    moving = sosfiltfilt(sos, acc_g)
    size = np.linalg.norm(moving, axis=0)
    parts = np.stack([*moving, size, moving[0] * size, moving[1] * np.abs(moving[2]), moving[2] ** 2])
    times = np.arange(size.size) / fs_hz
    out = np.zeros_like(size)
    for _ in range(int(rng.integers(1, 3))):
        mixed = rng.normal(size=len(parts)) @ (parts / (parts.std(axis=1, keepdims=True) + 1e-3))
        centre, width = np.exp(rng.uniform(*np.log((0.7, 3.4)))), rng.uniform(0.2, 0.8)
        narrow = sosfiltfilt(
            butter(1, [max(0.4, centre - width), centre + width], "band", fs=fs_hz, output="sos"), mixed
        )  # fmt: skip
        turned = hilbert(narrow) * np.exp(1j * slow_noise(rng, times, rng.uniform(3, 10), 0.25).cumsum() / fs_hz)
        out += np.real(turned) / (narrow.std() + 1e-3) * np.exp(slow_noise(rng, times, 6.0, 0.5))
    return np.asarray(out * (moving.std() / (out.std() + 1e-3)), np.float64)


def drawn(seed: int, seconds: float = 240.0) -> Recording:
    """Return a synthetic recording of drawn motion, artefact strength and heart rate."""
    rng = np.random.default_rng(seed)
    start = float(rng.uniform(45, 110) if rng.random() < 0.5 else rng.uniform(45, 185))
    made = exercise(
        seconds=seconds, seed=seed, fs_hz=50.0, n_ppg=2, artefact_strength=_strength(rng), start_bpm=start
    )  # fmt: skip
    times = made.channels["ppg"].times()
    optics = np.random.default_rng([seed, 1])  # one device: its channels share a band
    state = optics.bit_generator.state

    def sensed(channel: Channel) -> Channel:
        optics.bit_generator.state = state
        light = other_optics(channel.samples + _noise(rng, times, 50.0), 50.0, optics)
        return replace(channel, samples=light.astype(np.float32))

    noisy = {n: sensed(c) if n in PPG_NAMES else c for n, c in made.channels.items()}
    return replace(made, channels=noisy)


def _strength(rng: np.random.Generator) -> float:
    # Artefact RMS per g, where the pulse has 1: from invisible to ten times the pulse.
    return float(np.exp(rng.normal(1.6, 0.9)).clip(0.2, 20))


def _independent_walk(rng: np.random.Generator, seconds: float) -> Floats:
    # Half of the rates are pressed towards rest: the corner that a treadmill never shows.
    walk = rate_walk(rng, seconds)
    return 40 + (walk - 40) * 0.5 if rng.random() < 0.5 else walk


def _noise(rng: np.random.Generator, times: Floats, fs: float) -> Floats:
    wander = sosfiltfilt(butter(2, [0.4, 8.0], "band", fs=fs, output="sos"), rng.normal(size=times.size).cumsum())
    white = rng.normal(0, np.exp(rng.normal(-2, 0.6)), times.size)
    return np.asarray(white + wander / wander.std() * np.exp(rng.normal(-1.6, 0.6)), np.float64)


def _without_pulse(row: Floats, fs: float, bpm: Floats) -> tuple[Floats, Floats]:
    """Take the three harmonics of the known rate out (0.7 Hz wide); return the rest and the pulse's amplitude."""
    phase = 2 * np.pi * np.cumsum(bpm / 60) / fs
    taper = np.hanning(int(3 * fs) | 1)
    taper /= taper.sum()
    rest, amplitude = row.copy(), np.zeros_like(row)
    for harmonic in (1, 2, 3):
        turn = np.exp(-1j * harmonic * phase)
        part = fftconvolve(rest * turn, taper, mode="same")
        amplitude = 2 * np.abs(part) if harmonic == 1 else amplitude
        rest = rest - 2 * np.real(part * np.conj(turn))
    return rest, amplitude


def _bridged(channel: Channel) -> Floats:
    samples = np.asarray(channel.samples, np.float64).copy()
    bad = ~np.isfinite(samples)
    if bad.any():
        samples[bad] = np.interp(np.flatnonzero(bad), np.flatnonzero(~bad), samples[~bad])
    return samples


def _ends(seconds: float) -> Floats:
    return np.arange(LENGTH_S, seconds + 1e-9, STEP_S)


def _made(
    recording: Recording, fs: float, light: Floats, acc: Floats, ends: Floats, bpm: Floats,
    rng: np.random.Generator,
) -> Recording:  # fmt: skip
    rows = dict(zip(PPG_NAMES, other_optics(light, fs, rng), strict=False)) | dict(zip(ACC_NAMES, acc, strict=True))
    channels = {n: Channel(n, fs, row.astype(np.float32)) for n, row in rows.items()}
    return replace(recording, channels=channels, annotations={"hr": Annotations(ends, value=bpm)})

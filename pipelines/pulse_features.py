"""What the heart-rate network sees: harmonics of PPG, motion and motion-free PPG side by side on a BPM axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.recording import Channel, Recording
from pipelines.spectral import Complex, Floats, band, cut, explained, motion_weights, settled, transform

N_BINS, STEP_BPM, FIRST_BPM = 128, 1.5, 30.0
BPM: NDArray[np.float64] = FIRST_BPM + STEP_BPM * np.arange(N_BINS, dtype=np.float64)
LENGTH_S, STEP_S = 8.0, 2.0
LONG_S = 20.0  # separates a pulse 6 BPM from a steady cadence, which 8 s cannot
CONTEXT_S = LONG_S - LENGTH_S
LATE_S = 5.0  # the end of the window alone: lags a rising rate by 1.5 s less
LAGS = (2, 4)  # earlier windows shown, in steps
_TAPS, _LONG_TAPS = 7, 11
_DEPTH = 4.0  # octaves above the noise floor that make 1.0

PPG_NAMES = ("ppg", "ppg_2", "ppg_3")
ACC_NAMES = ("acc_x", "acc_y", "acc_z")
# Planes of the input, in order. "x2": at twice the bin's rate, so that a pulse and its harmonic stand in one column.
PLANES = (
    "ppg", "ppg half", "ppg x2", "ppg 4 s ago", "ppg 8 s ago",
    "clean", "clean x2", "late clean", "long clean", "long clean x2",
    "acc", "acc half", "acc x2", "acc third",
)  # fmt: skip
N_PPG_PLANES = 10

# 0.75 BPM steps up to 110, then 1.5, then 3: each harmonic of each bin is on this grid.
_GRID: NDArray[np.float64] = np.concatenate(
    [np.arange(15.0, 110.6, 0.75), np.arange(111.0, 220.6, 1.5), np.arange(222.0, 441.1, 3.0)]
)
_AT = {h: np.searchsorted(_GRID, BPM * h - 1e-6) for h in (0.5, 1.0, 2.0)}
_THIRD = np.searchsorted(_GRID, np.maximum(BPM / 3, _GRID[0]) - 0.375)  # to the nearest grid point
_HZ = _GRID / 60.0
_Motions = Mapping[float, tuple[Complex, Complex] | None]  # by the length of the window in seconds

# Slope and curvature over log-frequency, and what fits them by least squares (the mean is fitted, but kept).
_OCTAVE = np.log2(_GRID / 80.0)
_CURVES: Floats = np.stack([_OCTAVE, _OCTAVE**2])
_BEND: Floats = np.linalg.pinv(np.stack([np.ones_like(_OCTAVE), _OCTAVE, _OCTAVE**2], axis=1))[1:]


@dataclass(frozen=True)
class Spectra:
    """Planes of one PPG channel, shape (n_windows, n_grid); `short` has the rows that lags reach before those."""

    short: Floats
    clean: Floats
    late_clean: Floats
    long_clean: Floats


def pulse_planes(recording: Recording, first: int, last: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Return the network's input for windows [first, last), and the quality of their PPG.

    Parameters
    ----------
    recording : Recording
        With ``ppg`` (and ``ppg_2``, ``ppg_3``, ``acc_x|y|z`` where the device has them), at any rates above 15 Hz.
    first, last : int

    Returns
    -------
    planes : ndarray of float32, shape (n, 1, 128, 14)
        Without an accelerometer the motion planes are zero and the clean ones equal the plain.
    quality : ndarray of float32, shape (n,)
        Share of the window in which the best PPG channel was sensed and neither flat nor on its rails.
    """
    begin = max(0, first - max(LAGS))
    starts: NDArray[np.float64] = STEP_S * np.arange(begin, last, dtype=np.float64)
    skip = first - begin
    motion = {s: _motion(recording, starts[skip:] + LENGTH_S - s, s) for s in (LENGTH_S, LATE_S, LONG_S)}
    found, qualities = [], []
    for name in PPG_NAMES:
        if name in recording.channels:
            channel = recording.channels[name]
            qualities.append(channel_quality(cut(channel, starts, LENGTH_S)))
            found.append(_spectra(channel, motion, starts, skip))
    quality = np.stack(qualities)
    planes = assemble(_mixed(found, quality), _motion_plane(motion[LENGTH_S], last - first), skip, begin)
    return planes, quality.max(axis=0)[skip:]


def assemble(ppg: Spectra, acc: Floats, skip: int, begin: int) -> NDArray[np.float32]:
    """Return the planes, shape (n, 1, 128, 14); row 0 of `ppg.short` is window `begin`, of others `begin + skip`."""
    now = np.arange(skip, len(ppg.short))
    base = ppg.short[:, _AT[1.0]]
    # Before the stream's first window there is none: the first stands in.
    lagged = [base[np.maximum(now - lag, 0)] for lag in LAGS]
    assert skip >= min(begin + skip, max(LAGS))  # the rows that lags reach were computed
    planes = [
        base[now], ppg.short[now][:, _AT[0.5]], ppg.short[now][:, _AT[2.0]], *lagged,
        ppg.clean[:, _AT[1.0]], ppg.clean[:, _AT[2.0]], ppg.late_clean[:, _AT[1.0]],
        ppg.long_clean[:, _AT[1.0]], ppg.long_clean[:, _AT[2.0]],
        acc[:, _AT[1.0]], acc[:, _AT[0.5]], acc[:, _AT[2.0]], acc[:, _THIRD],
    ]  # fmt: skip
    return np.stack(planes, axis=-1)[:, None].astype(np.float32)


def channel_quality(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Return for each row the share of samples that are there, off the rails and not part of a flat line.

    A rail is a value that repeats from one sample to the next at the row's minimum or maximum.
    """
    good = np.isfinite(rows)
    filled = np.where(good, rows, 0.0)
    low = np.where(good, rows, np.inf).min(axis=1, keepdims=True)
    high = np.where(good, rows, -np.inf).max(axis=1, keepdims=True)
    still = np.zeros_like(good)
    still[:, 1:] = filled[:, 1:] == filled[:, :-1]
    at_rail = still & ((filled == low) | (filled == high))
    share = (good & ~at_rail).mean(axis=1)
    # Half of a window is too little for a line 7.5 BPM wide to stand out.
    usable = (share >= 0.5) & (high > low)[:, 0]
    return np.where(usable, share, 0.0).astype(np.float32)


def _motion(recording: Recording, starts: NDArray[np.float64], length_s: float) -> tuple[Complex, Complex] | None:
    """Transform of the three axes on the BPM grid and on the fitting band, or None without an accelerometer."""
    if not all(name in recording.channels for name in ACC_NAMES):
        return None
    frequencies = np.concatenate([_HZ, band(length_s)])
    axes = [recording.channels[name] for name in ACC_NAMES]
    if len({axis.fs_hz for axis in axes}) == 1:  # the usual case: one product for all three
        rows = np.concatenate([cut(axis, starts, length_s) for axis in axes])
        found = transform(settled(rows), axes[0].fs_hz, frequencies).reshape(len(axes), len(starts), -1)
    else:
        found = np.stack([_transformed(axis, starts, length_s, frequencies) for axis in axes])
    both = found.transpose(1, 0, 2)
    return np.ascontiguousarray(both[:, :, : _HZ.size]), np.ascontiguousarray(both[:, :, _HZ.size :])


def _transformed(
    channel: Channel, starts: NDArray[np.float64], length_s: float, frequencies: NDArray[np.float64]
) -> Complex:
    return transform(settled(cut(channel, starts, length_s)), channel.fs_hz, frequencies)


def _spectra(channel: Channel, motion: _Motions, starts: NDArray[np.float64], skip: int) -> Spectra:
    """Return the planes; of the first `skip` windows only what later ones show of them."""
    short, clean, weights = _plain_and_clean(channel, motion[LENGTH_S], starts, LENGTH_S, _TAPS, skip)
    starts = starts[skip:]
    _, long_clean, _ = _plain_and_clean(channel, motion[LONG_S], starts - CONTEXT_S, LONG_S, _LONG_TAPS)
    # 5 s are too few to fit a filter: the whole window's filter serves.
    late = _transformed(channel, starts + LENGTH_S - LATE_S, LATE_S, _HZ)
    late_motion = motion[LATE_S]
    if late_motion is not None and weights is not None:
        late = late - explained(late_motion[0], weights, _HZ)
    # Until 20 s have been sensed the short window stands in for the long one.
    early = (starts < CONTEXT_S)[:, None]
    return Spectra(short, clean, flat_level(np.abs(late)), np.where(early, clean, long_clean))


def _plain_and_clean(
    channel: Channel, motion: tuple[Complex, Complex] | None, starts: NDArray[np.float64], length_s: float, n_taps: int,
    skip: int = 0,
) -> tuple[Floats, Floats, Floats | None]:  # fmt: skip
    fit_hz = band(length_s)
    both = _transformed(channel, starts, length_s, np.concatenate([_HZ, fit_hz]))
    plain = flat_level(np.abs(both[:, : _HZ.size]))
    if motion is None:
        return plain, plain[skip:], None
    weights = motion_weights(both[skip:, _HZ.size :], motion[1], fit_hz, n_taps)
    clean = both[skip:, : _HZ.size] - explained(motion[0], weights, _HZ)
    return plain, flat_level(np.abs(clean)), weights


def flat_level(amplitude: Floats) -> Floats:
    """
    Return `level` of amplitudes whose noise floor was made flat.

    Devices differ in the band that they pass, and noise in the light falls with frequency: a parabola over
    log-frequency is taken out of each row, so that a fast pulse stands as high over its floor as a slow one.
    """
    octaves = np.log2(amplitude + 1e-9)
    return level(amplitude * np.exp2(-(octaves @ _BEND.T) @ _CURVES))


def level(amplitude: Floats, floor: float = 0.0) -> Floats:
    """
    Return amplitudes as octaves above the row's own median, scaled and clipped to [-0.25, 1.25].

    Each row is divided by its own noise: how strong the light or the motion is cannot be read from it. `floor` is
    added first: motion below it is none.
    """
    typical = np.median(amplitude[:, _AT[1.0]], axis=1, keepdims=True) + 1e-9
    ratio = (amplitude + floor + 1e-9) / (typical + floor)
    return np.clip(np.log2(ratio) / _DEPTH, -0.25, 1.25)


def _motion_plane(motion: tuple[Complex, Complex] | None, n: int) -> Floats:
    if motion is None:
        return np.zeros((n, _HZ.size))
    # 3 mg: an arm at rest shows the sensor's noise, which is no motion.
    return level(np.sqrt((np.abs(motion[0]) ** 2).sum(axis=1)), 0.003)


def _mixed(found: Sequence[Spectra], quality: NDArray[np.float32]) -> Spectra:
    """Mean over the channels that are usable in each window; over all of them where none is."""
    if len(found) == 1:
        return found[0]
    weight = np.where(quality.max(axis=0) > 0, quality > 0, True).astype(np.float64)[:, :, None]
    weight /= weight.sum(axis=0)

    def mean(parts: list[Floats]) -> Floats:
        rows = weight[:, weight.shape[1] - len(parts[0]) :]
        return np.asarray((np.stack(parts) * rows).sum(axis=0), np.float64)

    return Spectra(
        mean([s.short for s in found]), mean([s.clean for s in found]), mean([s.late_clean for s in found]),
        mean([s.long_clean for s in found]),
    )  # fmt: skip

"""Pulses of a PPG, one by one: a streaming detector whose answer does not depend on how the stream was cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from data.recording import Channel

Floats = NDArray[np.float64]

CORE_S, MARGIN_S = 8.0, 4.0  # pulses of the core are said once the margin after it was sensed
MIN_RATE_HZ = 15.0
CLEAN = 0.8  # confidence from which an interval serves for variability and rhythm (docs/heart-rate.md)
_BAND_HZ = (0.5, 8.0)
_COARSE_HZ = 30.0  # maxima are sought at about this rate; it is enough to tell pulses apart
_SLOWEST_BPM, _SHORTEST_S = 35.0, 0.27
_SHAPE_S = (0.15, 0.40)  # of the pulse around its upstroke, held against the others' mean
_SIZES = (0.4, 2.5)  # of the usual pulse: beyond, a movement
_FORGET = 0.8  # a block, of what is known about which way the light points


@dataclass(frozen=True)
class Pulses:
    """
    Pulses in order.

    Parameters
    ----------
    t_s : ndarray of float64, shape (n,)
        Steepest point of the upstroke, in seconds since the stream's zero: sharper than the peak.
    confidence : ndarray of float64, shape (n,)
        In [0, 1]: how much the pulse looks like its neighbours, in shape and size.
    """

    t_s: Floats
    confidence: Floats

    def clean_runs(self, fewest: int = 2) -> list[Floats]:
        """Return the times of runs of at least `fewest` pulses without a doubtful one between: for `hrv`."""
        runs = np.split(np.arange(self.t_s.size), np.flatnonzero(np.diff(self.confidence >= CLEAN)) + 1)
        return [self.t_s[run] for run in runs if run.size >= fewest and self.confidence[run[0]] >= CLEAN]


class PulseDetector:
    """
    The detector of one stream.

    Parameters
    ----------
    fs_hz : float
        At least 15 Hz.
    t0_s : float
        Time of the first sample.

    Notes
    -----
    Maxima over all scales up to the dominant one, as Bishop and Ercole (MSPTD, doi:10.1007/978-3-319-65798-1_39), on
    blocks of 16 s of which the middle 8 are kept; each pulse is then timed at its steepest upstroke. Departures: a
    band-pass before, and a vote on the light's polarity, because devices differ in its sign.
    """

    def __init__(self, fs_hz: float, t0_s: float = 0.0) -> None:
        self._fs, self._t0 = fs_hz, t0_s
        self._held = np.empty(0, np.float64)
        self._begin = 0  # index of the first held sample in the stream
        self._block = 0
        self._skew = 0.0
        self._last_s = -np.inf

    def feed(self, samples: NDArray[np.float32]) -> Pulses:
        """Take the next samples, NaN where nothing was sensed; return the pulses that are certain now."""
        self._held = np.concatenate([self._held, np.asarray(samples, np.float64)])
        return self._said(self._whole_blocks())

    def finish(self) -> Pulses:
        """Return the pulses of the stream's end, whose margin was never sensed."""
        found = list(self._whole_blocks())
        end = self._begin + self._held.size
        while self._core(self._block)[0] < end:
            found.append(self._judge(end))
        return self._said(iter(found))

    def _said(self, blocks: Iterator[Pulses]) -> Pulses:
        parts = [Pulses(np.empty(0), np.empty(0)), *blocks]
        return Pulses(np.concatenate([p.t_s for p in parts]), np.concatenate([p.confidence for p in parts]))

    def _core(self, block: int) -> tuple[int, int]:
        return round(block * CORE_S * self._fs), round((block + 1) * CORE_S * self._fs)

    def _whole_blocks(self) -> Iterator[Pulses]:
        while True:
            last = self._core(self._block)[1] + round(MARGIN_S * self._fs)
            if self._begin + self._held.size < last:
                return
            yield self._judge(last)

    def _judge(self, last: int) -> Pulses:
        first, core_end = self._core(self._block)
        margin = round(MARGIN_S * self._fs)
        begin = max(0, first - margin)
        rows = self._held[begin - self._begin : last - self._begin]
        self._block += 1
        keep = max(0, core_end - margin)
        self._held, self._begin = self._held[keep - self._begin :], min(keep, self._begin + self._held.size)
        if self._fs < MIN_RATE_HZ or rows.size < 2 * self._fs or not _sensed(rows):
            return Pulses(np.empty(0), np.empty(0))
        wave = _filtered(rows, self._fs)
        step = np.diff(wave)
        # The upstroke is steeper than the way down: that tells which way the light points.
        self._skew = _FORGET * self._skew + float(np.mean(step**3) / (np.mean(step**2) ** 1.5 + 1e-30))
        times, confidence = _pulses(wave if self._skew >= 0 else -wave, self._fs)
        times = times + begin / self._fs
        inside = (times >= first / self._fs) & (times < core_end / self._fs) & (times > self._last_s + _SHORTEST_S)
        gone = ~np.isfinite(rows[np.minimum(((times - begin / self._fs) * self._fs).astype(np.intp), rows.size - 1)])
        inside &= ~gone
        if inside.any():
            self._last_s = float(times[inside][-1])
        return Pulses(times[inside] + self._t0, confidence[inside])


def find_pulses(channel: Channel) -> Pulses:
    """
    Return the pulses of a whole PPG channel: what `PulseDetector` says of it in any chunks.

    Examples
    --------
    >>> times = np.arange(0, 30, 0.02)
    >>> beats = find_pulses(Channel("ppg", 50.0, np.sin(2 * np.pi * 1.2 * times).astype(np.float32)))
    >>> float(np.median(np.diff(beats.t_s)).round(2))
    0.83
    """
    detector = PulseDetector(channel.fs_hz, channel.t0_s)
    first, rest = detector.feed(channel.samples), detector.finish()
    return Pulses(np.concatenate([first.t_s, rest.t_s]), np.concatenate([first.confidence, rest.confidence]))


def _sensed(rows: Floats) -> bool:
    good = rows[np.isfinite(rows)]
    return good.size > rows.size / 2 and float(good.max()) > float(good.min())


def _filtered(rows: Floats, fs_hz: float) -> Floats:
    good = np.isfinite(rows)
    bridged = np.interp(np.arange(rows.size), np.flatnonzero(good), rows[good])
    high = min(_BAND_HZ[1], 0.45 * fs_hz)
    sos = butter(2, [_BAND_HZ[0], high], "band", fs=fs_hz, output="sos")
    return np.asarray(sosfiltfilt(sos, bridged - bridged.mean(), padlen=min(rows.size - 1, int(2 * fs_hz))), np.float64)


def _pulses(wave: Floats, fs_hz: float) -> tuple[Floats, Floats]:
    """Return times in seconds since the wave's begin, and confidences."""
    block = max(1, int(fs_hz // _COARSE_HZ))
    coarse = wave[: wave.size // block * block].reshape(-1, block).mean(axis=1)
    peaks = np.minimum(_maxima(coarse, fs_hz / block) * block + block // 2, wave.size - 1)
    slope = np.gradient(wave)
    # The upstroke lies within 0.35 s before its peak, and behind the pulse before.
    usual = float(np.median(np.diff(peaks))) if peaks.size > 1 else fs_hz
    reach = round(min(0.35 * fs_hz, 0.6 * usual))
    at = np.array([p - min(reach, p) + int(np.argmax(slope[p - min(reach, p) : p + 1])) for p in peaks], np.intp)
    at = np.unique(at)
    at = at[np.diff(at, prepend=-(10**9)) >= _SHORTEST_S * fs_hz]
    at = at[(at > 0) & (at < wave.size - 1)]
    if not at.size:
        return np.empty(0), np.empty(0)
    left, middle, right = slope[at - 1], slope[at], slope[at + 1]
    bend = left - 2 * middle + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0).clip(-0.5, 0.5)
    return (at + shift) / fs_hz, _confidence(wave, at, fs_hz)


def _maxima(coarse: Floats, rate_hz: float) -> NDArray[np.intp]:
    """Samples that are above both neighbours at every distance up to the one at which most samples are."""
    n = coarse.size
    scales = min(n // 2 - 1, round(rate_hz * 60 / _SLOWEST_BPM / 2))
    above = np.zeros((max(scales, 1), n), bool)
    for k in range(1, scales + 1):
        above[k - 1, k : n - k] = (coarse[k : n - k] > coarse[: n - 2 * k]) & (coarse[k : n - k] > coarse[2 * k :])
    most = int(above.sum(axis=1).argmax()) + 1
    return np.flatnonzero(above[:most].all(axis=0))


def _confidence(wave: Floats, at: NDArray[np.intp], fs_hz: float) -> Floats:
    """Correlation with the mean of the block's pulses, nothing for one of another size."""
    before, after = (round(s * fs_hz) for s in _SHAPE_S)
    padded = np.pad(wave, (before, after))
    shapes = padded[at[:, None] + np.arange(before + after + 1)]
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    size = shapes.std(axis=1)
    usual = float(np.median(size))
    if at.size < 3 or usual == 0:
        return np.zeros(at.size)
    unit = shapes / np.maximum(size, 1e-12)[:, None]
    # The median does not follow one bad pulse.
    mean = np.median(unit, axis=0)
    mean = (mean - mean.mean()) / (mean.std() + 1e-12)
    alike = (unit * mean).mean(axis=1)
    same = (size >= _SIZES[0] * usual) & (size <= _SIZES[1] * usual)
    return np.asarray(np.where(same, alike, 0.0).clip(0.0, 1.0), np.float64)

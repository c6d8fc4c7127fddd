"""From a recording to what the watch's converters give out: int16 samples at the device's own rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from data.errors import ChannelError
from data.recording import Channel, Recording
from services.watch.encoder import encode

# Channels that one sensor gives out together travel in one stream.
STREAM_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "ppg": ("ppg", "ppg_2", "ppg_3"),
    "acc": ("acc_x", "acc_y", "acc_z"),
    "gyro": ("gyro_x", "gyro_y", "gyro_z"),
    "ecg": ("ecg",),
    "hr": ("hr",),
    "counts": ("counts",),
}
# Full scale of sensors whose range is known: +-16 g, +-2000 deg/s, +-10 mV; 0.01 BPM resolves a heart rate.
FULL_SCALE = {"acc": 16.0, "gyro": 2000.0, "ecg": 10.0, "hr": 327.67}
# Longest hole in a device's own heart rate that is bridged when it is brought to a fixed rate.
HR_BRIDGE_S = 30.0


@dataclass(frozen=True)
class DeviceProfile:
    """Rates of a watch.

    Attributes
    ----------
    rates_hz : mapping of str to float
        By stream; a stream that is not named keeps the recording's rate, and is never sampled up.
    chunk_s : float
        Length of a chunk, and with it the time between two uploads.
    """

    rates_hz: Mapping[str, float] = field(
        default_factory=lambda: {"ppg": 64.0, "acc": 32.0, "gyro": 32.0, "ecg": 128.0, "hr": 1.0}
    )
    chunk_s: float = 60.0


@dataclass(frozen=True)
class SensorStream:
    """One sensor's samples for the whole recording.

    Attributes
    ----------
    name : str
        Stream, as it is named on the wire: ``ppg``, ``acc``, ...
    rate_hz : float
        Samples a second.
    channels : tuple of str
        Names of the columns.
    scale, offset : float
        Physical value = scale * count + offset, in the channel's unit.
    t0_s : float
        Device time of row 0.
    counts : ndarray of int16, shape (n_samples, n_channels)
    valid : ndarray of bool, shape (n_samples,)
        False where the sensor gave nothing; those rows are never sent.
    """

    name: str
    rate_hz: float
    channels: tuple[str, ...]
    scale: float
    offset: float
    t0_s: float
    counts: NDArray[np.int16]
    valid: NDArray[np.bool_]

    def rows_between(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Return the rows [first, last) whose times lie in [start_s, end_s)."""
        # 1e-6: a sample on the border belongs to the span that it starts, whatever the rounding of k / rate.
        first = int(np.ceil((start_s - self.t0_s) * self.rate_hz - 1e-6))
        last = int(np.ceil((end_s - self.t0_s) * self.rate_hz - 1e-6))
        n = len(self.counts)
        return min(max(first, 0), n), min(max(last, 0), n)

    def runs(self, start_s: float, end_s: float) -> list[tuple[int, int]]:
        """Return the unbroken runs of valid rows [first, last) with times in [start_s, end_s)."""
        first, last = self.rows_between(start_s, end_s)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], self.valid[first:last].view(np.int8), [0]))))
        return [(first + int(a), first + int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def encoded(self, first: int, last: int, encoding: str) -> bytes:
        """Return rows [first, last) as a chunk's data."""
        return encode(self.counts[first:last], encoding)

    def time_of(self, row: int) -> float:
        """Return the device time of `row` in seconds."""
        return self.t0_s + row / self.rate_hz


def sense(recording: Recording, profile: DeviceProfile | None = None) -> tuple[SensorStream, ...]:
    """Let a watch's sensors see a recording.

    Parameters
    ----------
    recording : Recording
        Any recording with at least one channel of `STREAM_CHANNELS`.
    profile : DeviceProfile, optional
        The watch's rates.

    Returns
    -------
    tuple of SensorStream
        In the order of `STREAM_CHANNELS`.

    Raises
    ------
    ChannelError
        If the recording has no channel that a watch could sense.
    """
    profile = profile or DeviceProfile()
    streams = []
    for name, wanted in STREAM_CHANNELS.items():
        present = [recording.channels[c] for c in wanted if c in recording.channels]
        present = [c for c in present if c.samples.size]
        if present:
            streams.append(_stream(name, present, profile))
    if not streams:
        known = ", ".join(c for group in STREAM_CHANNELS.values() for c in group)
        raise ChannelError(
            f"recording {recording.id!r} has no channel that a watch senses; it must have one of: {known}"
        )
    return tuple(streams)


def _stream(name: str, channels: list[Channel], profile: DeviceProfile) -> SensorStream:
    native = [_regular(c, profile.rates_hz.get(name, 1.0)) for c in channels]
    rate_hz = min(profile.rates_hz.get(name, np.inf), *(c.fs_hz for c in native))
    columns = [_resample(c, rate_hz) for c in native]
    t0_s = max(c.t0_s for c in columns)
    columns = [c.slice(t0_s, np.inf) for c in columns]
    n = min(c.samples.size for c in columns)
    values = np.stack([c.samples[:n] for c in columns], axis=1).astype(np.float64)
    valid: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    scale, offset = _converter(name, values[valid])
    counts = np.clip(np.rint((np.nan_to_num(values) - offset) / scale), -32767, 32767).astype(np.int16)
    return SensorStream(name, float(rate_hz), tuple(c.name for c in columns), scale, offset, t0_s, counts, valid)


def _converter(name: str, values: NDArray[np.float64]) -> tuple[float, float]:
    """Return scale and offset of the converter: a power of two of the unit, so that both are exact."""
    if name in FULL_SCALE:
        largest = max(FULL_SCALE[name], float(np.abs(values).max(initial=0.0)))
        return float(2.0 ** np.ceil(np.log2(largest / 32767))), 0.0
    if not values.size:
        return 1.0, 0.0
    low, high = float(values.min()), float(values.max())
    # 14 of 16 bits, so that the last bit is not noise that delta coding would have to carry.
    scale = float(2.0 ** np.ceil(np.log2(max(high - low, 1e-9) / 16384)))
    return scale, float(np.rint((low + high) / 2 / scale) * scale)


def _regular(channel: Channel, rate_hz: float) -> Channel:
    """Bring a channel with times of its own to a fixed rate; holes over `HR_BRIDGE_S` stay holes."""
    if channel.times_s is None:
        return channel
    known = np.isfinite(channel.samples)
    times, values = channel.times_s[known], channel.samples[known]
    if not times.size:
        return Channel(channel.name, rate_hz, np.empty(0, np.float32))
    t0_s = float(np.ceil(times[0] * rate_hz) / rate_hz)
    grid = t0_s + np.arange(max(0, int(np.floor((times[-1] - t0_s) * rate_hz)) + 1)) / rate_hz
    after = np.clip(np.searchsorted(times, grid), 1, max(1, times.size - 1))
    hole_s = times[np.minimum(after, times.size - 1)] - times[after - 1]
    samples = np.where((hole_s <= HR_BRIDGE_S) | np.isin(grid, times), np.interp(grid, times, values), np.nan)
    return Channel(channel.name, rate_hz, samples.astype(np.float32), t0_s=t0_s)


def _resample(channel: Channel, rate_hz: float) -> Channel:
    """Resample with an anti-alias filter; a missing sample stays missing for the filter's neighbours only."""
    if abs(channel.fs_hz - rate_hz) < 1e-9:
        return channel
    ratio = Fraction(rate_hz / channel.fs_hz).limit_denominator(1000)
    missing = ~np.isfinite(channel.samples)
    filled = channel.samples.astype(np.float64)
    if missing.all():
        filled[:] = 0.0
    elif missing.any():
        where = np.arange(filled.size)
        filled[missing] = np.interp(where[missing], where[~missing], filled[~missing])
    # "line" keeps the ends of a signal with a large mean (ppg counts) from ringing.
    out = resample_poly(filled, ratio.numerator, ratio.denominator, padtype="line")
    nearest = np.minimum(np.rint(np.arange(out.size) / float(ratio)).astype(np.intp), missing.size - 1)
    out[missing[nearest]] = np.nan
    return Channel(channel.name, rate_hz, out.astype(np.float32), t0_s=channel.t0_s)

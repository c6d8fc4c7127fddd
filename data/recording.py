"""`Recording`: what was sensed, as channels with their own rates and units, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from data.errors import ChannelError, RecordingError

# The vocabulary of channels and the unit in which each is held once it is read.
CHANNEL_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "ppg": "a.u.", "ppg_2": "a.u.", "ppg_3": "a.u.",
        "acc_x": "g", "acc_y": "g", "acc_z": "g",
        "gyro_x": "deg/s", "gyro_y": "deg/s", "gyro_z": "deg/s",
        "ecg": "mV", "hr": "BPM", "counts": "counts/15 s",
    }
)  # fmt: skip
STANDARD_GRAVITY = 9.80665  # m/s² in one g


@dataclass(frozen=True)
class Channel:
    """
    One signal of a recording.

    Parameters
    ----------
    name : str
        A key of `CHANNEL_UNITS`.
    fs_hz : float
        Samples a second. For an irregular channel (`times_s` given) the nominal rate.
    samples : ndarray of float32, shape (n,)
        Values in the unit of `CHANNEL_UNITS`; NaN where nothing was sensed.
    t0_s : float, default=0.0
        Time of the first sample in seconds since the recording's zero. Ignored where `times_s` is given.
    times_s : ndarray of float64, shape (n,), optional
        Strictly the time of each sample, non-decreasing, for a channel without a fixed rate (a device's own
        heart rate, for example).

    Raises
    ------
    ChannelError
        If the rate is not a positive number, or the shapes do not agree.
    """

    name: str
    fs_hz: float
    samples: NDArray[np.float32]
    t0_s: float = 0.0
    times_s: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fs_hz) and self.fs_hz > 0):
            raise ChannelError(f"channel {self.name!r} needs a rate above 0 Hz, got {self.fs_hz!r}; correct the header")
        if self.samples.ndim != 1:
            raise ChannelError(f"channel {self.name!r} must be one-dimensional, got shape {self.samples.shape}")
        if self.times_s is not None and self.times_s.shape != self.samples.shape:
            raise ChannelError(
                f"channel {self.name!r} has {self.samples.size} samples but {self.times_s.size} times; give one each"
            )

    @property
    def unit(self) -> str:
        """Unit of the samples."""
        return CHANNEL_UNITS.get(self.name, "")

    @property
    def end_s(self) -> float:
        """End of the last sample in seconds since the recording's zero; `t0_s` for an empty channel."""
        if self.times_s is not None:
            return float(self.times_s[-1]) if self.times_s.size else self.t0_s
        return self.t0_s + self.samples.size / self.fs_hz

    def times(self) -> NDArray[np.float64]:
        """Return the time of each sample, shape (n,), in seconds since the recording's zero."""
        if self.times_s is not None:
            return self.times_s
        return self.t0_s + np.arange(self.samples.size, dtype=np.float64) / self.fs_hz

    def _index(self, time_s: float) -> int:
        # 1e-6: a sample on the border belongs to the span that it starts, whatever the rounding of k / fs.
        position = np.ceil((time_s - self.t0_s) * self.fs_hz - 1e-6)
        return int(np.clip(position, 0, self.samples.size))

    def slice(self, start_s: float, end_s: float) -> Channel:
        """Return the samples with `start_s` <= time < `end_s`; times stay absolute."""
        if self.times_s is not None:
            first, last = (int(i) for i in np.searchsorted(self.times_s, [start_s, end_s]))
            return replace(self, samples=self.samples[first:last], times_s=self.times_s[first:last])
        first, last = self._index(start_s), self._index(end_s)
        return replace(self, samples=self.samples[first:last], t0_s=self.t0_s + first / self.fs_hz)


@dataclass(frozen=True)
class Annotations:
    """
    Marks on the time axis.

    Parameters
    ----------
    t_s : ndarray of float64, shape (n,)
        Seconds since the recording's zero, non-decreasing.
    label : tuple of str
        One a mark; "" where the mark is only a number.
    value : ndarray of float64, shape (n,)
        One a mark; NaN where the mark is only a label.
    """

    t_s: NDArray[np.float64]
    label: tuple[str, ...] = ()
    value: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        n = self.t_s.size
        if not self.label:
            object.__setattr__(self, "label", ("",) * n)
        if not self.value.size:
            object.__setattr__(self, "value", np.full(n, np.nan))
        if len(self.label) != n or self.value.size != n:
            raise RecordingError(f"{n} marks need {n} labels and values, got {len(self.label)} and {self.value.size}")

    def slice(self, start_s: float, end_s: float) -> Annotations:
        """Return the marks with `start_s` <= time < `end_s`."""
        first, last = (int(i) for i in np.searchsorted(self.t_s, [start_s, end_s]))
        return Annotations(self.t_s[first:last], self.label[first:last], self.value[first:last])


@dataclass(frozen=True)
class Recording:
    """
    What one person's sensors sensed in one go, with its annotations, origin and licence.

    Parameters
    ----------
    id, subject : str
        Name of the recording, and of the person; splits are by `subject`.
    channels : mapping of str to Channel
        By channel name; rates may differ.
    annotations : mapping of str to Annotations
        Keys: ``beats`` (labels: PhysioNet codes), ``rhythm`` (labels at each change), ``hr`` (value: mean BPM of the
        8 s that END at the mark), ``stage`` (labels W, 1, 2, 3, R or ? at the start of each 30 s), ``fall``
        (labels ``(FALL`` and ``FALL)``), ``activity`` (labels at each change).
    dataset, origin, licence : str
        Data set's name, where it was read from, and its licence as far as known.
    start : datetime, optional
        Aware UTC time of the recording's zero, where known.
    utc_offset_s : int, optional
        Offset of the wearer's clock from UTC.
    meta : mapping of str to str
        ``age``, ``activity``, ``label`` (fall or adl), ``rhythm`` and whatever else the source says.
    """

    id: str
    subject: str
    channels: Mapping[str, Channel]
    annotations: Mapping[str, Annotations] = field(default_factory=dict)
    dataset: str = ""
    origin: str = ""
    licence: str = "unknown"
    start: datetime | None = None
    utc_offset_s: int | None = None
    meta: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, channel in self.channels.items():
            if name != channel.name:
                raise RecordingError(
                    f"recording {self.id!r} files channel {channel.name!r} under {name!r}; use one name"
                )
        if self.start is not None and self.start.tzinfo is None:
            raise RecordingError(f"recording {self.id!r} starts at a time without a zone; give an aware datetime")

    @property
    def end_s(self) -> float:
        """End of the longest channel in seconds since the recording's zero."""
        return max((c.end_s for c in self.channels.values()), default=0.0)

    def require(self, name: str) -> Channel:
        """Return the channel `name`, or raise `ChannelError` that lists what there is."""
        if name not in self.channels:
            raise ChannelError(
                f"recording {self.id!r} has no channel {name!r}; it has: {', '.join(sorted(self.channels)) or 'none'}"
            )
        return self.channels[name]

    def slice(self, start_s: float, end_s: float) -> Recording:
        """Return the part with `start_s` <= time < `end_s`; times stay absolute, annotations are cut alike."""
        return replace(
            self,
            channels={n: c.slice(start_s, end_s) for n, c in self.channels.items()},
            annotations={n: a.slice(start_s, end_s) for n, a in self.annotations.items()},
        )

    def select(self, names: list[str] | tuple[str, ...]) -> Recording:
        """Return the recording with only those of `names` that it has."""
        return replace(self, channels={n: self.channels[n] for n in names if n in self.channels})

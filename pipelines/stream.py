"""Streaming: the same windows, piece by piece, as `Task.prepare` gives for the whole recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from data.errors import ChannelError
from data.recording import Channel, Recording
from pipelines.task import Task, Windows


class WindowStream:
    """
    Buffer of one stream that yields each window once its samples are there.

    Parameters
    ----------
    task : Task
    stream_id : str
        Names the stream in errors.
    first : int, default=0
        First window to give, for a stream that begins later than its clock.

    Notes
    -----
    Only [next start - context, now) is kept, so memory does not grow with the stream.
    """

    def __init__(self, task: Task, stream_id: str = "stream", first: int = 0) -> None:
        self._task = task
        self._buffer = Recording(stream_id, stream_id, {})
        self._next = first

    @property
    def next_window(self) -> int:
        """Index of the first window not yet given."""
        return self._next

    def push(self, channels: Mapping[str, Channel]) -> Windows:
        """
        Append samples and return the windows that are now whole (perhaps none).

        Parameters
        ----------
        channels : mapping of str to Channel
            The next samples of each channel, in order and without overlap; `t0_s` or `times_s` tells the place.
            A hole before `t0_s` is filled with NaN.

        Raises
        ------
        ChannelError
            If samples come before those that were pushed already, or the rate changes.
        """
        merged = dict(self._buffer.channels)
        for name, piece in channels.items():
            merged[name] = _append(merged[name], piece) if name in merged else piece
        self._buffer = replace(self._buffer, channels=merged)
        usable = [merged[c.name] for c in self._task.channels if c.name in merged]
        # The slowest channel decides: a window is whole when every channel that this device has covers it.
        return self._take(self._task.window.count(min((c.end_s for c in usable), default=0.0)))

    def finish(self) -> Windows:
        """Return what is left once the stream is over: rows behind the last whole window, of a task with `whole`."""
        whole = getattr(self._task, "whole", None)
        rest: Windows = whole(self._buffer, self._next) if whole else self._task.prepare(self._buffer, (0, 0))
        self._next += len(rest)
        return rest

    def _take(self, last: int) -> Windows:
        last = max(last, self._next)
        windows = self._task.prepare(self._buffer, (self._next, last))
        self._next = last
        keep_from = self._next * self._task.window.step_s - self._task.window.context_s
        self._buffer = self._buffer.slice(keep_from, np.inf)
        return windows


def _append(old: Channel, new: Channel) -> Channel:
    if new.times_s is not None and old.times_s is not None:
        if new.times_s.size and old.times_s.size and new.times_s[0] < old.times_s[-1]:
            raise ChannelError(f"channel {new.name!r} goes back in time; push samples in order")
        return replace(
            old,
            samples=np.concatenate([old.samples, new.samples]),
            times_s=np.concatenate([old.times_s, new.times_s]),
        )
    if new.fs_hz != old.fs_hz:
        raise ChannelError(
            f"channel {new.name!r} was {old.fs_hz:g} Hz and now comes at {new.fs_hz:g} Hz; start a new stream"
        )
    gap = round((new.t0_s - old.end_s) * old.fs_hz)
    if gap < 0:
        raise ChannelError(f"channel {new.name!r} overlaps what was pushed by {-gap} samples; push samples in order")
    hole = np.full(gap, np.nan, np.float32)
    return replace(old, samples=np.concatenate([old.samples, hole, new.samples]))

"""The shipped models on the wrist: the same tasks, windows and bundles as on the server."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from data.errors import BundleError
from data.recording import Channel
from models.evaluate import open_model
from models.runtime import Model, RuntimeName
from pipelines.registry import TASKS
from pipelines.stream import WindowStream
from pipelines.task import Decoder, Estimate, Task

# What a wrist does as samples come. It can stage sleep, too ("sleep-staging"), from what was before each epoch; the
# server judges a night once it is whole, and better.
LIVE_TASKS = ("heart-rate", "fall-detection", "activity", "steps")
# After so long a hole a decoder starts afresh: what was before it says nothing of now. The service's rule too.
HOLE_S = 30.0


@dataclass(frozen=True)
class WristEstimate:
    """An estimate and where it came from; its times are seconds since the boot named."""

    task: str
    model_version: str
    boot_id: str
    estimate: Estimate


@dataclass
class _Line:
    """One task along one stretch of signal."""

    task: Task
    model: Model | None
    stream: WindowStream | None = None
    decoder: Decoder | None = None
    begun: bool = False
    seen_s: dict[str, float] = field(default_factory=dict)

    def restart(self, start_s: float) -> None:
        """Begin a stretch at `start_s` with the first whole window in it."""
        first = max(0, math.ceil(start_s / self.task.window.step_s - 1e-6))
        self.stream = WindowStream(self.task, first=first)
        self.decoder = self.task.decoder(config=self.model.bundle.config if self.model else None)
        self.begun = False

    def known(self, channel: Channel) -> Channel:
        """Return a required channel from its first to its last sample that was sensed, another as it is.

        A window is whole once all that it needs was sensed: what is missing at the end may yet be the hole that ends
        the stretch.
        """
        if not any(spec.required and spec.name == channel.name for spec in self.task.channels):
            return channel
        there = np.flatnonzero(np.isfinite(channel.samples))
        if not there.size:
            return channel.slice(0.0, 0.0)
        first, last = channel.times()[[there[0], there[-1]]]
        return channel.slice(float(first), float(last) + 0.5 / channel.fs_hz)

    def starts(self, channels: Mapping[str, Channel]) -> list[float]:
        """Return the times in `channels` at which a new stretch begins: after a hole in a required channel.

        A task that requires none can bridge any hole, and begins once, with the first sample of whatever it can use.
        """
        if not any(spec.required for spec in self.task.channels):
            sensed = [c.times()[np.isfinite(c.samples)] for c in channels.values()]
            firsts = [float(times[0]) for times in sensed if times.size]
            return [min(firsts)] if firsts and self.stream is None else []
        found: set[float] = set()
        for spec in self.task.channels:
            if not spec.required or spec.name not in channels:
                continue
            channel = channels[spec.name]
            times = channel.times()[np.isfinite(channel.samples)]
            if times.size:
                before = np.concatenate(([self.seen_s.get(spec.name, -np.inf)], times[:-1]))
                found.update(times[times - before > HOLE_S + 1.0 / channel.fs_hz].tolist())
                self.seen_s[spec.name] = float(times[-1])
        return sorted(found)


class OnWatch:
    """
    Inference as samples come.

    Parameters
    ----------
    tasks : iterable of str
        Names of tasks; one whose channels this watch lacks, or which has no shipped bundle, is left out.
    runtime : {"exact", "micro", "litert"}
    models : mapping of str to Model, optional
        Models by task instead of the shipped ones (what came over the air, for example).
    """

    def __init__(
        self,
        tasks: Iterable[str] = LIVE_TASKS,
        runtime: RuntimeName = "exact",
        models: Mapping[str, Model | None] | None = None,
    ) -> None:
        self.tasks, self.runtime = tuple(tasks), runtime
        self.windows = 0
        # By task: versions that came over the air and would not do, with the reason.
        self.refused: dict[str, dict[str, str]] = {}
        self._boot_id = ""
        self._lines: dict[str, _Line] = {}
        self._models: dict[str, Model | None] = dict(models or {})

    def begin(self, boot_id: str, channels: Iterable[str]) -> None:
        """Begin a new stream: filters and decoders forget what was before the boot."""
        present = set(channels)
        self._boot_id, self._lines = boot_id, {}
        for name in self.tasks:
            if name not in tuple(TASKS) or not all(c.name in present for c in TASKS[name].channels if c.required):
                continue
            try:
                model = self._model(name)
            except BundleError:
                continue
            self._lines[name] = _Line(TASKS[name], model)

    def use(self, name: str, model: Model) -> None:
        """Run `model` for task `name` from now on; its decoder starts afresh."""
        self._models[name] = model
        if name in self._lines:
            self._lines[name] = _Line(TASKS[name], model)

    @property
    def versions(self) -> dict[str, str]:
        """Version of the model that runs for each task that has one."""
        return {name: line.model.bundle.version for name, line in self._lines.items() if line.model is not None}

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the tasks that run on this watch."""
        return tuple(self._lines)

    def push(self, channels: Mapping[str, Channel]) -> list[WristEstimate]:
        """Take the next samples (times in seconds since the boot) and return what can be said now."""
        found: list[WristEstimate] = []
        for name, line in self._lines.items():
            wanted = {c.name for c in line.task.channels}
            mine = {k: v for k, v in channels.items() if k in wanted}
            borders = [-math.inf, *line.starts(mine), math.inf]
            for start_s, end_s in itertools.pairwise(borders):
                if start_s > -math.inf:
                    line.restart(start_s)
                piece = {k: line.known(v.slice(start_s, end_s)) for k, v in mine.items()}
                piece = {k: v for k, v in piece.items() if v.samples.size}
                version = line.model.bundle.version if line.model else line.task.version
                found.extend(WristEstimate(name, version, self._boot_id, e) for e in self._run(line, piece))
        return found

    def _run(self, line: _Line, piece: Mapping[str, Channel]) -> list[Estimate]:
        if not piece or line.stream is None or line.decoder is None:
            return []
        windows = line.stream.push(piece)
        if not len(windows):
            return []
        outputs = line.model.predict(windows, resume=line.begun) if line.model else {}
        line.begun = True
        self.windows += len(windows)
        return line.decoder.update(outputs, windows)

    def _model(self, name: str) -> Model | None:
        if name not in self._models:
            self._models[name] = open_model(TASKS[name], runtime=self.runtime)
        return self._models[name]

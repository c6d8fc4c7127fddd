"""The shipped models on the wrist: the same tasks, windows and bundles as on the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from data.errors import BundleError
from data.recording import Channel
from models.evaluate import open_model
from models.runtime import Model, RuntimeName
from pipelines.registry import TASKS
from pipelines.stream import WindowStream
from pipelines.task import Decoder, Estimate, Task

# What a wrist can do as samples come; sleep is judged when a night is whole, by the server.
LIVE_TASKS = ("heart-rate", "fall-detection", "activity")


@dataclass(frozen=True)
class WristEstimate:
    """An estimate and where it came from; its times are seconds since the boot named."""

    task: str
    model_version: str
    boot_id: str
    estimate: Estimate


@dataclass
class _Line:
    task: Task
    model: Model | None
    stream: WindowStream
    decoder: Decoder
    begun: bool = False


@dataclass
class OnWatch:
    """
    Inference as samples come.

    Parameters
    ----------
    tasks : iterable of str
        Names of tasks; one whose channels this watch lacks, or which has no shipped bundle, is left out.
    runtime : {"litert", "micro"}
    """

    tasks: Iterable[str] = LIVE_TASKS
    runtime: RuntimeName = "litert"
    windows: int = 0
    _boot_id: str = ""
    _lines: dict[str, _Line] = field(default_factory=dict, repr=False)
    _models: dict[str, Model | None] = field(default_factory=dict, repr=False)

    def begin(self, boot_id: str, channels: Iterable[str]) -> None:
        """Begin a new stream: filters and decoders forget what was before the boot."""
        present = set(channels)
        self._boot_id = boot_id
        self._lines = {}
        for name in self.tasks:
            if name not in TASKS:
                continue
            task = TASKS[name]
            if not all(c.name in present for c in task.channels if c.required):
                continue
            if name not in self._models:
                try:
                    self._models[name] = open_model(task, runtime=self.runtime)
                except BundleError:
                    continue
            model = self._models[name]
            decoder = task.decoder(config=model.bundle.config if model else None)
            self._lines[name] = _Line(task, model, WindowStream(task, boot_id), decoder)

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the tasks that run on this watch."""
        return tuple(self._lines)

    def push(self, channels: Mapping[str, Channel]) -> list[WristEstimate]:
        """Take the next samples (times in seconds since the boot) and return what can be said now."""
        found: list[WristEstimate] = []
        for name, line in self._lines.items():
            wanted = {c.name for c in line.task.channels}
            windows = line.stream.push({k: v for k, v in channels.items() if k in wanted})
            if not len(windows):
                continue
            outputs = line.model.predict(windows, resume=line.begun) if line.model else {}
            line.begun = True
            estimates = line.decoder.update(outputs, windows)
            self.windows += len(windows)
            version = line.model.bundle.version if line.model else line.task.version
            found.extend(WristEstimate(name, version, self._boot_id, e) for e in estimates)
        return found

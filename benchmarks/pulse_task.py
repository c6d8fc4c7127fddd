"""A small task with a stateful decoder, for the tests and benchmarks of the service: no bundle needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from data.recording import Recording
from pipelines.task import ChannelSpec, Estimate, Outputs, Windows, WindowSpec
from services.worker.engine import Ability


class PulseDecoder:
    """Exponential smoothing: what a window says depends on all before it, so a lost state would show."""

    def __init__(self) -> None:
        self._mean: float | None = None

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        found = []
        for k in range(len(windows)):
            bpm = float(outputs["bpm"][k])
            self._mean = bpm if self._mean is None else round(0.5 * self._mean + 0.5 * bpm, 6)
            value = self._mean if windows.quality[k] > 0 else None
            found.append(
                Estimate("heart_rate", windows.start_s[k], windows.end_s[k], value, 1.0, float(windows.quality[k]))
            )
        return found

    def finish(self) -> list[Estimate]:
        return []

    def state(self) -> dict[str, Any]:
        return {"mean": self._mean}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._mean = state["mean"]


class PulseTask:
    """Counts the mean of each window, as if a mean of 70 were 70 BPM."""

    name, title, version, kind, metric = "pulse", "Pulse", "1", "heart_rate", "mae_bpm"
    channels = (ChannelSpec("ppg", required=True), ChannelSpec("acc_x"))
    window = WindowSpec(8.0, 2.0, 4.0)
    higher_is_better, network, datasets = False, True, ()

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        channel = recording.require("ppg") if "ppg" in recording.channels else None
        first, last = windows or (0, self.window.count(recording.end_s))
        start = np.arange(first, last) * self.window.step_s
        rows = np.zeros((last - first, 2), np.float32)
        for k, begin in enumerate(start):
            for column, (a, b) in enumerate(((begin, begin + 8.0), (begin - 4.0, begin))):
                samples = channel.slice(a, b).samples if channel else np.empty(0, np.float32)
                samples = samples[~np.isnan(samples)]
                rows[k, column] = samples.mean(dtype=np.float64) if samples.size else 0.0
        quality = (rows[:, 0] != 0).astype(np.float32)
        return Windows({"mean": rows}, start, start + 8.0, quality)

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> PulseDecoder:  # noqa: ARG002
        return PulseDecoder()


class PulseModel:
    """The network's part: the window's mean, moved a little by its context."""

    def predict(self, windows: Windows) -> Outputs:
        rows = windows.inputs["mean"]
        return {"bpm": np.round(rows[:, 0] + 0.01 * rows[:, 1], 3)}


def pulse_ability(version: str = "v1") -> Ability:
    """Return the task, ready to run."""
    return Ability(PulseTask(), PulseModel(), version, {})  # type: ignore[arg-type]

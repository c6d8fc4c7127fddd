"""The small task of the service's tests; the benchmarks use it, too."""

from types import SimpleNamespace
from typing import Any

from benchmarks.pulse_task import PulseModel, PulseTask, pulse_ability

__all__ = ["PulseTask", "WristModel", "pulse_ability"]


class WristModel(PulseModel):
    """The fake task's network under the interface of `Model`."""

    bundle = SimpleNamespace(version="v1", config={})

    def predict(self, windows: Any, *, resume: bool = False) -> Any:
        return super().predict(windows)

"""The small task of the service's tests; the benchmarks use it, too."""

from benchmarks.pulse_task import PulseTask, pulse_ability

__all__ = ["PulseTask", "pulse_ability"]

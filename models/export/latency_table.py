"""
A measured table of latency against width: the staircase that a pruner must know.

On one processor 33 channels cost twice what 32 cost, and 31 more than 32; on another the steps lie elsewhere. So they
are measured where the model will run (or on the nearest thing to it) and never written into code. The files that are
timed are put together here, operator by operator, without TensorFlow: milliseconds a width.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from data.errors import WristwiseError
from models.export.measure import latency_us
from models.export.probes import conv_probe, lstm_probe

Kind = Literal["conv", "lstm"]
WIDTHS = (4, 8, 12, 15, 16, 17, 20, 24, 28, 31, 32, 33, 40, 41, 48, 49, 56, 64)


class LatencyTableError(WristwiseError, ValueError):
    """A table cannot be read, or does not hold what was asked."""


@dataclass(frozen=True)
class LatencyTable:
    """
    Microseconds of one operator by its width (channels in = channels out, or units), as measured.

    Parameters
    ----------
    kind : {"conv", "lstm"}
    dtype : {"float32", "int8"}
    processor : str
    us : mapping of int to float
    """

    kind: str
    dtype: str
    processor: str
    us: Mapping[int, float]

    def latency_us(self, width: int) -> float:
        """
        Return the latency of a width: measured, or between its neighbours by straight line.

        Raises
        ------
        LatencyTableError
            If the width lies outside what was measured.
        """
        known = sorted(self.us)
        if not known[0] <= width <= known[-1]:
            raise LatencyTableError(
                f"width {width} lies outside the measured {known[0]} to {known[-1]}; measure a table with it"
            )
        return float(np.interp(width, known, [self.us[w] for w in known]))

    def steps(self, gain: float = 0.05) -> tuple[int, ...]:
        """Return the widths worth having: each is faster by the share `gain` than every wider one."""
        best, kept = float("inf"), []
        for width in sorted(self.us, reverse=True):
            if self.us[width] < (1.0 - gain) * best:
                best = self.us[width]
                kept.append(width)
        return tuple(reversed(kept))

    def step_below(self, width: int) -> int:
        """Return the widest width worth having that is not wider; the narrowest measured if there is none."""
        return max((step for step in self.steps() if step <= width), default=min(self.us))

    def save(self, path: Path) -> None:
        """Write the table as JSON."""
        entry = {"kind": self.kind, "dtype": self.dtype, "processor": self.processor}
        path.write_text(json.dumps(entry | {"us": {str(w): round(t, 3) for w, t in self.us.items()}}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "LatencyTable":
        """Read a table that `save` wrote."""
        try:
            entry: dict[str, Any] = json.loads(path.read_text())
            us = {int(w): float(t) for w, t in entry["us"].items()}
            return cls(str(entry["kind"]), str(entry["dtype"]), str(entry["processor"]), us)
        except (OSError, ValueError, KeyError) as error:
            raise LatencyTableError(f"{path} is no latency table ({error}); measure one with measure_table") from error


def measure_table(
    kind: Kind = "conv",
    dtype: Literal["float32", "int8"] = "float32",
    widths: Sequence[int] = WIDTHS,
    *,
    runs: int = 100,
    steps: int = 256,
    kernel: int = 5,
) -> LatencyTable:
    """
    Measure one operator at each width in LiteRT, one thread, best of `runs`.

    Parameters
    ----------
    kind : {"conv", "lstm"}
        A convolution of ``(1, kernel)`` over `steps` samples with as many channels in as out, or an LSTM over an
        eighth of the steps (float32 only: int8 LSTM is ten times slower than float in LiteRT and not for servers).
    """
    if kind == "lstm" and dtype != "float32":
        raise LatencyTableError("an LSTM table is measured in float32; use dtype='float32'")
    us = {}
    for width in widths:
        if kind == "conv":
            probe = conv_probe(width, width, kernel, steps, dtype)
        else:
            probe = lstm_probe(width, width, max(1, steps // 8))
        us[width] = latency_us(probe, runs)
    return LatencyTable(kind, dtype, f"{platform.machine()} {_processor()}".strip(), us)


def _processor() -> str:
    """Return the processor's own name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")

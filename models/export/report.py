"""The size report: where the bytes of a file are, operator by operator."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.export import flatbuffer
from models.export.cost import CORTEX_M4F, CORTEX_M55, Cost, cost, operator_costs
from models.export.interpreters import LoadError, available
from models.export.measure import Sizes, arena_bytes, latency_us, sizes


@dataclass(frozen=True)
class OperatorRow:
    """One operator of the table: its constants in bytes, how many of their values are zero, its MACs."""

    operator: str
    output: str
    parameters: int
    weight_bytes: int
    zero_share: float
    macs: int


@dataclass(frozen=True)
class SizeReport:
    """
    Bytes, latency, arena and predicted cost of a file, apart: a mask of zeros moves only gzip.

    `overhead_bytes` is what is not weights: structure, names, padding. `arena_bytes` is None where tflite-micro
    is not installed or refuses the file.
    """

    sizes: Sizes
    overhead_bytes: int
    latency_us: float
    arena_bytes: int | None
    rows: tuple[OperatorRow, ...]
    predicted: tuple[Cost, ...]

    def entry(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self)

    def json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(self.entry(), indent=1)

    def table(self) -> str:
        """Return the report as a Markdown table."""
        head = ["operator", "output", "parameters", "bytes", "zeros", "MACs"]
        body = [
            [r.operator, r.output, f"{r.parameters}", f"{r.weight_bytes}", f"{r.zero_share:.0%}", f"{r.macs}"]
            for r in self.rows
        ]
        arena = "-" if self.arena_bytes is None else f"{self.arena_bytes}"
        lines = [
            f"{self.sizes.raw} bytes ({self.sizes.gzip} after gzip), {self.overhead_bytes} of them no weights; "
            f"{self.latency_us:.1f} us in LiteRT on this machine, arena {arena} bytes in tflite-micro.",
            *(
                f"Predicted on a {c.core}: {c.macs} MACs, {c.latency_us / 1e3:.2f} ms, {c.energy_uj:.1f} uJ."
                for c in self.predicted
            ),
            "",
        ]
        return "\n".join(lines + _markdown(head, body))


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in (head, *body)) for k in range(len(head))]
    rule = ["-" * width for width in widths]
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, rule, *body)
    ]


def size_report(tflite: bytes, runs: int = 100) -> SizeReport:
    """
    Measure a file here and predict it for a watch.

    Raises
    ------
    TFLiteFileError, LoadError
        If it is no `.tflite` file, or LiteRT does not take it.
    """
    model = flatbuffer.read(tflite)
    rows = []
    weights = 0
    seen: set[int] = set()
    for (graph, operator, name), part in zip(flatbuffer.operators(model), operator_costs(model), strict=True):
        tensors = [graph.tensors[i] for i in operator.inputs if i >= 0] if operator.inputs is not None else []
        arrays = [a for a in (flatbuffer.array(model, t) for t in tensors) if a is not None]
        stored = {t.buffer: flatbuffer.array(model, t) for t in tensors if t.buffer not in seen}
        seen.update(stored)
        own = sum(a.nbytes for a in stored.values() if a is not None)
        weights += own
        values = sum(a.size for a in arrays)
        zeros = sum(int((a == 0).sum()) for a in arrays)
        shape = "x".join(str(n) for n in graph.tensors[operator.outputs[0]].shape)
        rows.append(OperatorRow(name, shape, values, own, zeros / values if values else 0.0, part.macs))
    arena = None
    if "micro" in available():
        try:
            arena = arena_bytes(tflite)
        except LoadError:
            arena = None
    predicted = (cost(tflite, CORTEX_M4F), cost(tflite, CORTEX_M55))
    whole = sizes(tflite)
    return SizeReport(whole, whole.raw - weights, latency_us(tflite, runs), arena, tuple(rows), predicted)

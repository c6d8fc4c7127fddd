"""
The two silent faults of int8 LSTM, found and cured in the file.

1. A cell-state scale below 2^-15: LiteRT (every kernel of it, and tf.lite) answers with garbage, tflite-micro is
   right. Cure: raise the scale of the operator's input 19 to 2^-15.
2. Bidirectional with a concatenation: the converter unifies the scales of the two outputs, but not those of the
   hidden states, so each step reads its own past with a wrong scale, in both runtimes. Cure: copy the output's scale
   and zero point onto input 18 (the hidden state) and intermediate 4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from models.export import flatbuffer

SMALLEST_CELL_SCALE = 2.0**-15
HIDDEN_STATE, CELL_STATE, HIDDEN_INTERMEDIATE = 18, 19, 4
"""Places among the inputs and intermediates of UNIDIRECTIONAL_SEQUENCE_LSTM."""


@dataclass(frozen=True)
class Fault:
    """One wrong scale: which operator, which kind, what was read and what is right."""

    kind: str
    operator: int
    found: float
    wanted: float

    def __str__(self) -> str:
        return f"{self.kind} at operator {self.operator}: scale {self.found:.3g}, should be {self.wanted:.3g}"


def _int8_lstms(model: flatbuffer.Model) -> list[tuple[int, Any, Any]]:
    """Return (place, subgraph, operator) of every LSTM with int8 output."""
    found = []
    for graph in model.subgraphs:
        for place, operator in enumerate(graph.operators if graph.operators is not None else ()):
            lstm = flatbuffer.operator_name(model, operator) == "UNIDIRECTIONAL_SEQUENCE_LSTM"
            if lstm and graph.tensors[operator.outputs[0]].type == schema.TensorType.INT8:
                found.append((place, graph, operator))
    return found


def _set_quantization(tensor: Any, scale: float, zero_point: int) -> None:
    tensor.quantization.scale = np.array([scale], np.float32)
    tensor.quantization.zeroPoint = np.array([zero_point], np.int64)


def _states(graph: Any, operator: Any) -> list[Any]:
    """Return the tensors that carry the hidden state: the input 18 and, if there, intermediate 4."""
    tensors = [graph.tensors[operator.inputs[HIDDEN_STATE]]]
    intermediates = operator.intermediates
    if intermediates is not None and len(intermediates) > HIDDEN_INTERMEDIATE:
        tensors.append(graph.tensors[intermediates[HIDDEN_INTERMEDIATE]])
    return tensors


def find_faults(data: bytes) -> list[Fault]:
    """Return the int8 LSTM faults of a `.tflite` file, in the order of its operators."""
    return repair_model(flatbuffer.read(data))


def repair(data: bytes) -> tuple[bytes, list[Fault]]:
    """Return the file with its faults cured, and what they were; a sound file comes back as it went in."""
    model = flatbuffer.read(data)
    faults = repair_model(model)
    return (flatbuffer.write(model) if faults else data), faults


def repair_model(model: flatbuffer.Model) -> list[Fault]:
    """Cure an unpacked file in place and return what was wrong."""
    faults = []
    for place, graph, operator in _int8_lstms(model):
        cell = graph.tensors[operator.inputs[CELL_STATE]]
        cell_scale = flatbuffer.quantization(cell)
        if cell_scale is not None and cell_scale[0] < SMALLEST_CELL_SCALE:
            faults.append(Fault("cell-state scale", place, cell_scale[0], SMALLEST_CELL_SCALE))
            _set_quantization(cell, SMALLEST_CELL_SCALE, 0)
        output = flatbuffer.quantization(graph.tensors[operator.outputs[0]])
        if output is None:
            continue
        for tensor in _states(graph, operator):
            state = flatbuffer.quantization(tensor)
            if state is not None and state != output:
                faults.append(Fault("hidden-state scale", place, state[0], output[0]))
                _set_quantization(tensor, *output)
    return faults

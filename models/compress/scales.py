"""The scales that follow from others: a bias is quantized by the product of its input's and its kernel's scale."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from models.export import flatbuffer

_LSTM_GATES = 4
_DERIVED = np.zeros(0, np.float32)
"""Stands where a scale can be computed; no file holds an empty scale with a zero point."""


def drop(model: flatbuffer.Model) -> None:
    """Take out of an unpacked file, in place, the scales that `fill` computes to the bit."""
    for entry, kernel, bias in _triples(model):
        if np.array_equal(bias.scale, _product(entry, kernel)):
            bias.scale = _DERIVED


def fill(model: flatbuffer.Model) -> None:
    """Put the scales back that `drop` took out."""
    for entry, kernel, bias in _triples(model):
        if len(bias.scale) == 0:
            bias.scale = _product(entry, kernel)


def _product(entry: Any, kernel: Any) -> Any:
    return np.asarray(entry.scale, np.float32) * np.asarray(kernel.scale, np.float32)


def _triples(model: flatbuffer.Model) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the quantization of input, kernel and bias of every operator that has a bias."""
    for graph, operator, name in flatbuffer.operators(model):
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            places = [(0, 1, 2)]
        elif name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
            places = [(0, 1 + gate, 12 + gate) for gate in range(_LSTM_GATES)]
        else:
            continue
        for triple in places:
            if max(triple) >= len(operator.inputs) or min(operator.inputs[k] for k in triple) < 0:
                continue
            found = [graph.tensors[operator.inputs[k]].quantization for k in triple]
            if all(q is not None and q.scale is not None for q in found):
                yield found[0], found[1], found[2]

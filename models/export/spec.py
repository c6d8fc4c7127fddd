"""What a `.tflite` file takes and gives, read from the file itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.bundle import TensorSpec
from models.export import flatbuffer


def tensor_specs(data: bytes | flatbuffer.Model) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """
    Return the specs of inputs and outputs of a file in its order, for a bundle's card.

    A tensor without a name is called ``input_0``, ``output_0`` and so on.
    """
    model = flatbuffer.read(data) if isinstance(data, bytes) else data
    graph = model.subgraphs[0]
    return _specs(graph, graph.inputs, "input"), _specs(graph, graph.outputs, "output")


def _specs(graph: Any, places: Sequence[int], side: str) -> tuple[TensorSpec, ...]:
    specs = []
    for k, place in enumerate(places):
        tensor = graph.tensors[place]
        scale, zero_point = flatbuffer.quantization(tensor) or (1.0, 0)
        dtype = flatbuffer.DTYPES.get(tensor.type)
        if dtype is None:
            raise flatbuffer.TFLiteFileError(
                f"{side} {k} has the tensor type {tensor.type}, which no runtime here feeds; use float32 or int8"
            )
        specs.append(
            TensorSpec(
                flatbuffer.text(tensor.name) or f"{side}_{k}",
                tuple(int(n) for n in tensor.shape) if tensor.shape is not None else (),
                np.dtype(dtype).name,
                scale,
                zero_point,
            )
        )
    return tuple(specs)

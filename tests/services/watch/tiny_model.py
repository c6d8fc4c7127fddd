"""A network of one ReLU, made without TensorFlow: small enough to write here, real enough to run."""

from __future__ import annotations

import hashlib
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from models.bundle import FORMAT, MODEL_FILE


def relu_file(width: int = 2, name: bytes = b"relu") -> bytes:
    """Return a .tflite that maps (1, width) to its positive part."""
    model = schema.ModelT()
    model.version, model.description = 3, name
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(b"mean", width), _tensor(b"bpm", width)]
    graph.inputs, graph.outputs = [0], [1]
    relu = schema.OperatorT()
    relu.opcodeIndex, relu.inputs, relu.outputs = 0, [0], [1]
    graph.operators = [relu]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: bytes, width: int) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, width], schema.TensorType.FLOAT32, 0
    return tensor


def card_of(data: bytes, *, task: str = "pulse", preprocessing: str = "1", width: int = 2) -> dict[str, Any]:
    """Return a card that fits `relu_file`."""
    spec = {"shape": [1, width], "dtype": "float32", "scale": 1.0, "zero_point": 0}
    return {
        "format": FORMAT, "task": task, "preprocessing": preprocessing, "sequence": False,
        "inputs": [{"name": "mean", **spec}], "outputs": [{"name": "bpm", **spec}],
        "files": {MODEL_FILE: hashlib.sha256(data).hexdigest()}, "sizes": {"tflite_bytes": len(data)},
    }  # fmt: skip

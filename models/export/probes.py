"""Files of a single operator, put together without TensorFlow, to be timed."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models.export import flatbuffer

_TYPES = {np.dtype(dtype): code for code, dtype in flatbuffer.DTYPES.items()}


class _Builder:
    """A model of one subgraph that grows tensor by tensor."""

    def __init__(self) -> None:
        self.model: Any = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()])
        self.graph: Any = schema.SubGraphT(tensors=[], operators=[], inputs=[], outputs=[])
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        values: NDArray[Any] | None = None,
        scale: float | NDArray[np.float32] | None = None,
        *,
        variable: bool = False,
    ) -> int:
        """Add a tensor and return its place; with values it is a constant."""
        buffer = 0
        if values is not None:
            data = np.frombuffer(np.ascontiguousarray(values, dtype).tobytes(), np.uint8)
            self.model.buffers.append(schema.BufferT(data=data))
            buffer = len(self.model.buffers) - 1
        quantization = None
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            quantization = schema.QuantizationParametersT(scale=scales, zeroPoint=np.zeros(scales.size, np.int64))
        self.graph.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32), type=_TYPES[np.dtype(dtype)], buffer=buffer, isVariable=variable,
                quantization=quantization, hasRank=True,
            )
        )  # fmt: skip
        return len(self.graph.tensors) - 1

    def finish(
        self, code: int, version: int, options: Any, kind: int, inputs: list[int], entry: int, output: int
    ) -> bytes:
        """Add the operator and return the file."""
        self.model.operatorCodes.append(
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=version)
        )
        operator = schema.OperatorT(
            opcodeIndex=0, inputs=np.array(inputs, np.int32), outputs=np.array([output], np.int32),
            builtinOptionsType=kind, builtinOptions=options,
        )  # fmt: skip
        self.graph.operators = [operator]
        self.graph.inputs, self.graph.outputs = np.array([entry], np.int32), np.array([output], np.int32)
        return flatbuffer.write(self.model)


def conv_probe(channels_in: int, channels_out: int, kernel: int, steps: int, dtype: str) -> bytes:
    """Return a file of one ``(1, kernel)`` convolution with ReLU over `steps` samples, in float32 or int8."""
    rng, build, int8 = np.random.default_rng(0), _Builder(), dtype == "int8"
    kind = np.int8 if int8 else np.float32
    entry = build.tensor((1, 1, steps, channels_in), kind, scale=0.05 if int8 else None)
    weights = rng.integers(-127, 128, (channels_out, 1, kernel, channels_in)) if int8 else rng.normal(
        size=(channels_out, 1, kernel, channels_in)
    )  # fmt: skip
    scales = np.full(channels_out, 0.01, np.float32) if int8 else None
    kernel_at = build.tensor(weights.shape, kind, weights, scales)
    bias = np.zeros(channels_out)
    bias_at = build.tensor((channels_out,), np.int32 if int8 else np.float32, bias, scales * 0.05 if scales is not None
                           else None)  # fmt: skip
    output = build.tensor((1, 1, steps, channels_out), kind, scale=0.05 if int8 else None)
    options = schema.Conv2DOptionsT(
        padding=schema.Padding.SAME, strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1,
        fusedActivationFunction=schema.ActivationFunctionType.RELU,
    )  # fmt: skip
    return build.finish(
        schema.BuiltinOperator.CONV_2D, 3, options, schema.BuiltinOptions.Conv2DOptions,
        [entry, kernel_at, bias_at], entry, output,
    )  # fmt: skip


def lstm_probe(features: int, units: int, steps: int) -> bytes:
    """Return a file of one float32 LSTM over `steps` samples."""
    rng, build = np.random.default_rng(0), _Builder()
    entry = build.tensor((1, steps, features), np.float32)
    shapes = [(units, features)] * 4 + [(units, units)] * 4
    kernels = [build.tensor(shape, np.float32, rng.normal(scale=0.1, size=shape)) for shape in shapes]
    biases = [build.tensor((units,), np.float32, np.zeros(units)) for _ in range(4)]
    states = [build.tensor((1, units), np.float32, variable=True) for _ in range(2)]
    output = build.tensor((1, steps, units), np.float32)
    # Input, 8 kernels, 3 peepholes (none), 4 biases, projection and its bias (none), 2 states, 4 layer norms (none).
    inputs = [entry, *kernels, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1]
    options = schema.UnidirectionalSequenceLSTMOptionsT(
        fusedActivationFunction=schema.ActivationFunctionType.TANH, cellClip=0.0, projClip=0.0, timeMajor=False
    )
    return build.finish(
        schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM, 1, options,
        schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions, inputs, entry, output,
    )  # fmt: skip

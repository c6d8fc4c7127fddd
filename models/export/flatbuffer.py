"""
Read, change and write `.tflite` files without TensorFlow.

The schema that comes with `ai-edge-litert` unpacks a file into plain objects; these helpers name what the rest of
the room needs of them. Two traps are dealt with here: equal constants share a tensor or a buffer, so whoever changes
one must take a copy first (`own_buffer`); and the Python flatbuffer library forgets that buffers start on 16-byte
boundaries, which a microcontroller relies on.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from data.errors import WristwiseError

Model = Any
"""An unpacked file: `ModelT` of the generated schema, which carries no types."""

DTYPES: dict[int, type[np.generic]] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.BOOL: np.bool_,
}
"""Tensor type of the schema to numpy type; what is missing here is never rewritten."""


class TFLiteFileError(WristwiseError, ValueError):
    """The bytes are not a `.tflite` file, or not one that can be rewritten."""


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data start on a 16-byte boundary, as the schema demands."""

    def Pack(self, builder: Any) -> Any:
        vector = None
        if self.data is not None and len(self.data):
            data = np.asarray(self.data, dtype=np.uint8)
            builder.StartVector(1, data.size, 16)
            builder.head = builder.head - data.size
            builder.Bytes[builder.head : builder.head + data.size] = data.tobytes()
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """
    A builder that writes equal vectors of numbers once.

    Shapes, zero points and scales repeat from tensor to tensor: a tenth of a small file. Readers follow offsets and
    do not mind that two of them meet.
    """

    __slots__ = ("_written",)

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def read(data: bytes) -> Model:
    """
    Unpack a `.tflite` file.

    Raises
    ------
    TFLiteFileError
        If the file identifier is not ``TFL3`` or the table structure is broken.
    """
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise TFLiteFileError(
            f"expected a .tflite file (identifier TFL3 at byte 4), but got {len(data)} bytes with "
            f"{bytes(data[4:8])!r} there; export the model with to_tflite or `wristwise export` first"
        )
    try:
        model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
    except Exception as error:
        raise TFLiteFileError(
            f"the .tflite file of {len(data)} bytes is damaged ({error}); export or download it again"
        ) from error
    return model


def write(model: Model) -> bytes:
    """Pack a model with 16-byte aligned buffers and equal vectors shared; equal models give equal bytes."""
    plain = model.buffers
    model.buffers = [_AlignedBuffer(data=buffer.data) for buffer in plain]
    try:
        builder = _SharingBuilder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
    finally:
        model.buffers = plain


def array(model: Model, tensor: Any) -> NDArray[Any] | None:
    """Return the constant of a tensor in its shape, or None if it has none or is of an unknown type."""
    data = model.buffers[tensor.buffer].data
    dtype = DTYPES.get(tensor.type)
    if data is None or len(data) == 0 or dtype is None:
        return None
    values = np.frombuffer(np.asarray(data, dtype=np.uint8).tobytes(), dtype=dtype)
    shape = () if tensor.shape is None else tuple(int(n) for n in tensor.shape)
    return values.reshape(shape) if values.size == int(np.prod(shape)) else None


def set_array(model: Model, tensor: Any, values: NDArray[Any]) -> None:
    """Replace the constant of a tensor; every tensor that shares its buffer changes with it."""
    model.buffers[tensor.buffer].data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)


def own_buffer(model: Model, tensor: Any) -> None:
    """Give a tensor a buffer of its own, so that a change of it changes no other."""
    shared = model.buffers[tensor.buffer].data
    model.buffers.append(schema.BufferT(data=None if shared is None else np.array(shared, dtype=np.uint8)))
    tensor.buffer = len(model.buffers) - 1


@lru_cache(maxsize=1)
def _operator_names() -> dict[int, str]:
    return {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def operator_name(model: Model, operator: Any) -> str:
    """Return the name of an operator, such as ``CONV_2D``; a custom one gives its own name."""
    code = model.operatorCodes[operator.opcodeIndex]
    if code.builtinCode == schema.BuiltinOperator.CUSTOM:
        return text(code.customCode)
    # Old files hold the code in a field of 8 bits only.
    return _operator_names()[max(code.builtinCode, code.deprecatedBuiltinCode)]


def operators(model: Model) -> Iterator[tuple[Any, Any, str]]:
    """Yield (subgraph, operator, name) of every operator in order."""
    for graph in model.subgraphs:
        for operator in graph.operators if graph.operators is not None else ():
            yield graph, operator, operator_name(model, operator)


def text(name: Any) -> str:
    """Return a name of the file as text, empty if it was stripped."""
    if name is None:
        return ""
    return name.decode() if isinstance(name, bytes) else str(name)


def quantization(tensor: Any) -> tuple[float, int] | None:
    """Return (scale, zero point) of a tensor quantized as a whole, else None."""
    q = tensor.quantization
    if q is None or q.scale is None or len(q.scale) != 1:
        return None
    return float(q.scale[0]), int(q.zeroPoint[0]) if q.zeroPoint is not None and len(q.zeroPoint) else 0


def strip(model: Model, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> None:
    """
    Remove names, metadata, signatures and empty tables in place, and name inputs and outputs as given.

    They cost about 700 bytes in a file of 8.5 kB and change no result.
    """
    for graph in model.subgraphs:
        graph.name = None
        for tensor in graph.tensors:
            tensor.name = None
            q = tensor.quantization
            if q is not None and q.scale is None and q.details is None:
                tensor.quantization = None  # an empty table says what no table says
    main = model.subgraphs[0]
    for indices, names in ((main.inputs, inputs), (main.outputs, outputs)):
        for index, name in zip(indices, names, strict=False):
            main.tensors[index].name = name
    model.description = None
    model.metadata = None
    model.metadataBuffer = None
    model.signatureDefs = None
    drop_unused_buffers(model)


def drop_unused_buffers(model: Model) -> None:
    """Remove buffers that no tensor reads; buffer 0 stays, it means "none"."""
    used = {0}
    for graph in model.subgraphs:
        used.update(tensor.buffer for tensor in graph.tensors)
    used.update(entry.buffer for entry in model.metadata or ())
    order = sorted(used)
    place = {old: new for new, old in enumerate(order)}
    model.buffers = [model.buffers[old] for old in order]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = place[tensor.buffer]
    for entry in model.metadata or ():
        entry.buffer = place[entry.buffer]

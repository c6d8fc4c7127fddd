"""
The compressed form that tflite-micro itself runs: DECODE operators before the layers that read the weights.

tflite-micro's own tool writes look-up tables but not the pruned form, which its runtime decodes all the same: a bit
mask, most significant bit first, then the non-zero values. The encoder is here. Such a file loads in tflite-micro only
(LiteRT has no DECODE), trades arena and time for flash, and is checked bit for bit against the dense file.
"""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import MissingExtraError, WristwiseError
from models.export import flatbuffer
from models.export.interpreters import load, run_rows
from models.export.spec import tensor_specs

Method = Literal["pruning", "lut"]
_HEADER = 16  # bytes of the DECODE common metadata; a tensor that would save fewer is left alone


class DecodeError(WristwiseError, ValueError):
    """A file cannot be put into the form with DECODE operators."""


@dataclass(frozen=True)
class Decoded:
    """The new file, the bytes of the dense one, and how many tensors were encoded."""

    tflite: bytes
    dense_bytes: int
    tensors: int


class PruningEncoder:
    """The encoder that tflite-micro lacks: DCM type 2, version 1, a bit mask and the non-zero values."""

    def __init__(self, compressor: Any, decode: Any) -> None:
        self._compressor, self._decode = compressor, decode

    @property
    def decode_type(self) -> Any:
        """The DECODE type that the runtime reads."""
        return self._decode.DecodeType.PRUNING

    def compress(self, tensor: Any, _method: Any) -> Any:
        """Return the mask as the tensor's data, and the non-zero values as ancillary data after the header."""
        values = np.asarray(tensor.array)
        mask, kept = encode_mask(values)
        header = self._decode.DecodeCommonMetadata(decode_type=self.decode_type, user_data=b"\x01")
        return self._compressor.CompressionResult(encoded_data=mask, ancillary_data=header.to_bytes() + kept)


def encode_mask(values: NDArray[Any]) -> tuple[bytes, bytes]:
    """Return the packed bit mask of the non-zeros, most significant bit first, and the non-zeros."""
    flat = values.reshape(-1)
    return np.packbits(flat != 0).tobytes(), flat[flat != 0].tobytes()


def to_decode(tflite: bytes, method: Method = "pruning", *, check: bool = True) -> Decoded:
    """
    Return a file that tflite-micro decodes while it runs.

    Parameters
    ----------
    tflite : bytes
        Pruned (for ``pruning``) or clustered per channel or tensor (for ``lut``).
    method : {"pruning", "lut"}
        Bit mask and non-zeros, or indices into tables of 2 to 128 values. Only tensors that become smaller are
        encoded.
    check : bool
        Run both files in tflite-micro on eight rows and refuse any difference.

    Raises
    ------
    DecodeError
        If no tensor becomes smaller, or the new file answers differently.
    MissingExtraError
        If tflite-micro is not installed.
    """
    try:
        from tflite_micro import compression
    except ImportError as error:
        raise MissingExtraError("the DECODE form needs the package tflite-micro; install the extra watch") from error
    chosen = _specs(tflite, method, compression)
    if not chosen:
        raise DecodeError(
            f"no weight tensor becomes smaller by method {method!r}; prune more than an eighth of the weights first"
            if method == "pruning"
            else "no weight tensor becomes smaller by a table; cluster to 4 bits first, and take tensors of many values"
        )
    with _encoder_in_place(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of tensors that share a buffer and leaves them dense
        made = bytes(compression.compress(tflite, chosen))
    if check:
        _check_equal(tflite, made)
    return Decoded(made, len(tflite), len(chosen))


_ENTRY_BYTES = 200
"""What a DECODE operator adds to the file: two tensors, an operator, its tables. Measured, rounded up."""

_READS_WEIGHTS_LATE = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
"""Operators that look at their weights only when they run. An LSTM folds them while it prepares: not for DECODE."""


def _specs(tflite: bytes, method: Method, compression: Any) -> list[Any]:
    """Return what to encode: the weights of late readers that become smaller."""
    model = flatbuffer.read(tflite)
    chosen: dict[tuple[int, int], Any] = {}
    for g, graph in enumerate(model.subgraphs):
        for operator in graph.operators if graph.operators is not None else ():
            if flatbuffer.operator_name(model, operator) not in _READS_WEIGHTS_LATE or len(operator.inputs) < 2:
                continue
            place = int(operator.inputs[1])
            values = flatbuffer.array(model, graph.tensors[place])
            if values is None:
                continue
            found = _method(graph.tensors[place], values, method, compression.spec)
            if found is not None:
                chosen[g, place] = compression.spec.Tensor(g, place, [found])
    return [chosen[key] for key in sorted(chosen)]


def _method(tensor: Any, values: NDArray[Any], method: Method, spec: Any) -> Any | None:
    """Return the compression of one tensor, or None if it would not become smaller."""
    if method == "pruning":
        mask, kept = encode_mask(values)
        smaller = len(mask) + len(kept) + _HEADER + _ENTRY_BYTES < values.nbytes
        return spec.PruningCompression() if smaller else None
    axis = lut_axis(tensor)
    rows = [values.reshape(-1)] if axis is None else list(np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1))
    most = max(int(np.unique(row).size) for row in rows)
    if most > 128 or (axis is not None and axis not in (0, values.ndim - 1)):
        return None
    bits = max(1, (most - 1).bit_length())
    size = (values.size * bits + 7) // 8 + len(rows) * most * values.itemsize + _HEADER + _ENTRY_BYTES
    if size >= values.nbytes:
        return None
    mode = spec.PerTensor() if axis is None else spec.PerChannel(axis=axis)
    return spec.LookUpTableCompression(index_bitwidth=bits, mode=mode)


def lut_axis(tensor: Any) -> int | None:
    """
    Return along which axis a tensor needs tables of its own, None if one will do.

    A single table for a tensor quantized per channel decodes to wrong numbers without a word, so it is never written.
    """
    q = tensor.quantization
    if q is None or q.scale is None or len(q.scale) <= 1:
        return None
    return int(q.quantizedDimension)


@contextmanager
def _encoder_in_place() -> Iterator[None]:
    """Put the pruning encoder where tflite-micro has a stub, and the stub back."""
    tool = importlib.import_module("tflite_micro.tensorflow.lite.micro.compression.compress")
    table, key = tool._COMPRESSORS, tool.spec.PruningCompression
    stub = table[key]
    decode = importlib.import_module("tflite_micro.tensorflow.lite.micro.compression.decode")
    table[key] = PruningEncoder(tool.compressor, decode)
    try:
        yield
    finally:
        table[key] = stub


def _check_equal(dense: bytes, made: bytes) -> None:
    """Refuse a file that is not smaller, or that does not answer to the bit as the dense one does."""
    if len(made) >= len(dense):
        raise DecodeError(f"with DECODE the file has {len(made)} bytes, without {len(dense)}; leave it dense")
    rng = np.random.default_rng(0)
    inputs, _ = tensor_specs(dense)
    rows = [
        (rng.normal(size=(8, *spec.shape[1:])) * 42 * spec.scale if spec.dtype == "int8"
         else rng.normal(size=(8, *spec.shape[1:]))).astype(np.float32)
        for spec in inputs
    ]  # fmt: skip
    pairs = zip(run_rows(load(dense, "micro"), rows), run_rows(load(made, "micro"), rows), strict=True)
    if not all(np.array_equal(a, b) for a, b in pairs):
        raise DecodeError("the file with DECODE operators answers differently from the dense one; leave it dense")

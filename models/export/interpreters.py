"""The runtimes that a file is tried in, behind one face: LiteRT (two sets of kernels), tf.lite, tflite-micro."""

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import MissingExtraError, WristwiseError
from models.bundle import TensorSpec
from models.chatter import without_chatter
from models.export.spec import tensor_specs
from models.runtime import dequantise, quantise

RUNTIMES = ("litert", "litert-reference", "tf.lite", "micro")
_MODULES = {"litert": "ai_edge_litert", "litert-reference": "ai_edge_litert", "tf.lite": "tensorflow",
            "micro": "tflite_micro"}  # fmt: skip
# 256 bytes of arena end the process (a segmentation fault after "failed to allocate tail memory"); 512 are refused.
_LEAST_ARENA = 1024
_ARENAS = (1 << 22, 1 << 26)


class LoadError(WristwiseError, RuntimeError):
    """A runtime does not take the file."""


class Interpreter(Protocol):
    """One file loaded in one runtime."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def reset(self) -> None:
        """Set all state to what it was after loading."""

    def invoke(self, raw: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Run once on arrays of the file's own types."""


def available() -> tuple[str, ...]:
    """Return the runtimes installed here, in the order of `RUNTIMES`."""
    return tuple(name for name in RUNTIMES if find_spec(_MODULES[name]) is not None)


def load(data: bytes, runtime: str) -> Interpreter:
    """
    Load a file in a runtime of `RUNTIMES`.

    Raises
    ------
    LoadError
        If the runtime refuses the file; tflite-micro's reason, such as a missing operator, is in the message.
    MissingExtraError
        If the runtime is not installed.
    """
    if runtime not in RUNTIMES:
        raise LoadError(f"runtime must be one of {', '.join(RUNTIMES)}, got {runtime!r}")
    if find_spec(_MODULES[runtime]) is None:
        raise MissingExtraError(
            f"runtime {runtime!r} needs the package {_MODULES[runtime]}; install the extra "
            f"{'watch' if runtime == 'micro' else 'train'}"
        )
    return _Micro(data) if runtime == "micro" else _Lite(data, runtime)


def run_rows(
    interpreter: Interpreter, rows: Sequence[NDArray[Any]], *, reset: bool = True
) -> list[NDArray[np.float32]]:
    """
    Return each output for each row, dequantized, shape (n_rows, ...); state is reset before every row.

    Parameters
    ----------
    rows : sequence of arrays
        One per input, (n_rows, ...) in real numbers.
    reset : bool
        False shows what leaks from one row into the next.
    """
    columns = [_stored(spec, array) for spec, array in zip(interpreter.inputs, rows, strict=True)]
    results: list[list[NDArray[np.float32]]] = [[] for _ in interpreter.outputs]
    for k in range(len(rows[0])):
        if reset:
            interpreter.reset()
        raw = interpreter.invoke([column[k : k + 1] for column in columns])
        for kept, spec, value in zip(results, interpreter.outputs, raw, strict=True):
            kept.append(dequantise(spec, value))
    return [np.concatenate(kept) for kept in results]


def _stored(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    if spec.dtype in ("float32", "int8"):
        return quantise(spec, np.asarray(array, np.float32))
    return np.ascontiguousarray(array, spec.dtype)


class _Lite:
    """LiteRT with its optimised or its reference kernels, or the same interpreter inside TensorFlow."""

    def __init__(self, data: bytes, runtime: str) -> None:
        self.inputs, self.outputs = tensor_specs(data)
        try:
            with without_chatter():
                self._interpreter = _lite_interpreter(data, runtime)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise LoadError(f"{runtime} refuses the file: {_first_line(str(error))}") from error
        self._in = [entry["index"] for entry in self._interpreter.get_input_details()]
        self._out = [entry["index"] for entry in self._interpreter.get_output_details()]

    def reset(self) -> None:
        self._interpreter.reset_all_variables()

    def invoke(self, raw: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        for index, value in zip(self._in, raw, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._out]


def _lite_interpreter(data: bytes, runtime: str) -> Any:
    if runtime == "tf.lite":
        import tensorflow as tf

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces its own deletion at every use
            return tf.lite.Interpreter(model_content=data, num_threads=1)
    from ai_edge_litert.interpreter import Interpreter as LiteRT
    from ai_edge_litert.interpreter import OpResolverType

    kernels = OpResolverType.BUILTIN_REF if runtime == "litert-reference" else OpResolverType.AUTO
    return LiteRT(model_content=data, num_threads=1, experimental_op_resolver_type=kernels)


class _Micro:
    """tflite-micro; its arena is taken large, `measure.arena_bytes` says what was used of it."""

    def __init__(self, data: bytes) -> None:
        self.inputs, self.outputs = tensor_specs(data)
        for size in _ARENAS:
            with captured_stderr() as said:
                try:
                    self._interpreter = micro_interpreter(data, size)
                    return
                except (RuntimeError, ValueError) as error:
                    problem = str(error)
            reason = _micro_reason(said.getvalue()) or problem
            if "missing:" not in reason or size == _ARENAS[-1]:
                raise LoadError(f"tflite-micro refuses the file: {reason}")

    def reset(self) -> None:
        self._interpreter.reset()

    def invoke(self, raw: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        for place, value in enumerate(raw):
            self._interpreter.set_input(value, place)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(k)) for k in range(len(self.outputs))]

    def print_allocations(self) -> None:
        """Write the sizes of the arena to file descriptor 2."""
        self._interpreter.print_allocations()


def micro_interpreter(data: bytes, arena_size: int) -> Any:
    """
    Return tflite-micro's own interpreter on an arena of `arena_size` bytes.

    Raises
    ------
    LoadError
        If the arena is below 1024 bytes: tflite-micro would end this process, not refuse. RuntimeError, its own, if
        the arena is too small for the file.
    """
    if arena_size < _LEAST_ARENA:
        raise LoadError(
            f"an arena of {arena_size} bytes is too small for any file, and tflite-micro would end this process with a "
            f"segmentation fault; give at least {_LEAST_ARENA}, `models.export.measure.arena_bytes` says how many"
        )
    from tflite_micro import runtime

    return runtime.Interpreter.from_bytes(data, arena_size=arena_size)


def micro_allocations(data: bytes) -> None:
    """Let tflite-micro print to standard error what it allocated for a file; there is no other way to ask."""
    _Micro(data).print_allocations()


@contextlib.contextmanager
def captured_stderr() -> Iterator[io.StringIO]:
    """Catch what C++ code writes to file descriptor 2: tflite-micro gives its reasons nowhere else."""
    sys.stderr.flush()
    said = io.StringIO()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said.write(file.read().decode(errors="replace"))


def _micro_reason(said: str) -> str:
    """Return what tflite-micro complained of, shortened: the node that failed is in its last lines."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "; ".join(line[:160] for line in lines[:2])


def _first_line(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return lines[0][:300] if lines else "no reason given"

"""Running a bundle: LiteRT on servers and phones, tflite-micro as on the watch. No TensorFlow here."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import BundleError, MissingExtraError
from models.bundle import Bundle, TensorSpec
from models.chatter import without_chatter
from pipelines.task import Outputs, Windows

# "exact" is LiteRT with its own kernels, which scale int8 sums in fixed point as the watch's do; XNNPACK's, which it
# takes by default ("litert"), scale them in floating point and land one step beside in some values of a hundred.
RuntimeName = Literal["litert", "exact", "micro"]
# A sequence model may read its sequence from the end too: such an input is the one before this ending, reversed, and
# an output that ends so comes back in the order of time. Steps that were not yet sensed cannot be read: such an
# output means something only once the sequence is whole.
REVERSED = "_reversed"


def runtime_name(name: str) -> RuntimeName:
    """Return `name` if it is a runtime; else raise `BundleError` that lists them."""
    if name == "micro":
        return "micro"
    if name == "exact":
        return "exact"
    if name == "litert":
        return "litert"
    raise BundleError(
        f"there is no runtime {name!r}; there are: litert (fastest), exact (as the watch rounds) and micro (the watch)"
    )


class _Backend(Protocol):
    def reset(self) -> None: ...
    def invoke(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]: ...


class Model:
    """
    An open bundle that predicts.

    One interpreter a thread, made on first use and kept warm. Inputs are checked against the card. For a row model
    each row stands alone; for a sequence model rows are steps, and `predict` starts from a clean state unless told to
    go on, so that nothing of one wearer can reach another.

    Parameters
    ----------
    bundle : Bundle
    runtime : {"litert", "exact", "micro"}
    """

    def __init__(self, bundle: Bundle, runtime: RuntimeName = "litert") -> None:
        self.bundle = bundle
        self.runtime = runtime
        self._inputs, self._outputs = bundle.inputs, bundle.outputs
        self._local = threading.local()

    def predict(self, windows: Windows, *, resume: bool = False) -> Outputs:
        """
        Return the network's outputs for each row.

        Parameters
        ----------
        windows : Windows
        resume : bool, default=False
            Go on from the state after this thread's last call (sequence models only).

        Returns
        -------
        mapping of str to ndarray of float32, shape (n_windows, ...)
            Zero for rows that ``windows.extras["wanted"]`` (bool, where a task gives it) rules out.

        Raises
        ------
        BundleError
            If an input is missing or has another shape than the card says, or holds NaN.
        """
        wanted = windows.extras.get("wanted")
        if wanted is None or self.bundle.sequence or bool(wanted.all()):
            return self.run(windows.inputs, resume=resume)
        # A cheap trigger in `prepare` has seen nothing in the other rows: as on the watch, the network sleeps there.
        few = self.run({name: value[wanted] for name, value in windows.inputs.items()})
        outputs = {name: np.zeros((len(windows), *value.shape[1:]), np.float32) for name, value in few.items()}
        for name, value in few.items():
            outputs[name][wanted] = value
        return outputs

    def run(self, inputs: Mapping[str, NDArray[np.float32]], *, resume: bool = False) -> Outputs:
        """As `predict`, from arrays by name."""
        columns = [self._quantised(spec, inputs) for spec in self._inputs]
        n = columns[0].shape[0]
        backend = self._backend()
        if self.bundle.sequence and not resume:
            backend.reset()
        results = [np.empty((n, *spec.shape[1:]), np.float32) for spec in self._outputs]
        for i in range(n):
            if not self.bundle.sequence:  # an LSTM inside a row model remembers the row before, which may be another's
                backend.reset()
            raw = backend.invoke([c[i : i + 1] for c in columns])
            for out, spec, value in zip(results, self._outputs, raw, strict=True):
                out[i] = dequantise(spec, value)[0]
        return {
            spec.name: out[::-1] if self._from_the_end(spec) else out
            for spec, out in zip(self._outputs, results, strict=True)
        }

    def _from_the_end(self, spec: TensorSpec) -> bool:
        return self.bundle.sequence and spec.name.endswith(REVERSED)

    def _quantised(self, spec: TensorSpec, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[Any]:
        base = spec.name.removesuffix(REVERSED)
        if self._from_the_end(spec) and base in inputs:
            inputs = {**inputs, spec.name: inputs[base][::-1]}
        if spec.name not in inputs:
            raise BundleError(
                f"bundle {self.bundle.folder} wants input {spec.name!r}, got {', '.join(sorted(inputs)) or 'none'}"
            )
        value = inputs[spec.name]
        if spec.columns and value.shape[-1] > max(spec.columns):
            value = value[..., list(spec.columns)]
        if value.shape[1:] != spec.shape[1:]:
            raise BundleError(
                f"input {spec.name!r} of bundle {self.bundle.folder} has shape {spec.shape[1:]} a row, "
                f"got {value.shape[1:]}; was it made by another version of the task?"
            )
        if not np.isfinite(value).all():
            raise BundleError(f"input {spec.name!r} holds NaN or infinity; `prepare` must replace them")
        return quantise(spec, value)

    def _backend(self) -> _Backend:
        if not hasattr(self._local, "backend"):
            make = {"litert": _LiteRT, "exact": _Exact, "micro": _Micro}[self.runtime]
            self._local.backend = make(self.bundle.model, len(self._outputs))
        backend: _Backend = self._local.backend
        return backend


def quantise(spec: TensorSpec, value: NDArray[np.float32]) -> NDArray[Any]:
    """Return `value` as the file stores it: round half to even, saturate at the int8 borders."""
    if spec.dtype == "float32":
        return np.ascontiguousarray(value, np.float32)
    stored = np.round(value / np.float32(spec.scale)) + spec.zero_point
    return np.ascontiguousarray(np.clip(stored, -128, 127).astype(np.int8))


def dequantise(spec: TensorSpec, value: NDArray[Any]) -> NDArray[np.float32]:
    """Return real numbers from what the file gave."""
    if spec.dtype == "float32":
        return value.astype(np.float32)
    return np.asarray((value.astype(np.float32) - spec.zero_point) * np.float32(spec.scale), np.float32)


class _LiteRT:
    def __init__(self, model: bytes, _n_outputs: int) -> None:
        with without_chatter():
            self._interpreter = self._open(model)
            self._interpreter.allocate_tensors()
        self._in = [d["index"] for d in self._interpreter.get_input_details()]
        self._out = [d["index"] for d in self._interpreter.get_output_details()]

    @staticmethod
    def _open(model: bytes) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(model_content=model, num_threads=1)

    def reset(self) -> None:
        self._interpreter.reset_all_variables()

    def invoke(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        for index, value in zip(self._in, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._out]


class _Exact(_LiteRT):
    @staticmethod
    def _open(model: bytes) -> Any:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        return Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=kernels)


class _Micro:
    def __init__(self, model: bytes, n_outputs: int) -> None:
        try:
            from tflite_micro import runtime
        except ImportError as error:
            raise MissingExtraError(
                "the runtime 'micro' needs tflite-micro; install it with: pip install 'wristwise[watch]'"
            ) from error
        self._interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
        self._n_outputs = n_outputs

    def reset(self) -> None:
        self._interpreter.reset()

    def invoke(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        for index, value in enumerate(inputs):
            self._interpreter.set_input(value, index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(index)) for index in range(self._n_outputs)]

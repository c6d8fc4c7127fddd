"""Convert a tf_keras model into a `.tflite` file, in a child process and without touching the model."""

import atexit
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.export import flatbuffer
from models.export.child import Child, ConversionError

Mode = Literal["float32", "float16", "int8", "weight_int8"]
MODES: tuple[Mode, ...] = ("float32", "float16", "int8", "weight_int8")

Samples = NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]
"""Rows of input: one array, a sequence in the order of the inputs, or a mapping from input name to array."""

_WHY_LOOPS = (
    "a loop (a GRU or SimpleRNN, an LSTM with a mask, without bias, with other activations or stateful) cannot be "
    "quantized: build that layer with unroll=True or as a plain LSTM, or use mode='float32'"
)


_CHILD = Child()
atexit.register(_CHILD.close)


def close_worker() -> None:
    """End the warm conversion process; the next conversion starts another."""
    _CHILD.close()


def as_rows(samples: Samples, names: Sequence[str]) -> list[NDArray[Any]]:
    """
    Return samples as one array per input, in the order of `names`.

    Raises
    ------
    ConversionError
        If a name is missing, the number of arrays is not the number of inputs, rows differ in number or are none.
    """
    if isinstance(samples, Mapping):
        missing = [name for name in names if name not in samples]
        if missing:
            raise ConversionError(
                f"samples lack the inputs {missing}; expected arrays named {list(names)}, got {sorted(samples)}"
            )
        arrays = [np.asarray(samples[name]) for name in names]
    elif isinstance(samples, np.ndarray):
        arrays = [samples]
    else:
        arrays = [np.asarray(one) for one in samples]
    if len(arrays) != len(names):
        raise ConversionError(f"expected {len(names)} sample arrays for the inputs {list(names)}, got {len(arrays)}")
    lengths = {len(one) for one in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise ConversionError(
            f"sample arrays must have the same number of rows, at least one, but have {[len(a) for a in arrays]}"
        )
    return arrays


def input_shapes(model: Any) -> list[tuple[int, ...]]:
    """
    Return the shape of each input of a tf_keras model at batch 1.

    Raises
    ------
    ConversionError
        If a dimension other than the batch is free.
    """
    shapes = []
    for tensor in model.inputs:
        rest = tuple(tensor.shape)[1:]
        if any(n is None for n in rest):
            raise ConversionError(
                f"input {tensor.name!r} has the shape {tuple(tensor.shape)}, but a watch needs fixed sizes; "
                "build the model again with every dimension but the batch given"
            )
        shapes.append((1, *(int(n) for n in rest)))
    return shapes


def _refuse(model: Any, mode: str, representative: Samples | None, io: str) -> None:
    """Raise for what can be known to fail before a process is started."""
    if mode not in MODES:
        raise ConversionError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if io not in ("int8", "float32"):
        raise ConversionError(f"io must be 'int8' or 'float32', got {io!r}")
    if mode == "int8" and representative is None:
        raise ConversionError(
            "mode 'int8' needs representative samples to find the value ranges; pass representative=rows of real "
            "input, about 100 of them"
        )
    if not getattr(model, "inputs", None) or not hasattr(model, "to_json"):
        raise ConversionError(
            f"expected a built functional or sequential tf_keras model, got {type(model).__name__}; a Keras 3 model "
            "does not convert: build it with tf_keras"
        )
    for layer in model.layers:
        if type(layer).__name__ == "PruneLowMagnitude":
            raise ConversionError(
                f"layer {layer.name!r} is still wrapped for pruning; call "
                "tensorflow_model_optimization.sparsity.keras.strip_pruning(model) first"
            )


def _loops(model: Any) -> list[str]:
    """Name the layers that a converter turns into loops."""
    from tf_keras import layers

    found = []
    for layer in model.layers:
        inner = getattr(layer, "forward_layer", layer)
        if isinstance(inner, layers.LSTM):
            plain = inner.use_bias and not inner.stateful and not inner.return_state
            plain = plain and not inner.recurrent_dropout and inner.get_config()["activation"] == "tanh"
            if not plain and not inner.unroll:
                found.append(layer.name)
        elif isinstance(inner, layers.RNN) and not inner.unroll:
            found.append(layer.name)
    return found


def _saved_model(model: Any, shapes: list[tuple[int, ...]], folder: Path) -> str:
    """Write a fixed-batch SavedModel: the way in for layers that cannot be rebuilt from their configuration."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec(shape, tensor.dtype, name=f"input_{k}")
        for k, (shape, tensor) in enumerate(zip(shapes, model.inputs, strict=True))
    ]

    def answer(*rows: Any) -> dict[str, Any]:
        flat = tf.nest.flatten(model(list(rows) if len(rows) > 1 else rows[0], training=False))
        return {f"output_{k}": one for k, one in enumerate(flat)}

    module = tf.Module()
    module.model = model
    module.answer = tf.function(answer, autograph=False)
    tf.saved_model.save(module, str(folder), signatures=module.answer.get_concrete_function(*specs))
    return str(folder)


def to_tflite(
    model: Any,
    mode: Mode = "float32",
    representative: Samples | None = None,
    *,
    io: Literal["int8", "float32"] = "int8",
    strip: bool = True,
    repair: bool = True,
) -> bytes:
    """
    Convert a tf_keras model into the bytes of a `.tflite` file of batch 1.

    The conversion runs in a warm child process, because some models kill the process that converts them. The model
    is described to it and not changed. The same model gives the same bytes.

    Parameters
    ----------
    model : tf_keras.Model
        A built functional or sequential model with fixed input sizes; several inputs and outputs, LSTM and
        Bidirectional included.
    mode : {"float32", "float16", "int8", "weight_int8"}
        ``int8`` is full-integer; ``weight_int8`` keeps the arithmetic in float and stores large weights as int8;
        ``float16`` stores half floats, which tflite-micro refuses.
    representative : array, sequence or mapping of arrays, each (n_rows, ...)
        Real input for ``int8``; 100 rows are usually enough (1 / 10 / 100 rows: error 0.045 / 0.013 / 0.0035).
    io : {"int8", "float32"}
        For ``int8``: whether the file takes and gives int8 (scale and zero point are in the file) or converts
        from and to float32 itself with two more operators.
    strip : bool
        Remove names, metadata and signatures, keep the names of inputs and outputs.
    repair : bool
        Cure the two int8 LSTM faults (see `models.export.faults`).

    Returns
    -------
    bytes

    Raises
    ------
    ConversionError
        If the model, the mode or the samples do not fit, or the converter gave up.

    Examples
    --------
    >>> from tf_keras import Sequential, layers
    >>> net = Sequential([layers.Input((8,), name="x"), layers.Dense(2, name="y")])
    >>> len(to_tflite(net)) < 2000
    True
    """
    _refuse(model, mode, representative, io)
    shapes = input_shapes(model)
    names = tuple(model.input_names)
    rows: list[NDArray[Any]] = []
    if mode == "int8":
        assert representative is not None
        dtypes = [tensor.dtype.as_numpy_dtype for tensor in model.inputs]
        rows = [a.astype(d) for a, d in zip(as_rows(representative, names), dtypes, strict=True)]
        for name, array, shape in zip(names, rows, shapes, strict=True):
            if array.shape[1:] != shape[1:] or not np.isfinite(array).all():
                raise ConversionError(
                    f"representative samples of input {name!r} must be finite with rows of shape {shape[1:]}, got "
                    f"shape {array.shape}" + ("" if np.isfinite(array).all() else " with NaN or infinity")
                )
    request = {
        "mode": mode,
        "io": io,
        "representative": rows,
        "shapes": shapes,
        "dtypes": [tensor.dtype.name for tensor in model.inputs],
        "saved_model": None,
        "json": model.to_json(),
        "weights": model.get_weights(),
    }
    data = _ask(model, request)
    return _finish(data, names, tuple(model.output_names), strip=strip, repair=repair)


def _ask(model: Any, request: dict[str, Any]) -> bytes:
    """Ask the child, a second time by way of a SavedModel if it does not know a layer."""
    kind, value = _CHILD.ask(request)
    if kind == "unknown":
        with tempfile.TemporaryDirectory() as folder:
            saved = _saved_model(model, request["shapes"], Path(folder))
            kind, value = _CHILD.ask(request | {"saved_model": saved, "json": None, "weights": None})
    if kind == "done":
        return bytes(value)
    loops = _loops(model)
    where = f" of layers {loops}" if loops else ""
    mode = request["mode"]
    if kind == "died":
        raise ConversionError(f"the converter died ({value}) on mode {mode!r}{where}; {_WHY_LOOPS}")
    raise ConversionError(f"the converter refused mode {mode!r}{where}: {value.strip().splitlines()[0][:400]}")


def _finish(data: bytes, inputs: tuple[str, ...], outputs: tuple[str, ...], *, strip: bool, repair: bool) -> bytes:
    """Strip and repair what came out of the converter."""
    from models.export.faults import repair_model

    model = flatbuffer.read(data)
    _order(model, inputs, outputs)
    if strip:
        flatbuffer.strip(model, inputs, outputs)
    if repair:
        repair_model(model)
    return flatbuffer.write(model)


def _order(model: flatbuffer.Model, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    """Put inputs and outputs in the model's own order and under its own names; the converter sorts them its way."""
    if not model.signatureDefs:
        return  # written by the converter's older way, which keeps the order; the gate would notice if not
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    for maps, names, side in ((signature.inputs, inputs, "input"), (signature.outputs, outputs, "output")):
        place = {flatbuffer.text(entry.name): entry.tensorIndex for entry in maps}
        setattr(graph, f"{side}s", np.array([place[f"{side}_{k}"] for k in range(len(names))], np.int32))
        for entry in maps:
            entry.name = names[int(flatbuffer.text(entry.name).removeprefix(f"{side}_"))]

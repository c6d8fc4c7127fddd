"""Data by which importance is measured: inputs, what should come out, and the loss between the two."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.errors import CalibrationError

Arrays = NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]
_AT_ONCE = 1024  # rows of a batch where only the loss is wanted
Loss = str | Callable[[Any, Any], Any]


@dataclass(frozen=True, eq=False)
class Calibration:
    """
    Rows on which gradients, activations and losses are measured.

    Attributes
    ----------
    inputs : ndarray, sequence or mapping of str to ndarray, each (n_rows, ...)
        In the order of the model's inputs, or by their names.
    targets : the same for the model's outputs, or None
        Needed by everything that uses a loss.
    loss : str or callable (target, prediction) -> tensor, default="mse"
        A Keras loss, or one callable used for every output; losses of several outputs are added.
    batch : int, default=32
        Rows per gradient; smaller batches cost more and tell more.

    Raises
    ------
    CalibrationError
        If there are no rows, rows differ in number, or inputs hold NaN.
    """

    inputs: Arrays
    targets: Arrays | None = None
    loss: Loss = "mse"
    batch: int = 32

    def __post_init__(self) -> None:
        arrays = _flat(self.inputs) + ([] if self.targets is None else _flat(self.targets))
        rows = {len(a) for a in arrays}
        if len(rows) != 1 or rows == {0}:
            raise CalibrationError(
                f"calibration data must have the same number of rows, at least one, in every array; got {sorted(rows)}"
            )
        for array in arrays:
            if np.issubdtype(array.dtype, np.floating) and np.isnan(array).any():
                raise CalibrationError("calibration data holds NaN; leave out the rows without a value")

    def __repr__(self) -> str:
        """Return the shapes: the rows themselves would fill pages of a log."""
        shapes = [a.shape for a in _flat(self.inputs)]
        return f"Calibration(inputs {shapes}, {len(self)} rows, loss {self.loss!r})"

    def __len__(self) -> int:
        return len(_flat(self.inputs)[0])

    def rows_for(self, model: Any) -> list[NDArray[Any]]:
        """Return the inputs in the order of the model's inputs."""
        return _ordered(self.inputs, list(model.input_names), "input")

    def batches(self, model: Any) -> Iterator[tuple[list[NDArray[Any]], list[NDArray[Any]]]]:
        """
        Yield (inputs, targets) in the model's order.

        Raises
        ------
        CalibrationError
            If there are no targets.
        """
        if self.targets is None:
            raise CalibrationError(
                "this needs to know what should come out: give Calibration(inputs, targets, loss=...), "
                "or use an importance that needs no data (L2Norm, BatchNormGamma)"
            )
        inputs = self.rows_for(model)
        given = _ordered(self.targets, list(model.output_names), "output")
        targets = [_fitted(y, o.shape) for y, o in zip(given, model.outputs, strict=True)]
        for start in range(0, len(self), self.batch):
            rows = slice(start, start + self.batch)
            yield [x[rows] for x in inputs], [y[rows] for y in targets]

    def loss_tensor(self, model: Any, inputs: Sequence[Any], targets: Sequence[Any]) -> Any:
        """Return the mean loss of one batch as a tensor, in inference mode."""
        import tensorflow as tf
        import tf_keras

        measure = tf_keras.losses.get(self.loss) if isinstance(self.loss, str) else self.loss
        outputs = tf.nest.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
        return tf.add_n([tf.reduce_mean(measure(y, out)) for y, out in zip(targets, outputs, strict=True)])

    def loss_of(self, model: Any) -> float:
        """Return the mean loss of a model over all rows."""
        import tensorflow as tf

        # Eager and in large batches: a search asks this once of each of many models, and tracing one costs more.
        total, wide = 0.0, replace(self, batch=max(self.batch, _AT_ONCE))
        for x, y in wide.batches(model):
            total += float(self.loss_tensor(model, [tf.constant(a) for a in x], y)) * len(x[0])
        return total / len(self)

    def take(self, rows: int | slice | NDArray[Any]) -> "Calibration":
        """
        Return at most `rows` rows spread evenly over all, or those of an index.

        Spread, because rows come recording by recording: the first thousand may all be of one person lying still.
        """
        index: Any = rows
        if isinstance(rows, int):
            index = np.unique(np.linspace(0, len(self) - 1, min(rows, len(self))).astype(np.intp))
        targets = None if self.targets is None else _picked(self.targets, index)
        return Calibration(_picked(self.inputs, index), targets, self.loss, self.batch)


def read_calibration(path: Path, model: Any, loss: Loss = "mse") -> Calibration:
    """
    Read calibration data from an ``.npz``: arrays named like the model's inputs, and its outputs if it has targets.

    With one input and one output, ``x`` and ``y`` serve as well.

    Raises
    ------
    CalibrationError
        If the file is missing or lacks an input.
    """
    if not path.is_file():
        raise CalibrationError(
            f"there is no calibration file {str(path)!r}; write one with numpy.savez(path, x=..., y=...)"
        )
    with np.load(path, allow_pickle=False) as stored:
        held = {name: np.asarray(stored[name]) for name in stored.files}
    inputs = _named(held, list(model.input_names), "x")
    targets = _named(held, list(model.output_names), "y")
    if (
        targets is not None and loss == "sparse_categorical_crossentropy"
    ):  # one-hot rows can be blended with a teacher's
        targets = {name: _one_hot(targets[name], model, name) for name in targets}
        loss = "categorical_crossentropy"
    _check_loss(loss)
    if inputs is None:
        raise CalibrationError(
            f"{path.name} holds {sorted(held)}, but the model's inputs are {list(model.input_names)} (or x for one)"
        )
    return Calibration(inputs, targets, loss)


def _one_hot(classes: NDArray[Any], model: Any, name: str) -> NDArray[Any]:
    n = int(model.outputs[model.output_names.index(name)].shape[-1])
    numbers = classes[..., 0] if classes.shape[-1:] == (1,) else classes
    if not np.isin(numbers, np.arange(n)).all():
        raise CalibrationError(f"classes of output {name!r} must be whole numbers from 0 to {n - 1}; got others")
    rows: NDArray[Any] = np.eye(n, dtype=np.float32)[numbers.astype(np.intp)]
    return rows


def _check_loss(loss: Loss) -> None:
    import tf_keras

    try:
        tf_keras.losses.get(loss)
    except ValueError as error:
        raise CalibrationError(
            f"no Keras loss is named {loss!r}; there are mse, mae, binary_crossentropy, categorical_crossentropy, "
            "sparse_categorical_crossentropy and others"
        ) from error


def _named(held: Mapping[str, NDArray[Any]], names: list[str], short: str) -> dict[str, NDArray[Any]] | None:
    if all(n in held for n in names):
        return {n: held[n] for n in names}
    return {names[0]: held[short]} if len(names) == 1 and short in held else None


def _flat(arrays: Arrays) -> list[NDArray[Any]]:
    if isinstance(arrays, Mapping):
        return [np.asarray(a) for a in arrays.values()]
    return [arrays] if isinstance(arrays, np.ndarray) else [np.asarray(a) for a in arrays]


def _picked(arrays: Arrays, index: Any) -> Arrays:
    if isinstance(arrays, Mapping):
        return {k: np.asarray(v)[index] for k, v in arrays.items()}
    return [a[index] for a in _flat(arrays)]


def _fitted(target: NDArray[Any], shape: Sequence[int | None]) -> NDArray[Any]:
    """Return a column for an output of one number: (n,) against (n, 1) would be broadcast to (n, n) without a word."""
    return target[..., None] if target.ndim == len(shape) - 1 and shape[-1] == 1 else target


def _ordered(arrays: Arrays, names: list[str], what: str) -> list[NDArray[Any]]:
    if isinstance(arrays, Mapping):
        missing = [n for n in names if n not in arrays]
        if missing:
            raise CalibrationError(f"calibration data lacks the {what}s {missing}; it has {sorted(arrays)}")
        flat = [np.asarray(arrays[n]) for n in names]
    else:
        flat = _flat(arrays)
    if len(flat) != len(names):
        raise CalibrationError(f"the model has {len(names)} {what}s {names}, but calibration data has {len(flat)}")
    return [a.astype(np.float32) if a.dtype == np.float64 else a for a in flat]

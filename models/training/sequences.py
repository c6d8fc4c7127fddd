"""Sequence models: trained on crops of many steps, several side by side; shipped to take one step at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.training.recipe import KerasModel

Tensor = Any  # TensorFlow has no types
_BFLOAT16_TAIL = 16  # bits of a float32 that a bfloat16 leaves out


def stepwise(model: KerasModel) -> KerasModel:
    """
    Return `model` with sequences of one step: same weights, inputs of shape (1, 1, n_features).

    In the file the LSTM's state is a variable of the interpreter: it stays between steps until it is reset.
    """
    import tf_keras

    config = model.get_config()
    for layer in config["layers"]:
        shape = layer["config"].get("batch_input_shape") or layer["config"].get("batch_shape")
        if shape is not None and len(shape) == 3:
            key = "batch_input_shape" if "batch_input_shape" in layer["config"] else "batch_shape"
            layer["config"][key] = (shape[0], 1, shape[2])
    short = tf_keras.Model.from_config(config)
    short.set_weights(model.get_weights())
    return short


def round_to_bfloat16(model: KerasModel) -> None:
    """
    Round the weights in place to what a bfloat16 holds: 8 bits of precision, still float32 in the file.

    Half of the file's bytes become zero, so it packs to half the size, and every runtime takes it.
    """
    rounded = []
    for value in model.get_weights():
        bits = np.ascontiguousarray(value, np.float32).view(np.uint32).astype(np.uint64)
        kept = (bits + (1 << (_BFLOAT16_TAIL - 1))) >> _BFLOAT16_TAIL << _BFLOAT16_TAIL
        rounded.append(kept.astype(np.uint32).view(np.float32).reshape(value.shape))
    model.set_weights(rounded)


def readers(
    models: Sequence[KerasModel], given: Mapping[str, Tensor], *, dropout: tuple[float, float] | None = None
) -> dict[str, Tensor]:
    """
    Return what LSTM readers say, those of all models and outputs computed at once.

    A reader is three layers, ``<output>_mix`` (Dense, tanh), ``<output>_lstm`` and ``<output>`` (Dense). An LSTM of 24
    units spends its time on starting operations, not on arithmetic: side by side, 21 models take three times as long
    as one. Gradients flow to the models' own variables.

    Parameters
    ----------
    models : sequence of m models
        Alike in structure.
    given : mapping of output's name to tensor of float32, shape (m, batch, steps, n_features)
        What each reader reads, in its reading order.
    dropout : (float, float), optional
        Rates on the features and on what the LSTM gives, in training.

    Returns
    -------
    mapping of output's name to tensor, shape (m, batch, steps, n_classes)
    """
    import tensorflow as tf

    alike: dict[tuple[int, int], list[str]] = {}
    for output in given:
        mix, lstm = (_layer(models[0], f"{output}_{part}") for part in ("mix", "lstm"))
        alike.setdefault((mix.units, lstm.units), []).append(output)
    said: dict[str, Tensor] = {}
    for outputs in alike.values():
        answers = _read(models, outputs, tf.concat([given[o] for o in outputs], 0), dropout)
        said |= dict(zip(outputs, tf.split(answers, len(outputs)), strict=True))
    return {output: said[output] for output in given}


def _read(models: Sequence[KerasModel], outputs: Sequence[str], x: Tensor, dropout: Any) -> Tensor:
    import tensorflow as tf

    def stacked(part: str, name: str) -> Tensor:
        found = []
        for output in outputs:
            for model in models:
                layer = _layer(model, f"{output}{part}")
                value = getattr(getattr(layer, "cell", layer), name)
                found.append(value if len(value.shape) == 2 else value[None])
        return tf.stack(found)

    groups, (batch, steps) = x.shape[0], (tf.shape(x)[1], tf.shape(x)[2])
    x = tf.nn.dropout(x, dropout[0]) if dropout else x
    x = tf.reshape(x, (groups, batch * steps, x.shape[-1]))
    x = tf.tanh(tf.matmul(x, stacked("_mix", "kernel")) + stacked("_mix", "bias"))
    gates = tf.matmul(x, stacked("_lstm", "kernel")) + stacked("_lstm", "bias")
    recurrent = stacked("_lstm", "recurrent_kernel")
    units = recurrent.shape[1]
    by_step = tf.transpose(tf.reshape(gates, (groups, batch, steps, 4 * units)), (2, 0, 1, 3))

    def cell(state: tuple[Tensor, Tensor], gate: Tensor) -> tuple[Tensor, Tensor]:
        hidden, carry = state
        enter, forget, new, leave = tf.split(gate + tf.matmul(hidden, recurrent), 4, -1)
        carry = tf.sigmoid(forget) * carry + tf.sigmoid(enter) * tf.tanh(new)
        return tf.sigmoid(leave) * tf.tanh(carry), carry

    zero = tf.zeros((groups, batch, units))
    hidden, _ = tf.scan(cell, by_step, (zero, zero))
    hidden = tf.reshape(tf.transpose(hidden, (1, 2, 0, 3)), (groups, batch * steps, units))
    hidden = tf.nn.dropout(hidden, dropout[1]) if dropout else hidden
    answers = tf.matmul(hidden, stacked("", "kernel")) + stacked("", "bias")
    return tf.reshape(answers, (groups, batch, steps, answers.shape[-1]))


def is_masked(model: KerasModel) -> bool:
    """Return whether TF-MOT's wrappers mask weights of `model`; they update and apply their masks when called."""
    return any(hasattr(layer, "pruning_obj") for layer in model.layers)


def _layer(model: KerasModel, name: str) -> Any:
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        if inner.name == name:
            return inner
    raise ValueError(f"the network has no layer {name!r}; it has: {', '.join(layer.name for layer in model.layers)}")

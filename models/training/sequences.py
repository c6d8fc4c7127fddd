"""Sequence models: trained on crops of many steps, shipped to take one step at a time with their state kept."""

from __future__ import annotations

from models.training.recipe import KerasModel


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

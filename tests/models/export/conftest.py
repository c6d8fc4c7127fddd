"""Small networks and their files, converted once: a conversion costs up to seconds."""

from typing import Any

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")


def _seeded(model: Any) -> Any:
    """Give a model weights and moving statistics that depend on nothing but its shapes."""
    rng = np.random.default_rng(7)
    model.set_weights([np.abs(rng.normal(scale=0.4, size=w.shape)) + 0.1 if "variance" in v.name
                       else rng.normal(scale=0.4, size=w.shape)
                       for w, v in zip(model.get_weights(), model.weights, strict=True)])  # fmt: skip
    return model


@pytest.fixture(scope="session")
def cnn() -> Any:
    """Two convolutions with batch norm, pooling and a softmax over three classes."""
    layers = tf_keras.layers
    entry = layers.Input((1, 64, 3), name="acc")
    x = entry
    for k, width in enumerate((8, 16)):
        x = layers.Conv2D(width, (1, 5), padding="same", use_bias=False, name=f"conv_{k}")(x)
        x = layers.BatchNormalization(name=f"norm_{k}")(x)
        x = layers.ReLU(name=f"relu_{k}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return _seeded(tf_keras.Model(entry, layers.Dense(3, activation="softmax", name="class")(x)))


@pytest.fixture(scope="session")
def cnn_rows() -> np.ndarray:
    """Thirty rows of noise for `cnn`."""
    return np.random.default_rng(1).normal(size=(30, 1, 64, 3)).astype(np.float32)


@pytest.fixture(scope="session")
def cnn_float(cnn: Any) -> bytes:
    """`cnn` in float32."""
    from models.export.convert import to_tflite

    return to_tflite(cnn)


@pytest.fixture(scope="session")
def cnn_int8(cnn: Any, cnn_rows: np.ndarray) -> bytes:
    """`cnn` in int8 with int8 input and output."""
    from models.export.convert import to_tflite

    return to_tflite(cnn, "int8", cnn_rows)


@pytest.fixture(scope="session")
def two_inputs() -> Any:
    """A bidirectional LSTM (joined by concatenation, the faulty way) beside a second input; two outputs."""
    layers = tf_keras.layers
    sequence = layers.Input((12, 4), name="steps")
    other = layers.Input((5,), name="age")
    x = layers.Bidirectional(layers.LSTM(6, name="lstm"), name="both")(sequence)
    x = layers.Concatenate(name="join")([x, layers.Dense(4, name="side")(other)])
    outputs = [layers.Dense(3, name="z_stage")(x), layers.Dense(1, name="a_score")(x)]
    model = _seeded(tf_keras.Model([sequence, other], outputs))
    bias = model.get_layer("both").forward_layer.cell.bias
    # Open forget gates remember: what is left of one row then shows in the next.
    bias.assign(np.concatenate([bias[:6], np.full(6, 4.0), bias[12:]]))
    return model


@pytest.fixture(scope="session")
def two_inputs_rows() -> dict[str, np.ndarray]:
    """Thirty rows by name."""
    rng = np.random.default_rng(2)
    return {
        "age": rng.normal(size=(30, 5)).astype(np.float32),
        "steps": rng.normal(size=(30, 12, 4)).astype(np.float32),
    }


@pytest.fixture(scope="session")
def two_inputs_int8(two_inputs: Any, two_inputs_rows: dict[str, np.ndarray]) -> bytes:
    """`two_inputs` in int8 as the converter gives it, faults and all."""
    from models.export.convert import to_tflite

    return to_tflite(two_inputs, "int8", two_inputs_rows, repair=False)


@pytest.fixture(scope="session")
def quiet_lstm() -> Any:
    """An LSTM whose cell state stays so small that its int8 scale falls below 2^-15."""
    layers = tf_keras.layers
    entry = layers.Input((12, 4), name="steps")
    x = layers.LSTM(6, return_sequences=True, name="first")(entry)
    x = layers.LSTM(6, name="second")(x)
    model = _seeded(tf_keras.Model(entry, layers.Dense(2, name="out")(x)))
    model.get_layer("second").set_weights([0.25 * w for w in model.get_layer("second").get_weights()])
    return model


@pytest.fixture(scope="session")
def quiet_lstm_int8(quiet_lstm: Any, two_inputs_rows: dict[str, np.ndarray]) -> bytes:
    """`quiet_lstm` in int8, fault and all."""
    from models.export.convert import to_tflite

    return to_tflite(quiet_lstm, "int8", two_inputs_rows["steps"], repair=False)

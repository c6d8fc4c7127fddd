"""Small networks of each kind, with random weights, for the pruning tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

L = tf_keras.layers


def randomise(model: Any, seed: int = 0) -> Any:
    """Give every weight a value that matters (fresh biases and batch norms are all zero or one)."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        values = []
        if type(layer).__name__ == "Normalization":
            continue
        for variable, value in zip(layer.weights, layer.get_weights(), strict=True):
            if "variance" in variable.name:
                values.append(rng.uniform(0.5, 1.5, value.shape))
            else:
                values.append(rng.normal(0, 0.4, value.shape))
        layer.set_weights(values)
    return model


def inputs_for(model: Any, n: int = 3, seed: int = 1) -> list[np.ndarray]:
    """Return a random batch for each input of a model."""
    rng = np.random.default_rng(seed)
    return [
        (rng.integers(0, 12, (n, *t.shape[1:])) if name == "word" else rng.normal(size=(n, *t.shape[1:]))).astype(
            np.float32
        )
        for name, t in zip(model.input_names, model.inputs, strict=True)
    ]


def answer(model: Any, batch: list[np.ndarray]) -> list[np.ndarray]:
    """Run a model and return all its outputs as arrays."""
    out = model(batch if len(batch) > 1 else batch[0], training=False)
    return [np.asarray(o) for o in (out if isinstance(out, list | tuple) else [out])]


def cnn() -> Any:
    """Heart-rate-like: Conv2D((1, k)) + BN + ReLU6, pooled, two dense layers."""
    x = i = L.Input((1, 64, 4), name="ppg")
    for n, width in enumerate((8, 12, 16)):
        x = L.Conv2D(width, (1, 5), strides=(1, 2), padding="same", name=f"conv{n}")(x)
        x = L.BatchNormalization(name=f"bn{n}")(x)
        x = L.ReLU(6.0, name=f"relu{n}")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    x = L.Dense(8, activation="relu", name="hidden")(x)
    return randomise(tf_keras.Model(i, L.Dense(1, name="bpm")(x), name="cnn"))


def residual() -> Any:
    """Residual additions, a squeeze-and-excitation gate, depthwise, separable, concatenation, flatten."""
    i = L.Input((16, 1, 3), name="acc")
    x = L.Conv2D(8, (5, 1), padding="same", name="stem")(i)
    y = L.Conv2D(8, (3, 1), padding="same", use_bias=False, name="branch")(L.ReLU(name="r0")(x))
    y = L.BatchNormalization(name="branch_bn")(y)
    gate = L.GlobalAveragePooling2D(keepdims=True, name="squeeze")(y)
    gate = L.Conv2D(8, 1, activation="sigmoid", name="excite")(gate)
    x = L.Add(name="add")([x, L.Multiply(name="scale")([y, gate])])
    x = L.DepthwiseConv2D((3, 1), depth_multiplier=2, name="depthwise")(x)
    x = L.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = L.SeparableConv2D(6, (3, 1), name="separable")(x)
    z = L.Conv2DTranspose(5, (1, 1), name="transposed")(x)
    x = L.Concatenate(name="concat")([x, z])
    x = L.ZeroPadding2D(((1, 0), (0, 0)), name="pad")(x)
    x = L.Flatten(name="flatten")(x)
    x = L.Dense(6, activation="tanh", name="hidden")(x)
    return randomise(tf_keras.Model(i, L.Dense(2, activation="softmax", name="out")(x), name="residual"))


def lstm() -> Any:
    """Sleep-like: stacked LSTM, one answer a step."""
    i = L.Input((12, 5), name="epochs")
    x = L.LSTM(8, return_sequences=True, name="first")(i)
    x = L.LSTM(6, return_sequences=True, name="second")(x)
    x = L.TimeDistributed(L.Dense(5, activation="relu"), name="hidden")(x)
    return randomise(tf_keras.Model(i, L.Dense(4, activation="softmax", name="stage")(x), name="lstm"))


def bidirectional() -> Any:
    """Both merge modes, a GRU, a LayerNorm (the stated exception) and self-attention."""
    i = L.Input((8, 4), name="epochs")
    x = L.Bidirectional(L.LSTM(5, return_sequences=True), name="both")(i)
    x = L.LayerNormalization(name="norm")(x)
    x = L.Bidirectional(L.GRU(6, return_sequences=True), merge_mode="sum", name="summed")(x)
    y = L.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = L.Add(name="add")([x, y])
    x = L.SimpleRNN(4, name="last")(x)
    return randomise(tf_keras.Model(i, L.Dense(2, name="out")(x), name="bidirectional"))


def two_branch() -> Any:
    """Two sensors, Conv1D and LSTM paths, two outputs."""
    a, b = L.Input((24, 3), name="acc"), L.Input((24, 1), name="hr")
    x = L.MaxPooling1D(2, name="half")(L.Conv1D(8, 3, padding="same", activation="relu", name="acc_conv")(a))
    y = L.Conv1D(4, 3, strides=2, padding="same", activation="relu", name="hr_conv")(b)
    x = L.Concatenate(name="fuse")([x, y])
    x = L.LSTM(6, name="state")(x)
    heads = [L.Dense(2, activation="softmax", name="fall")(x), L.Dense(1, name="rate")(x)]
    return randomise(tf_keras.Model([a, b], heads, name="two_branch"))


def nested() -> Any:
    """A Sequential stem inside a functional model, and a layer called twice."""
    stem = tf_keras.Sequential(
        [L.Input((16, 2)), L.Conv1D(6, 3, padding="same", name="conv"), L.ReLU(name="relu")], name="stem"
    )
    a, b = L.Input((16, 2), name="left"), L.Input((16, 2), name="right")
    x = L.Concatenate(name="pair")([stem(a), stem(b)])
    x = L.GlobalMaxPooling1D(name="pool")(x)
    return randomise(tf_keras.Model([a, b], L.Dense(1, name="out")(x), name="nested"))


def operators() -> Any:
    """Operators and slices instead of layers, adapted normalisation, an embedding, a GRU of the older kind."""
    i, word = L.Input((10, 4), name="signal"), L.Input((10,), name="word")
    norm = L.Normalization(name="normal")
    norm.adapt(np.random.default_rng(3).normal(2, 3, (50, 10, 4)))
    x = L.Conv1D(6, 3, padding="same", name="conv")(norm(i))
    x = tf.nn.relu(x * 0.5 + 1.0)
    e = L.Embedding(12, 5, name="embedding")(word)
    x = tf.concat([x, e], -1)
    x = L.GRU(7, return_sequences=True, reset_after=False, name="gru")(x)
    x = tf.concat([x[:, -1], tf.reduce_mean(x, axis=1)], axis=-1)
    x = L.Dense(5, activation="relu", name="hidden")(x)
    return randomise(tf_keras.Model([i, word], L.Dense(2, name="out")(x), name="operators"))


def translator() -> Any:
    """Encoder and decoder joined by states and attention, a ConvLSTM, a channel slice that must stay."""
    a, b = L.Input((6, 3), name="source"), L.Input((4, 2), name="target")
    sequence, h, c = L.LSTM(5, return_sequences=True, return_state=True, name="encoder")(a)
    x = L.LSTM(5, return_sequences=True, name="decoder")(b, initial_state=[h, c])
    x = L.Concatenate(name="join")([x, L.Attention(name="look")([x, sequence])])
    x = L.Conv1D(6, 2, name="mix")(x)
    frames = L.Reshape((3, 1, 6), name="frames")(x)
    y = L.Flatten(name="flat")(L.ConvLSTM1D(4, 1, name="film")(frames))
    y = L.Dense(4, name="hidden")(y)
    return randomise(tf_keras.Model([a, b], [L.Dense(1, name="out")(y), x[..., :2]], name="translator"))


NETS: dict[str, Callable[[], Any]] = {
    f.__name__: f for f in (cnn, residual, lstm, bidirectional, two_branch, nested, operators, translator)
}

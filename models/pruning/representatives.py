"""Representative networks on synthetic signals of known truth, one of each kind that the tasks use."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.calibration import Calibration
from models.pruning.cases import LOSSES, UNITS, Case, kind_of
from models.pruning.errors import PruningError

_FS_HZ = 25.0
Rows = tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]


def pulse_rows(n: int, rng: np.random.Generator) -> Rows:
    """Return (ppg, acc) windows of 8 s and the pulse rate in BPM / 100: a pulse under moving noise."""
    t = np.arange(200) / _FS_HZ
    bpm = rng.uniform(45, 180, (n, 1))
    step = rng.uniform(60, 170, (n, 1)) / 60
    motion = rng.uniform(0, 1.5, (n, 1)) * np.sin(2 * np.pi * (step * t + rng.random((n, 1))))
    phase = 2 * np.pi * (bpm / 60 * t + rng.random((n, 1)))
    ppg = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.6 * motion + rng.normal(0, 0.3, (n, 200))
    acc = np.stack([motion * rng.normal(0, 1, (n, 1)) + rng.normal(0, 0.1, (n, 200)) for _ in range(3)], -1)
    rows = np.concatenate([ppg[..., None], acc], -1)[:, None].astype(np.float32)
    return {"signal": rows}, (bpm / 100).astype(np.float32)


def night_rows(n: int, rng: np.random.Generator) -> Rows:
    """Return 40 epochs of (movement, heart rate, its spread) and the stage of each: a Markov night."""
    steps = np.array([[0.9, 0.1, 0, 0], [0.03, 0.9, 0.04, 0.03], [0.02, 0.08, 0.9, 0], [0.05, 0.05, 0, 0.9]])
    means = np.array([[1.0, 0.8, 0.6], [0.2, 0.0, 0.2], [0.0, -0.6, -0.4], [0.1, 0.5, 0.8]])
    stage = np.zeros((n, 40), int)
    stage[:, 0] = rng.integers(0, 4, n)
    for k in range(1, 40):
        stage[:, k] = [rng.choice(4, p=steps[s]) for s in stage[:, k - 1]]
    rows = means[stage] + rng.normal(0, 0.8, (n, 40, 3))
    return {"epochs": rows.astype(np.float32)}, np.eye(4, dtype=np.float32)[stage]


def impact_rows(n: int, rng: np.random.Generator) -> Rows:
    """Return acceleration and turning around an impact, and whether it was a fall: stillness and turn tell."""
    t = np.linspace(-1, 2, 100)
    fall = rng.random((n, 1)) < 0.5
    peak = rng.uniform(2, 6, (n, 1)) * np.exp(-((t / rng.uniform(0.03, 0.12, (n, 1))) ** 2))
    after = np.where(fall, rng.uniform(0.0, 0.25, (n, 1)), rng.uniform(0.1, 0.7, (n, 1))) * (t > 0.3)
    before = rng.uniform(0.1, 0.5, (n, 1)) * (t < -0.2)
    acc = (peak + (after + before) * rng.normal(0, 1, (n, 100)))[..., None] * rng.normal(0, 1, (n, 1, 3))
    turn = np.where(fall, rng.uniform(0.3, 2, (n, 1)), rng.uniform(0, 1.0, (n, 1))) * np.exp(-((t / 0.3) ** 2))
    gyro = turn[..., None] * rng.normal(0, 1, (n, 1, 3)) + rng.normal(0, 0.1, (n, 100, 3))
    rows = {"acc": (acc + rng.normal(0, 0.1, acc.shape)).astype(np.float32), "gyro": gyro.astype(np.float32)}
    return rows, fall.astype(np.float32)


def _cnn(width: int) -> Any:
    import tf_keras

    layers = tf_keras.layers
    x = start = layers.Input((1, 200, 4), name="signal")
    for k, (n, stride) in enumerate(((1, 2), (1, 2), (2, 2), (2, 2))):
        x = layers.Conv2D(n * width, (1, 7), strides=(1, stride), padding="same", use_bias=False, name=f"conv{k}")(x)
        x = layers.BatchNormalization(name=f"norm{k}")(x)
        x = layers.ReLU(name=f"relu{k}")(x)
    x = layers.Dense(2 * width, activation="relu", name="hidden")(layers.Flatten(name="flatten")(x))
    return tf_keras.Model(start, layers.Dense(1, name="rate")(x), name="cnn")


def _lstm(width: int, both: bool = False) -> Any:
    import tf_keras

    layers = tf_keras.layers
    x = start = layers.Input((40, 3), name="epochs")
    for k in range(2):
        cell = layers.LSTM(width, return_sequences=True, name=f"lstm{k}")
        x = layers.Bidirectional(cell, merge_mode="sum", name=f"both{k}")(x) if both else cell(x)
    out = layers.Dense(4, activation="softmax", name="stage")(x)
    return tf_keras.Model(start, out, name="bilstm" if both else "lstm")


def _two_branch(width: int) -> Any:
    import tf_keras

    layers = tf_keras.layers
    inputs, paths = [], []
    for name in ("acc", "gyro"):
        start = layers.Input((100, 3), name=name)
        x = layers.Reshape((1, 100, 3), name=f"{name}_flat")(start)
        for k, n in enumerate((width, 2 * width)):
            conv = layers.Conv2D(n, (1, 5), strides=(1, 2), padding="same", use_bias=False, name=f"{name}_conv{k}")
            x = layers.ReLU(name=f"{name}_relu{k}")(layers.BatchNormalization(name=f"{name}_norm{k}")(conv(x)))
        inputs.append(start)
        paths.append(layers.GlobalAveragePooling2D(name=f"{name}_pool")(x))
    x = layers.Dense(2 * width, activation="relu", name="hidden")(layers.Concatenate(name="fuse")(paths))
    return tf_keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="fall")(x), name="two_branch")


_TABLE: dict[str, tuple[Callable[[], Any], Callable[[int, np.random.Generator], Rows], int]] = {
    "cnn": (lambda: _cnn(16), pulse_rows, 24),
    "lstm": (lambda: _lstm(32), night_rows, 8),
    "bilstm": (lambda: _lstm(24, both=True), night_rows, 8),
    "two-branch": (lambda: _two_branch(12), impact_rows, 10),
}
REPRESENTATIVES = tuple(_TABLE)


def representative_case(name: str, n_rows: int = 2000) -> Case:
    """
    Return a small network of one kind with its synthetic data.

    Parameters
    ----------
    name : {"cnn", "lstm", "bilstm", "two-branch"}
    n_rows : int
        Training rows; half as many are held out.
    """
    if name not in _TABLE:
        raise PruningError(f"no representative network is named {name!r}; there are {', '.join(_TABLE)}")
    make, rows, epochs = _TABLE[name]
    data, held = (_calibration(rows(n, np.random.default_rng(seed))) for n, seed in ((n_rows, 1), (n_rows // 2, 2)))
    kind = kind_of(np.asarray(data.targets))

    def build(seed: int) -> Any:
        import tf_keras

        tf_keras.utils.set_random_seed(seed)
        return make()

    def fit(model: Any, n_epochs: int, seed: int, teacher: Any, callbacks: Sequence[Any]) -> None:
        from models.pruning.recovery import train

        train(model, data, epochs=n_epochs, rate=3e-3, teacher=teacher, seed=seed, callbacks=tuple(callbacks))

    mode = "float32" if "lstm" in name else "int8"
    return Case(
        name, UNITS[kind], build, fit, data, held, epochs, max(2, epochs // 3), mode, notes={"data": "synthetic"}
    )


def _calibration(rows: Rows) -> Calibration:
    inputs, target = rows
    return Calibration(inputs, target, LOSSES[kind_of(target)], batch=64)

"""The network that stages sleep: one LSTM that reads the night as it comes, one that reads it from its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.sleep.agreement import kappa
from pipelines.sleep.features import NAMES
from pipelines.sleep.stages import FROM_LABEL
from pipelines.sleep_staging import BACKWARD, INPUT, OUTPUT, TASK, WAKE_ABOVE
from pipelines.task import Task, Windows

Array = NDArray[np.float32]
_UNITS = 24
_LENGTH, _BATCH = 240, 12  # epochs of a crop (2 h), crops of a step
_STEPS_PER_EPOCH = 20
_RATE = 3e-3
_SMOOTHING, _DECAY = 0.1, 1e-4
_CLASS_WEIGHT = np.array([1.4, 0.8, 1.3, 1.0], np.float32)  # wake and deep are rare
_CAUSAL_SHARE = 0.5  # weight of the forward network's own answer from what a watch knows
_SETTLED, _LIVE = f"{INPUT}_settled", INPUT  # whole-night features, and those of a night that goes on
_IS_HEART = np.array([n[:2] in ("ha", "hd", "hl", "hz", "h5", "hq", "df", "sd", "bp") for n in NAMES])
_IS_TIME = np.array([n in ("t", "t1") for n in NAMES])


class SleepRecipe:
    """Two LSTMs of 24 units over 44 features; their logits are added. Trained on crops of nights, much disturbed."""

    task: Task = TASK
    datasets: tuple[str, ...] = ("sleep-accel",)
    export_mode: Literal["float32", "float16", "int8", "weight_int8"] = "float32"
    sequence: bool = True
    epochs: int = 12
    quick_epochs: int = 2
    prune_target: PruneTarget = PruneTarget(channels_removed=0.5, recover_epochs=6)

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """Return one row a night, padded to the longest: features while it went on and once it was over, and stages."""
        del seed
        nights = [TASK.prepare(r) for r in recordings]
        longest = max(len(w) for w in nights)

        def padded(rows: Array, fill: float) -> Array:
            return np.pad(rows, [(0, longest - len(rows)), *[(0, 0)] * (rows.ndim - 1)], constant_values=fill)

        stages = [
            np.where(w.quality > 0, TASK.targets(r, w)[OUTPUT][:, 0], np.nan)
            for r, w in zip(recordings, nights, strict=True)
        ]
        return Examples(
            {
                _LIVE: np.stack([padded(w.inputs[INPUT][:, 0], 0.0) for w in nights]),
                _SETTLED: np.stack([padded(TASK.settle(w).inputs[INPUT][:, 0], 0.0) for w in nights]),
            },
            {OUTPUT: np.stack([padded(s.astype(np.float32), np.nan) for s in stages])},
            np.array([len(w) for w in nights], np.float32),
            np.array([r.subject for r in recordings]), np.array([r.id for r in recordings]),
        )  # fmt: skip

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        """Return the untrained network for crops of 2 h; `models.training.sequences.stepwise` makes it step by step."""
        del seed
        import tf_keras
        from tf_keras import layers

        units = max(2, round(_UNITS * width))

        def reader(name: str, output: str) -> tuple[Any, Any]:
            given = layers.Input((_LENGTH, len(NAMES)), name=name)
            x = layers.Dense(units, "tanh", name=f"{output}_mix")(layers.Dropout(0.15, name=f"{output}_drop")(given))
            x = layers.LSTM(units, return_sequences=True, name=f"{output}_lstm")(x)
            x = layers.Dropout(0.3, name=f"{output}_drop_out")(x)
            return given, layers.Dense(4, name=output)(x)

        forward, said = reader(INPUT, OUTPUT)
        backward, said_backward = reader(f"{INPUT}_reversed", BACKWARD)
        return tf_keras.Model([forward, backward], [said, said_backward], name="sleep_staging")

    def fit(
        self, model: KerasModel, examples: Examples, *, epochs: int, seed: int,
        teacher: KerasModel | None = None, callbacks: Sequence[Any] = (), progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Train in place on random crops: stretched in time, noisy, features and whole sensors left out."""
        import tensorflow as tf
        import tf_keras

        rng = np.random.default_rng(seed)
        total = epochs * _STEPS_PER_EPOCH
        optimizer = tf_keras.optimizers.Adam(_RATE)
        step = _step(model, teacher, optimizer)
        for callback in callbacks:
            callback.set_model(model)
        for k in range(total):
            for callback in callbacks:
                callback.on_train_batch_begin(k)
            optimizer.learning_rate.assign(
                _RATE * min(1.0, (k + 1) / 20) * (0.5 + 0.5 * np.cos(np.pi * k / total)) + 1e-5
            )
            step(*(tf.constant(a) for a in _crops(examples, rng)))
            for callback in callbacks:
                callback.on_train_batch_end(k)
            if progress and (k + 1) % _STEPS_PER_EPOCH == 0:
                progress((k + 1) / total, f"epoch {(k + 1) // _STEPS_PER_EPOCH} of {epochs}")

    def rows(self, examples: Examples) -> tuple[dict[str, Array], dict[str, Array]]:
        """
        Return undisturbed crops of 2 h in which every stage is known, as the network takes and gives them.

        Pruning measures on these: shape (n, 240, 44) forwards and backwards, stages one-hot.
        """
        crops = [
            (night, start)
            for night in range(len(examples))
            for start in range(0, int(examples.weight[night]) - _LENGTH + 1, _LENGTH // 2)
            if np.isfinite(examples.targets[OUTPUT][night, start : start + _LENGTH]).all()
        ]
        x = np.stack([examples.inputs[_SETTLED][n, s : s + _LENGTH] for n, s in crops])
        stages = np.stack([examples.targets[OUTPUT][n, s : s + _LENGTH] for n, s in crops]).astype(int)
        y = np.eye(4, dtype=np.float32)[stages]
        return {INPUT: x, f"{INPUT}_reversed": x[:, ::-1]}, {OUTPUT: y, BACKWARD: y[:, ::-1]}

    sensors: ClassVar = {"motion": ("counts", "acc_x", "acc_y", "acc_z"), "hr": ("hr",)}
    error_unit = "1 - kappa of four stages, decoded from both readers"

    def error(self, outputs: Sequence[Array], targets: Sequence[Array]) -> float:
        """Return 1 - Cohen's kappa of crops, logits (n, 240, 4) of both readers as the decoder takes them."""
        n = outputs[0].size // 4
        rows = {OUTPUT: outputs[0].reshape(n, 1, 4), BACKWARD: outputs[1][:, ::-1].reshape(n, 1, 4)}
        start = np.arange(n, dtype=np.float64) * TASK.window.step_s
        windows = Windows({}, start, start + TASK.window.step_s, np.ones(n, np.float32))
        said = TASK.decoder(offline=True).update(rows, windows)
        table = np.zeros((4, 4), np.int64)
        np.add.at(table, (targets[0].argmax(-1).ravel(), [FROM_LABEL[str(e.value)] for e in said]), 1)
        return 1.0 - (kappa(table) or 0.0)

    def configure(
        self, predict: Callable[[Mapping[str, Array]], Mapping[str, Array]], recordings: Sequence[Recording]
    ) -> dict[str, Any]:
        """Return the threshold of wake, by choice: thresholds fitted on nights that were trained on mean little."""
        del predict, recordings
        return {"wake_above": WAKE_ABOVE}


def _step(model: KerasModel, teacher: KerasModel | None, optimizer: Any) -> Callable[..., Any]:
    """Return one training step: both readers on the whole night's features, the forward one on the watch's too."""
    import tensorflow as tf

    def loss_of(logits: Any, wanted: Any, weight: Any) -> Any:
        return tf.reduce_sum(weight * tf.nn.softmax_cross_entropy_with_logits(wanted, logits)) / tf.reduce_sum(weight)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(live: Any, settled: Any, wanted: Any, weight: Any) -> Any:
        if teacher is not None:
            taught = [teacher([x, tf.reverse(settled, [1])], training=False) for x in (settled, live)]
            soft = [tf.nn.softmax(taught[0][0] + tf.reverse(taught[0][1], [1])), tf.nn.softmax(taught[1][0])]
        with tf.GradientTape() as tape:
            forward, backward = model([settled, tf.reverse(settled, [1])], training=True)
            causal, _ = model([live, tf.reverse(settled, [1])], training=True)
            both = forward + tf.reverse(backward, [1])
            loss = loss_of(both, wanted, weight) + _CAUSAL_SHARE * loss_of(causal, wanted, weight)
            if teacher is not None:
                loss += loss_of(both, soft[0], weight) + _CAUSAL_SHARE * loss_of(causal, soft[1], weight)
            loss += _DECAY * tf.add_n([tf.reduce_sum(v * v) for v in model.trainable_variables if "kernel" in v.name])
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), 1.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    taken: Callable[..., Any] = step
    return taken


def _crops(examples: Examples, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Return a batch of disturbed crops: features twice, wanted shares of stages, weight of each epoch."""
    live = np.zeros((_BATCH, _LENGTH, len(NAMES)), np.float32)
    settled, wanted = np.zeros_like(live), np.zeros((_BATCH, _LENGTH, 4), np.float32)
    weight = np.zeros((_BATCH, _LENGTH), np.float32)
    often = np.sqrt(examples.weight) / np.sqrt(examples.weight).sum()
    for row, night in enumerate(rng.choice(len(examples), _BATCH, p=often)):
        n = int(examples.weight[night])
        pace = np.exp(rng.normal(0, 0.1))
        span = int(min(_LENGTH * pace, n))
        start = 0 if rng.random() < 0.2 else int(rng.integers(0, n - span + 1))
        at = np.clip(np.round(np.arange(start, start + span, pace)).astype(int), 0, n - 1)[:_LENGTH]
        noise = rng.normal(0, 0.1, (at.size, len(NAMES))) + rng.normal(0, 0.15, (1, len(NAMES)))
        keep = rng.random(len(NAMES)) > 0.1
        for target, source in ((live, examples.inputs[_LIVE]), (settled, examples.inputs[_SETTLED])):
            target[row, : at.size] = _without_a_sensor((source[night, at] + noise) * keep, row)
        stage = examples.targets[OUTPUT][night, at]
        known = np.isfinite(stage)
        code = np.nan_to_num(stage).astype(int)
        wanted[row, : at.size] = np.eye(4)[code] * (1 - _SMOOTHING) + _SMOOTHING / 4
        weight[row, : at.size] = known * _CLASS_WEIGHT[code]
    return live, settled, wanted, weight


def _without_a_sensor(rows: NDArray[np.floating], row: int) -> NDArray[np.floating]:
    """Take all of the heart rate or all of the motion away, in one crop of twelve each: watches do."""
    if row == 0:
        rows = np.where(_IS_HEART, 0.0, rows)
        rows[:, NAMES.index("nohr")] = 1.0
    elif row == 1:
        rows = np.where(_IS_HEART | _IS_TIME | (np.arange(len(NAMES)) == NAMES.index("nohr")), rows, 0.0)
        rows[:, NAMES.index("nomo")] = 1.0
    return rows


RECIPE = SleepRecipe()

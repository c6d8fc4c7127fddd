"""The network that names the rhythm of 30 s of ECG, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.ecg_rhythm import BEATS, CLASSES, INTERVALS, OUTPUT, SUMMARY, TASK
from pipelines.rhythm_inputs import AFTER, BEFORE, N_BEATS, N_INTERVAL, N_SUMMARY
from pipelines.task import Task

_BATCH = 32
_RATE = 3e-3
_SMOOTHING = 0.05
_MIXUP = 0.2  # of two strips: Beta(0.2, 0.2)
_NOISE = 0.05  # of the usual R wave
_FIGURE_NOISE = 0.15  # standard deviations of each summary figure


class EcgRhythmRecipe:
    """Convolutions within each beat, then across beats with their intervals, beside a summary of the strip."""

    task: Task = TASK
    datasets: tuple[str, ...] = ("challenge-2017",)
    export_mode: Literal["float32", "float16", "int8", "weight_int8"] = "int8"
    sequence: bool = False
    epochs: int = 16
    quick_epochs: int = 3
    prune_target: PruneTarget = PruneTarget(channels_removed=0.25, recover_epochs=6)

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """Return the labelled windows, those of one strip sharing its weight."""
        del seed
        inputs: dict[str, list[NDArray[np.float32]]] = {BEATS: [], INTERVALS: [], SUMMARY: []}
        target, weight, subject, name = [], [], [], []
        for recording in recordings:
            windows = TASK.prepare(recording)
            wanted = TASK.targets(recording, windows)[OUTPUT]
            if not len(windows) or not np.isfinite(wanted).all():
                continue
            for key, rows in inputs.items():
                rows.append(windows.inputs[key])
            target.append(wanted)
            weight.append(np.full(len(windows), 1.0 / len(windows), np.float32))
            subject += [recording.subject] * len(windows)
            name += [f"{recording.dataset}/{recording.id}"] * len(windows)
        return Examples(
            {k: np.concatenate(v) for k, v in inputs.items()}, {OUTPUT: np.concatenate(target)},
            np.concatenate(weight), np.array(subject), np.array(name),
        )  # fmt: skip

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        """Return an untrained network."""
        import tf_keras

        layers = tf_keras.layers
        tf_keras.utils.set_random_seed(seed)

        def conv(x: Any, filters: int, kernel: tuple[int, int], stride: int, name: str, padding: str = "same") -> Any:
            x = layers.Conv2D(
                max(4, round(width * filters)), kernel, strides=(1, stride), padding=padding, use_bias=False,
                name=f"conv_{name}",
            )(x)  # fmt: skip
            x = layers.BatchNormalization(momentum=0.9, name=f"norm_{name}")(x)
            return layers.ReLU(name=f"relu_{name}")(x)

        beats = layers.Input((N_BEATS, BEFORE + AFTER, 1), name=BEATS)
        intervals = layers.Input((N_BEATS, 1, N_INTERVAL), name=INTERVALS)
        summary = layers.Input((N_SUMMARY,), name=SUMMARY)
        x = conv(beats, 10, (1, 7), 2, "wave_1")
        x = conv(x, 16, (1, 5), 2, "wave_2")
        x = conv(x, 24, (1, 5), 2, "wave_3")
        x = conv(x, 32, (1, (BEFORE + AFTER) // 8), 1, "wave_4", "valid")
        x = layers.Concatenate(name="join_beats")([x, conv(intervals, 16, (1, 1), 1, "interval")])
        x = layers.Dropout(0.1, name="drop_beats")(x)
        x = conv(x, 40, (5, 1), 1, "rhythm")
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        s = layers.Dense(max(4, round(width * 48)), activation="relu", name="dense_summary")(summary)
        x = layers.Concatenate(name="join")([x, s])
        x = layers.Dropout(0.3, name="drop_join")(x)
        x = layers.Dense(max(4, round(width * 32)), activation="relu", name="dense_join")(x)
        out = layers.Dense(len(CLASSES), activation="softmax", name=OUTPUT)(x)
        return tf_keras.Model([beats, intervals, summary], out, name="ecg_rhythm")

    def fit(
        self,
        model: KerasModel,
        examples: Examples,
        *,
        epochs: int,
        seed: int,
        teacher: KerasModel | None = None,
        callbacks: Sequence[Any] = (),
        progress: Progress | None = None,
    ) -> None:
        """Train in place with mixup and noise, rare classes weighted up; a teacher's answers count half."""
        import tf_keras

        rng = np.random.default_rng(seed)
        y = examples.targets[OUTPUT]
        share = np.maximum(np.average(y, axis=0, weights=examples.weight), 1e-3)
        weight = examples.weight * np.sqrt(1 / (len(CLASSES) * share))[y.argmax(axis=1)].astype(np.float32)
        if teacher is not None:
            y = 0.5 * y + 0.5 * teacher.predict(dict(examples.inputs), batch_size=512, verbose=0)
        steps = max(1, epochs * len(y) // _BATCH)
        rate = tf_keras.optimizers.schedules.CosineDecay(_RATE, steps)
        model.compile(
            tf_keras.optimizers.Adam(rate), tf_keras.losses.CategoricalCrossentropy(label_smoothing=_SMOOTHING)
        )
        for epoch in range(epochs):
            x, target, w = _mixed(examples.inputs, y, weight, rng)
            model.fit(x, target, sample_weight=w, batch_size=_BATCH, verbose=0, callbacks=list(callbacks), shuffle=True)
            if progress:
                progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")

    def configure(
        self,
        predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],
        recordings: Sequence[Recording],
    ) -> dict[str, Any]:
        """Return nothing: the likeliest class is the answer, no threshold is fitted."""
        del predict, recordings
        return {}


def _mixed(
    inputs: Mapping[str, NDArray[np.float32]], y: NDArray[np.float32], weight: NDArray[np.float32],
    rng: np.random.Generator,
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """Return strips blended in pairs, begun at another beat, with noise laid over."""
    n = len(y)
    partner = rng.permutation(n)
    own = rng.beta(_MIXUP, _MIXUP, n)
    own = np.maximum(own, 1 - own).astype(np.float32)
    begin = (np.arange(N_BEATS) + rng.integers(0, N_BEATS, (n, 1))) % N_BEATS
    rows = np.arange(n)[:, None]

    def blend(x: NDArray[np.float32]) -> NDArray[np.float32]:
        part = own.reshape(-1, *(1,) * (x.ndim - 1))
        return np.asarray(part * x + (1 - part) * x[partner], np.float32)

    beats = blend(inputs[BEATS][rows, begin]) * rng.uniform(0.85, 1.15, (n, 1, 1, 1)).astype(np.float32)
    beats += _NOISE * rng.random((n, 1, 1, 1), np.float32) * rng.standard_normal(beats.shape, np.float32)
    summary = blend(inputs[SUMMARY])
    summary += _FIGURE_NOISE * rng.standard_normal(summary.shape, np.float32)
    return {BEATS: beats, INTERVALS: blend(inputs[INTERVALS][rows, begin]), SUMMARY: summary}, blend(y), blend(weight)


RECIPE = EcgRhythmRecipe()

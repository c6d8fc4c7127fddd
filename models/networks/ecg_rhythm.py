"""The network that names the rhythm of 30 s of ECG, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.recording import Channel, Recording
from models.training.beat_scorers import with_noise
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.ecg_rhythm import BEATS, CLASSES, INTERVALS, OUTPUT, SUMMARY, TASK, chances, reference
from pipelines.rhythm_inputs import N_BEATS, N_INTERVAL, N_SUMMARY
from pipelines.rhythm_shape import AFTER, BEFORE
from pipelines.task import Task

_BATCH = 32
_RATE = 3e-3
_SMOOTHING = 0.05
_MIXUP = 0.2  # of two strips: Beta(0.2, 0.2)
_NOISE = 0.05  # of the usual R wave
_VARIANTS = 2
_VARIANT_NOISE = 0.6  # of what the beats' scorers are trained against: a normal strip must not become a noisy one
_LEAST_S = 5.0
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

    def stratum(self, recording: Recording) -> str:
        """Return the rhythm: folds get equal parts of each."""
        return reference(recording) or ""

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """
        Return the labelled windows, those of one strip sharing its weight: of each strip as it is and of variants.

        `recording` ends in ``#0`` where the strip is as it was recorded, in ``#1``, ``#2`` where it is a variant.
        """
        rng = np.random.default_rng(seed)
        inputs: dict[str, list[NDArray[np.float32]]] = {BEATS: [], INTERVALS: [], SUMMARY: []}
        target, weight, subject, name = [], [], [], []
        for strip, variant in ((r, k) for r in recordings for k in range(1 + _VARIANTS)):
            windows = TASK.whole(_variant(strip, rng) if variant else strip)
            wanted = TASK.targets(strip, windows)[OUTPUT]
            if not len(windows) or not np.isfinite(wanted).all():
                continue
            for key, rows in inputs.items():
                rows.append(windows.inputs[key])
            target.append(wanted)
            weight.append(np.full(len(windows), 1.0 / len(windows), np.float32))
            subject += [strip.subject] * len(windows)
            name += [f"{strip.dataset}/{strip.id}#{variant}"] * len(windows)
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
        # Logits: an int8 softmax makes three steps of one, and runtimes differ by one.
        out = layers.Dense(len(CLASSES), name=OUTPUT)(x)
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
            said = teacher.predict(dict(examples.inputs), batch_size=512, verbose=0)
            y = (0.5 * y + 0.5 * chances(said)).astype(np.float32)
        draws = _Draws(examples.recording)
        steps = max(1, epochs * draws.n_rows // _BATCH)
        rate = tf_keras.optimizers.schedules.CosineDecay(_RATE, steps)
        model.compile(
            tf_keras.optimizers.Adam(rate),
            tf_keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=_SMOOTHING),
        )
        for epoch in range(epochs):
            own = draws(rng)
            x, target, w = _mixed({k: v[own] for k, v in examples.inputs.items()}, y[own], weight[own], rng)
            model.fit(x, target, sample_weight=w, batch_size=_BATCH, verbose=0, callbacks=list(callbacks), shuffle=True)
            if progress:
                progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")

    def rows(self, examples: Examples) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
        """Return inputs and targets as `models.pruning.cases` takes them of a network that gives logits."""
        return dict(examples.inputs), dict(examples.targets)

    def pictures(self, per_recording: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Draw the confusion of a run's folds."""
        from models.ecg_rhythm_pictures import draw_confusion

        return draw_confusion(per_recording, folder)

    def configure(
        self,
        predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],
        recordings: Sequence[Recording],
    ) -> dict[str, Any]:
        """Return nothing: the likeliest class is the answer, no threshold is fitted."""
        del predict, recordings
        return {}


class _Draws:
    """Of each strip, the windows of one variant an epoch: half of the times as it was recorded."""

    def __init__(self, names: NDArray[np.str_]) -> None:
        parts = np.char.rpartition(names, "#")
        self._strip = np.unique(parts[:, 0], return_inverse=True)[1]
        self._variant = parts[:, 2].astype(np.intp)
        self.n_rows = int((self._variant == 0).sum())

    def __call__(self, rng: np.random.Generator) -> NDArray[np.intp]:
        share = np.array([0.5, *[0.5 / _VARIANTS] * _VARIANTS])
        chosen = rng.choice(1 + _VARIANTS, int(self._strip.max()) + 1, p=share)
        return np.flatnonzero(self._variant == chosen[self._strip])


def _variant(strip: Recording, rng: np.random.Generator) -> Recording:
    """Return the strip up to 6 % faster or slower, begun or ended up to two seconds off, with some noise laid over."""
    ecg = strip.require("ecg")
    cut = rng.integers(0, 1 + round(2.0 * ecg.fs_hz), 2)
    samples = ecg.samples[cut[0] : ecg.samples.size - cut[1]] if ecg.end_s > 3 * _LEAST_S else ecg.samples
    noisy = with_noise(samples, ecg.fs_hz, rng)
    samples = samples + np.float32(rng.uniform(0.0, _VARIANT_NOISE)) * (noisy - samples)
    channel = Channel("ecg", ecg.fs_hz * float(rng.uniform(0.94, 1.06)), samples)
    return replace(strip, channels={"ecg": channel})


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

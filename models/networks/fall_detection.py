"""The network that judges impacts, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.fall_detection import INPUT, LIMIT_G, OUTPUT, TASK
from pipelines.falls.scoring import is_fall
from pipelines.falls.trigger import AFTER, BEFORE, SLOT, find_impacts, spans_of
from pipelines.falls.view import LENGTH, SIGNALS, around, view
from pipelines.motion_grid import AXES, delay_s, motion_grid
from pipelines.task import Task

_CLIPS_G = (2.0, LIMIT_G)  # every movement as a device of ±2 g and as one of ±4 g and more has it
_COPIES = 2  # of each clip, differently augmented
_TRIGGER_G = 1.5  # weaker impacts teach too
_WEAK = 0.15  # weight of falls whose moment is unknown: some of those files hold no fall at all
_WEAK_PEAK_G = 1.6
_FALL_WEIGHT = 2.0
_MIX = 0.3  # mixup's Beta parameter: keeps probabilities honest, so that one threshold holds on other people
_PRUNE = PruneTarget(channels_removed=0.5, recover_epochs=20)
_BATCH = 128
_RATE = 3e-3
# The threshold lies below what nearly all falls of the training subjects reach, with a margin for other people's.
_QUANTILE, _MARGIN, _LOWEST, _HIGHEST = 0.02, 0.05, 0.3, 0.6


class FallRecipe:
    """Four convolutions on seven signals of 3.75 s around an impact."""

    task: Task = TASK
    datasets: tuple[str, ...] = ("weda-fall", "smartfallmm", "wisdm", "stress-predict", "umafall")
    export_mode: Literal["float32", "float16", "int8", "weight_int8"] = "int8"
    sequence: bool = False
    epochs: int = 30
    quick_epochs: int = 15  # of very few rows
    prune_target: PruneTarget = _PRUNE

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """
        Return the impacts of all recordings, clipped at 2 g and 4 g, with gain, lost beginnings and lost ends.

        Turning and mirroring the watch need no augmentation: the view does not see them.
        """
        rng = np.random.default_rng(seed)
        parts = [self._impacts(r, clip, rng) for r in recordings for clip in _CLIPS_G]
        return Examples(
            {INPUT: np.concatenate([p.inputs[INPUT] for p in parts])},
            {OUTPUT: np.concatenate([p.targets[OUTPUT] for p in parts])},
            np.concatenate([p.weight for p in parts]),
            np.concatenate([p.subject for p in parts]),
            np.concatenate([p.recording for p in parts]),
        )

    def _impacts(self, recording: Recording, clip_g: float, rng: np.random.Generator) -> Examples:
        axes = [recording.require(name) for name in AXES]
        n = TASK.window.count(min(axis.end_s for axis in axes))
        motion = motion_grid(recording, -BEFORE, n * SLOT + AFTER, limit_g=clip_g)
        windows = TASK.windows_of(motion, 0, max(delay_s(axis) for axis in axes), trigger_g=_TRIGGER_G)
        target = TASK.targets(recording, windows)[OUTPUT][:, 0]
        weight = np.where(np.isnan(target), 0.0, np.where(target == 1, _FALL_WEIGHT, 1.0)).astype(np.float32)
        if recording.meta.get("label_quality") == "weak" and is_fall(recording):
            weight *= np.where(windows.extras["peak_g"] >= _WEAK_PEAK_G, _WEAK, 0.0).astype(np.float32)
        rows = np.flatnonzero(weight > 0)
        spans = spans_of(motion)[rows]
        near = around(spans, find_impacts(spans, _TRIGGER_G).at)
        copies = np.concatenate([augmented(near, rng) for _ in range(_COPIES)])
        rows = np.tile(rows, _COPIES)
        return Examples(
            {INPUT: view(copies)}, {OUTPUT: target[rows, None].astype(np.float32)}, weight[rows],
            np.full(rows.size, recording.subject), np.full(rows.size, recording.id),
        )  # fmt: skip

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        """Return an untrained network; the last convolution sees all that is left of the time axis at once."""
        import tf_keras

        layers = tf_keras.layers
        tf_keras.utils.set_random_seed(seed)
        n1, n2, n3, n4 = (max(4, round(width * n)) for n in (24, 32, 32, 48))
        start = layers.Input((1, LENGTH, len(SIGNALS)), name=INPUT)
        x = _convolution(start, n1, 5, 2, "first")
        x = _convolution(x, n2, 5, 2, "second")
        x = _convolution(x, n3, 3, 2, "third")
        x = layers.Dropout(0.3, name="drop_third")(x)
        x = _convolution(x, n4, int(x.shape[2]), 1, "whole", padding="valid")
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(0.3, name="drop_pool")(x)
        out = layers.Dense(1, activation="sigmoid", name=OUTPUT)(x)
        return tf_keras.Model(start, out, name="fall_detection")

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
        """Train in place: each epoch all falls and a fresh share of the rest, mixed; a teacher's answers count half."""
        import tf_keras

        rng = np.random.default_rng(seed)
        x, y, w = examples.inputs[INPUT], examples.targets[OUTPUT][:, 0].copy(), examples.weight
        if teacher is not None:
            y = 0.5 * y + 0.5 * teacher.predict(x, batch_size=2048, verbose=0)[:, 0]
        falls = examples.targets[OUTPUT][:, 0] == 1
        share = 1.0 / (len(_CLIPS_G) * _COPIES)
        each_epoch = falls.sum() + share * (~falls).sum()
        batch = int(np.clip(each_epoch // 16, 8, _BATCH))  # a quick run has few rows and still needs its steps
        steps = max(1, int(epochs * each_epoch / batch))
        rate = tf_keras.optimizers.schedules.CosineDecay(_RATE, steps)
        model.compile(tf_keras.optimizers.Adam(rate), "binary_crossentropy")
        for epoch in range(epochs):
            rows = rng.permutation(np.flatnonzero(falls | (rng.random(y.size) < share)))
            mixed, answer, weight = _mixup(x[rows], y[rows], w[rows], rng)
            model.fit(mixed, answer, sample_weight=weight, batch_size=batch, verbose=0, callbacks=list(callbacks))
            if progress:
                progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")

    def configure(
        self,
        predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],
        recordings: Sequence[Recording],
    ) -> dict[str, Any]:
        """
        Return ``threshold`` and ``most_movement_g`` from the falls of the training subjects whose moment is known.

        Weakly labelled falls have no say: they would drag the threshold down until every clap is a fall.
        """
        found, movement = [], []
        for recording in recordings:
            if "fall" not in recording.annotations:
                continue
            windows = TASK.prepare(recording)
            rows = TASK.targets(recording, windows)[OUTPUT][:, 0] == 1
            if rows.any():
                found.append(float(predict({INPUT: windows.inputs[INPUT][rows]})[OUTPUT].max()))
                movement.append(float(windows.extras["movement_g"][rows].max()))
        if not found:
            return {"threshold": _HIGHEST}
        threshold = float(np.clip(np.quantile(found, _QUANTILE) - _MARGIN, _LOWEST, _HIGHEST))
        return {
            "threshold": round(threshold, 4),
            "most_movement_g": round(1.25 * max(movement), 3),
            "fitted_on": f"{len(found)} falls of the training subjects",
        }


def augmented(near_g: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """
    Return impacts 8 % faster or slower and 10 % stronger or weaker, one in ten without its beginning, one in fifteen
    without its end.

    Trials cut short are falls more often than not; lost ends in everything keep the network from learning that.
    """
    n = len(near_g)
    time = np.arange(LENGTH)
    pace, shift = np.exp(rng.normal(0, 0.08, (n, 1))), rng.uniform(-0.5, 0.5, (n, 1))
    at = np.clip((time - BEFORE) * pace + BEFORE + shift, 0, LENGTH - 1.001)
    left, part = at.astype(np.intp)[..., None], (at % 1)[..., None].astype(np.float32)
    near_g = np.take_along_axis(near_g, left, 1) * (1 - part) + np.take_along_axis(near_g, left + 1, 1) * part
    out = (near_g * rng.normal(1, 0.1, (n, 1, 1))).astype(np.float32)
    begins = np.where(rng.random(n) < 0.1, rng.integers(0, BEFORE - 8, n), 0)
    ends = np.where(rng.random(n) < 0.07, BEFORE + rng.integers(15, AFTER, n), LENGTH)
    out[(time < begins[:, None]) | (time >= ends[:, None])] = np.nan
    return out


def _convolution(x: KerasModel, filters: int, taps: int, stride: int, name: str, padding: str = "same") -> KerasModel:
    import tf_keras

    layers = tf_keras.layers
    x = layers.Conv2D(
        filters, (1, taps), strides=(1, stride), padding=padding, use_bias=False, name=f"{name}_conv"
    )(x)  # fmt: skip
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)  # 0.99 would need 500 steps to settle
    return layers.ReLU(name=f"{name}_relu")(x)


def _mixup(
    x: NDArray[np.float32], y: NDArray[np.float32], w: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    own = rng.beta(_MIX, _MIX, y.size)
    own = np.maximum(own, 1 - own).astype(np.float32)
    other = rng.permutation(y.size)
    wide = own[:, None, None, None]
    return (
        (wide * x + (1 - wide) * x[other]).astype(np.float32),
        np.asarray(own * y + (1 - own) * y[other], np.float32),
        np.asarray(own * w + (1 - own) * w[other], np.float32),
    )


RECIPE = FallRecipe()

"""The network that names activities, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.motion_pictures import Rows, draw_activity
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.activities import CLASSES, reference
from pipelines.activity import DWELL_S, INPUT, LENGTH, LIMIT_G, OUTPUT, SIGNALS, STEP, TASK, view
from pipelines.motion_grid import AXES, GRID_HZ, motion_grid
from pipelines.task import Task

_COPIES = 2
_SHORT_S = 60.0  # recordings below are clips of one movement: windows every 2 s, or most would give one or none
_FEWEST = 0.7  # of a window's samples
_STAGED = 0.7  # weight of sets other than the one with minutes of each activity
_SMOOTHING = 0.05
_BATCH = 64
_RATE = 3e-3
_PRUNE = PruneTarget(channels_removed=0.4, recover_epochs=6)


class ActivityRecipe:
    """Four convolutions on seven signals of 8 s, averaged over time."""

    task: Task = TASK
    datasets: tuple[str, ...] = ("wisdm", "weda-fall", "smartfallmm")
    export_mode: Literal["float32", "float16", "int8", "weight_int8"] = "int8"
    sequence: bool = False
    epochs: int = 14
    quick_epochs: int = 4
    prune_target: PruneTarget = _PRUNE

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """
        Return windows of known activity, each as it is and once more with another tilt of the strap, gain and pace.

        Falls have no class; a turn about the forearm and the other wrist need no copies: the view does not see them.
        """
        rng = np.random.default_rng(seed)
        parts = [part for r in recordings if r.meta.get("label") != "fall" for part in self._windows(r, rng)]
        return Examples(
            {INPUT: np.concatenate([p.inputs[INPUT] for p in parts])},
            {OUTPUT: np.concatenate([p.targets[OUTPUT] for p in parts])},
            np.concatenate([p.weight for p in parts]),
            np.concatenate([p.subject for p in parts]),
            np.concatenate([p.recording for p in parts]),
        )

    def _windows(self, recording: Recording, rng: np.random.Generator) -> list[Examples]:
        end_s = min(recording.require(name).end_s for name in AXES)
        motion = motion_grid(recording, 0, int(end_s * GRID_HZ), limit_g=LIMIT_G)
        step = STEP // 2 if end_s < _SHORT_S else STEP
        if len(motion) < LENGTH:
            return []
        spans = np.lib.stride_tricks.sliding_window_view(motion, LENGTH, axis=0)[::step].transpose(0, 2, 1)
        start_s = np.asarray(np.arange(len(spans)) * step / GRID_HZ, np.float64)
        code = reference(recording, start_s, np.asarray(start_s + LENGTH / GRID_HZ, np.float64))
        keep = (code >= 0) & (np.isfinite(spans).all(axis=2).mean(axis=1) >= _FEWEST)
        spans, code = spans[keep], code[keep]
        if not code.size:
            return []
        views = [view(spans)] + [view(augmented(spans, rng)) for _ in range(_COPIES - 1)]
        weight = 1.0 if recording.dataset == "wisdm" else _STAGED
        return [
            Examples(
                {INPUT: v}, {OUTPUT: np.eye(len(CLASSES), dtype=np.float32)[code]},
                np.full(code.size, weight, np.float32), np.full(code.size, recording.subject),
                np.full(code.size, f"{recording.dataset}/{recording.id}"),
            )
            for v in views
        ]  # fmt: skip

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        """Return an untrained network."""
        import tf_keras

        layers = tf_keras.layers
        tf_keras.utils.set_random_seed(seed)
        x = start = layers.Input((1, LENGTH, len(SIGNALS)), name=INPUT)
        for k, (filters, taps, stride) in enumerate(((24, 7, 2), (36, 5, 2), (48, 5, 2), (72, 3, 1)), 1):
            x = layers.Conv2D(
                max(4, round(width * filters)), (1, taps), strides=(1, stride), padding="same", use_bias=False,
                name=f"conv_{k}",
            )(x)  # fmt: skip
            x = layers.BatchNormalization(momentum=0.9, name=f"norm_{k}")(x)
            x = layers.ReLU(name=f"relu_{k}")(x)
            x = layers.Dropout(0.15, name=f"drop_{k}")(x)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(0.3, name="drop_pool")(x)
        out = layers.Dense(len(CLASSES), activation="softmax", name=OUTPUT)(x)
        return tf_keras.Model(start, out, name="activity")

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
        """Train in place, rare classes weighted by the root of their rarity; a teacher's answers count half."""
        import tf_keras

        rng = np.random.default_rng(seed)
        x, y = examples.inputs[INPUT], examples.targets[OUTPUT]
        frequency = np.maximum(y.mean(axis=0), 1e-3)
        weight = examples.weight * np.sqrt(1 / (len(CLASSES) * frequency))[y.argmax(axis=1)].astype(np.float32)
        if teacher is not None:
            y = 0.5 * y + 0.5 * teacher.predict(x, batch_size=1024, verbose=0)
        share = 1.0 / _COPIES
        steps = max(1, int(epochs * share * len(y) / _BATCH))
        rate = tf_keras.optimizers.schedules.CosineDecay(_RATE, steps)
        loss = tf_keras.losses.CategoricalCrossentropy(label_smoothing=_SMOOTHING)
        model.compile(tf_keras.optimizers.Adam(rate), loss)
        for epoch in range(epochs):
            rows = rng.permutation(len(y))[: max(1, int(share * len(y)))]
            model.fit(
                x[rows], y[rows], sample_weight=weight[rows], batch_size=_BATCH, verbose=0, callbacks=list(callbacks)
            )
            if progress:
                progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")

    def configure(
        self,
        predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],
        recordings: Sequence[Recording],
    ) -> dict[str, Any]:
        """Return the mean length of an activity: a minute, by choice, not fitted on runs that all last three."""
        del predict, recordings
        return {"dwell_s": DWELL_S}

    def pictures(self, per_recording: Rows, folder: Path) -> list[Path]:
        """Draw the confusion of what the folds said."""
        return draw_activity(per_recording, folder)


def augmented(motion_g: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return windows with the strap tilted by some 7°, 4 % stronger or weaker, 5 % faster or slower."""
    n, length = motion_g.shape[:2]
    angle = np.asarray(rng.normal(0, 0.12, n), np.float32)
    turn = np.asarray(rng.uniform(0, 2 * np.pi, n), np.float32)  # about which axis across the forearm
    across = np.stack([np.zeros_like(turn), np.cos(turn), np.sin(turn)], axis=1)[:, None]
    out = motion_g * np.cos(angle)[:, None, None]
    out = out + np.cross(across, motion_g) * np.sin(angle)[:, None, None]
    out = out + across * (across * motion_g).sum(axis=2, keepdims=True) * (1 - np.cos(angle))[:, None, None]
    pace = np.exp(rng.normal(0, 0.05, (n, 1)))
    at = np.clip((np.arange(length) - length / 2) * pace + length / 2, 0, length - 1.001)
    left, part = at.astype(np.intp)[..., None], (at % 1)[..., None].astype(np.float32)
    out = np.take_along_axis(out, left, 1) * (1 - part) + np.take_along_axis(out, left + 1, 1) * part
    return np.asarray(out * rng.normal(1, 0.04, (n, 1, 1)), np.float32)


RECIPE = ActivityRecipe()

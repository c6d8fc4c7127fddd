"""The network that judges impacts, and how it is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.location import data_root
from data.recording import Recording
from models.bundle import CARD_FILE
from models.motion_pictures import Rows, draw_falls
from models.networks.fall_examples import CLIPS_G, COPIES, fall_examples, impacts_of, weak
from models.run.loading import load
from models.training.folds import subject_folds
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.fall_detection import INPUT, LIMIT_G, OUTPUT, TASK
from pipelines.falls.scoring import age_group, is_fall
from pipelines.falls.stillness import movement_after
from pipelines.falls.view import LENGTH, SIGNALS, view
from pipelines.task import Task

_MIX = 0.3  # mixup's Beta parameter: keeps probabilities honest, so that one threshold holds on other people
_PRUNE = PruneTarget(channels_removed=0.5, recover_epochs=20)
_BATCH = 128
_RATE = 3e-3
# The threshold is what 96 % of falls reach of people whom a network of the shipped size had not seen, with a third of
# the people left out; with none left out a network does better, and rarer quantiles of so few falls are chance. Above
# 0.7 other people's falls are soon lost (benchmarks.falls), whatever these few reach.
_INNER_FOLDS, _QUANTILE, _LOWEST, _HIGHEST = 3, 0.04, 0.3, 0.7
_FEW = 30  # falls; with fewer no quantile is worth its name
_UNFITTED = 0.65


class FallRecipe:
    """Four convolutions on seven signals of 5.1 s around an impact."""

    task: Task = TASK
    datasets: tuple[str, ...] = ("weda-fall", "smartfallmm", "wisdm", "stress-predict", "umafall")
    export_mode: Literal["float32", "float16", "int8", "weight_int8"] = "int8"
    sequence: bool = False
    epochs: int = 30
    quick_epochs: int = 15  # of very few rows
    prune_target: PruneTarget = _PRUNE

    def stratum(self, recording: Recording) -> str:
        """Return set and age: falls, and who falls, hang on both."""
        return f"{recording.dataset} {age_group(recording)}"

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """Return the augmented impacts of all recordings (`models.networks.fall_examples`)."""
        return fall_examples(recordings, seed)

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
        share = 1.0 / (len(CLIPS_G) * COPIES)
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
        predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],  # noqa: ARG002
        recordings: Sequence[Recording],
    ) -> dict[str, Any]:
        """
        Return ``threshold``, ``threshold_2g`` (a device of ±2 g) and ``most_movement_g``.

        The network is sure of falls that it was trained on, so the thresholds come from folds inside the training
        subjects. Weakly labelled falls have no say: they would drag the threshold down until every clap is a fall.
        """
        trusted = [r for r in recordings if is_fall(r) and not weak(r)]
        rest = [movement_after(p.near_g[p.fall == 1]) for p in (impacts_of(r, LIMIT_G) for r in trusted)]
        movement = {"most_movement_g": round(1.25 * float(np.concatenate(rest).max()), 3)} if rest else {}
        subjects = {r.subject for r in trusted}
        if len(trusted) < _FEW or len(subjects) < _INNER_FOLDS:
            return {"threshold": _UNFITTED, "threshold_2g": _UNFITTED, "fitted_on": "too few falls", **movement}
        found = self._unseen(recordings, trusted)
        narrow, wide = (float(np.clip(np.quantile(found[c], _QUANTILE), _LOWEST, _HIGHEST)) for c in CLIPS_G)
        return {
            "threshold": round(wide, 4),
            "threshold_2g": round(narrow, 4),
            "fitted_on": f"{len(found[LIMIT_G])} falls in {_INNER_FOLDS} folds inside the training subjects",
            **movement,
        }

    def pictures(self, per_recording: Rows, folder: Path) -> list[Path]:
        """Draw ROC, timeline and false alarms by activity of what the folds in `folder` said."""
        cards = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob(f"fold_*/{CARD_FILE}"))]
        thresholds = [float(card["config"]["threshold"]) for card in cards] or [_UNFITTED]
        return draw_falls(per_recording, load(self, data_root()), float(np.mean(thresholds)), folder)

    def _unseen(self, recordings: Sequence[Recording], trusted: Sequence[Recording]) -> dict[float, list[float]]:
        """Return, by range, what networks of the shipped size say of the falls of people they were not trained on."""
        examples = self.examples(recordings, seed=0)
        found: dict[float, list[float]] = {clip: [] for clip in CLIPS_G}
        width = 1 - _PRUNE.channels_removed
        masks = subject_folds([r.subject for r in recordings], _INNER_FOLDS, 0, [self.stratum(r) for r in recordings])
        for k, (train, _) in enumerate(masks):
            inside = sorted({r.subject for r, use in zip(recordings, train, strict=True) if use})
            model = self.build(seed=k, width=width)
            self.fit(model, examples.take(np.isin(examples.subject, inside)), epochs=self.epochs, seed=k)
            for clip, answers in found.items():
                parts = [impacts_of(r, clip) for r in trusted if r.subject not in inside]
                near = np.concatenate([p.near_g[p.fall == 1] for p in parts if p.fall.size])
                answers.extend(model.predict(view(near), batch_size=2048, verbose=0)[:, 0].tolist())
        return found


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

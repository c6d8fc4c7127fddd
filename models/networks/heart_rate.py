"""The heart-rate network: convolutions along the BPM axis, one score a bin; and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.training.pulse_variants import drawn, faster, motion_over_pulse, other_pulse, without_pulse
from models.training.pulse_visibility import unsure, visibility
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.heart_rate import DEFAULTS, TASK, soft_target
from pipelines.heart_rate_scores import reference_bpm
from pipelines.pulse_features import ACC_NAMES, BPM, N_BINS, N_PPG_PLANES, PLANES, PPG_NAMES
from pipelines.task import Task

_BATCH = 64
_LEARNING_RATE = 3e-3
_NOISE = 0.03  # on the planes: an eighth of an octave
_DROP = 0.08  # share of rows shown without the accelerometer, and share without the long window
_DRAWN = 120  # synthetic recordings of four minutes
_CLEAN = (PLANES.index("clean"), PLANES.index("clean x2"))
_LONG = (PLANES.index("long clean"), PLANES.index("long clean x2"))
_PLAIN = (PLANES.index("ppg"), PLANES.index("ppg x2"))
# How far the reference leads the PPG, in seconds; used only to take a known pulse out of its recording.
_LEAD_S = {"bami-1": 2.0}
# Total weight of each kind of row; within one, each recording counts by its windows.
_KIND_WEIGHT = {"real": 1.0, "single": 0.6, "faster": 0.6, "other pulse": 0.8, "over": 0.8, "drawn": 1.0, "none": 0.5}


class HeartRateRecipe:
    """See `models.training.recipe.Recipe`."""

    task: Task = TASK
    # In `wrist`, and in SPC's arm exercise, the pulse is hardly to be seen in half of the windows: taught the reference
    # there, the network guesses where it should doubt, and errs twice as much on other people's arm exercise. Taught
    # "any rate" in those windows (`pulse_visibility`), it profits from both.
    datasets: tuple[str, ...] = ("wrist", "spc2015", "bami-1")
    open_datasets: tuple[str, ...] = ("wrist",)
    export_mode: Literal["float32", "float16", "int8", "weight_int8"] = "int8"
    sequence = False
    epochs = 3
    quick_epochs = 1
    prune_target = PruneTarget(channels_removed=0.5, weights_zeroed=0.3, recover_epochs=2)

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """Return the windows of the recordings, their variants and drawn ones; a variant keeps its subject."""
        parts: list[tuple[Recording, str]] = []
        for k, recording in enumerate(recordings):
            parts += list(_variants(recording, np.random.default_rng([seed, k])))
        # Few recordings need few drawn ones: a quick run stays quick.
        n_drawn = min(_DRAWN, 2 * len(recordings) + 4)
        parts += [(drawn(1000 * seed + k), "drawn") for k in range(n_drawn)]
        return _rows(parts)

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        """Return the untrained network: four convolutions of 32 channels by 9 bins, 32 k parameters."""
        import tf_keras
        from tf_keras import layers

        tf_keras.utils.set_random_seed(seed)
        spectra = layers.Input((1, N_BINS, len(PLANES)), name="spectra")
        x = spectra
        for k in range(4):
            x = layers.Conv2D(
                max(4, round(32 * width)), (1, 9), padding="same", use_bias=False, name=f"conv_{k}"
            )(x)  # fmt: skip
            x = layers.BatchNormalization(name=f"norm_{k}")(x)
            x = layers.ReLU(name=f"relu_{k}")(x)
        x = layers.Conv2D(1, (1, 5), padding="same", name="score")(x)
        return tf_keras.Model(spectra, layers.Reshape((N_BINS,), name="logits")(x), name="heart_rate")

    def fit(
        self, model: KerasModel, examples: Examples, *, epochs: int, seed: int, teacher: KerasModel | None = None,
        callbacks: Sequence[Any] = (), progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Train in place on rows drawn by weight and disturbed; half from the teacher where there is one."""
        import tf_keras

        rate = _LEARNING_RATE if teacher is None else _LEARNING_RATE / 2
        # Rows are drawn by weight, so an epoch is as many batches as there are rows for, not each row once.
        steps = max(1, len(examples) // _BATCH)
        schedule = tf_keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
        loss = tf_keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile(tf_keras.optimizers.Adam(schedule), loss)
        told = [] if progress is None else [
            tf_keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: progress((epoch + 1) / epochs, f"loss {logs['loss']:.3f}")
            )
        ]  # fmt: skip
        model.fit(
            _batches(examples, seed, teacher), epochs=epochs, steps_per_epoch=steps, verbose=0,
            callbacks=[*callbacks, *told],
        )  # fmt: skip

    def configure(
        self,
        predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],  # noqa: ARG002
        recordings: Sequence[Recording],  # noqa: ARG002
    ) -> dict[str, Any]:
        """
        Return the width of the 90 % interval and the gate that the folds of `benchmarks.heart_rate` found.

        Not fitted on `recordings`: these were trained on, so errors on them are smaller than on anybody else.
        """
        return dict(DEFAULTS)

    def pictures(self, per_recording: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Draw what the folds said of their recordings, by activity; see `models.heart_rate_pictures`."""
        from models.heart_rate_pictures import Shown, draw

        shown = [
            Shown(r["id"], r["activity"] or "all", [r["activity"] or "all"] * len(r["windows"]), np.array(r["windows"]))
            for r in per_recording if r["windows"]
        ]  # fmt: skip
        return draw(shown, folder)


def _variants(recording: Recording, rng: np.random.Generator) -> Iterator[tuple[Recording, str]]:
    """Yield the recording and its variants, each with the kind that weighs it."""
    grid = TASK.window.count(min(c.end_s for n, c in recording.channels.items() if n in (*PPG_NAMES, *ACC_NAMES)))
    ends: NDArray[np.float64] = np.arange(grid, dtype=np.float64) * TASK.window.step_s + TASK.window.length_s
    bpm = reference_bpm(recording, ends)
    if not np.isfinite(bpm).any():
        return
    yield recording, "real"
    lights = [n for n in PPG_NAMES if n in recording.channels]
    if len(lights) > 1:
        yield recording.select([str(rng.choice(lights)), *ACC_NAMES]), "single"
    if not all(n in recording.channels for n in ACC_NAMES):
        return
    # A short recording gives more variants: they cost by the second.
    for _ in range(1 if recording.end_s > 500 else 2):
        yield faster(recording, bpm, rng), "faster"
        yield other_pulse(recording, bpm, _LEAD_S.get(recording.dataset, 0.0), rng), "other pulse"
    yield motion_over_pulse(recording, rng), "over"
    yield without_pulse(recording, bpm, _LEAD_S.get(recording.dataset, 0.0), rng), "none"


def _as_one_channel(recording: Recording) -> Recording:
    """Rename a lone ``ppg_2`` or ``ppg_3`` to ``ppg``, as a device with one channel calls it."""
    lone = next((n for n in PPG_NAMES[1:] if n in recording.channels and "ppg" not in recording.channels), None)
    if lone is None:
        return recording
    from dataclasses import replace

    channels = {("ppg" if n == lone else n): replace(c, name="ppg" if n == lone else n)
                for n, c in recording.channels.items()}  # fmt: skip
    return replace(recording, channels=channels)


def _rows(parts: Sequence[tuple[Recording, str]]) -> Examples:
    planes, targets, weights, subjects, names = [], [], [], [], []
    for recording, kind in parts:
        windows = TASK.prepare(_as_one_channel(recording))
        bpm = reference_bpm(recording, windows.end_s)
        target = soft_target(bpm)
        good = (np.isfinite(target[:, 0]) | (kind == "none")) & (windows.quality > 0)
        own = windows.inputs["spectra"][good]
        planes.append(own)
        targets.append(unsure(target[good], visibility(own, np.nan_to_num(bpm[good], nan=BPM[0]))))
        group = f"{kind}/{recording.dataset}"
        weights.append(np.full(int(good.sum()), group))
        subjects.append(np.full(int(good.sum()), recording.subject))
        names.append(np.full(int(good.sum()), recording.id))
    return Examples(
        {"spectra": np.concatenate(planes)}, {"logits": np.concatenate(targets)}, _weights(np.concatenate(weights)),
        np.concatenate(subjects), np.concatenate(names),
    )  # fmt: skip


def _weights(groups: NDArray[np.str_]) -> NDArray[np.float32]:
    """Each kind of each data set weighs alike in all, however long its recordings are."""
    out = np.zeros(groups.size, np.float32)
    for group in np.unique(groups):
        mine = groups == group
        out[mine] = _KIND_WEIGHT[str(group).split("/")[0]] / mine.sum()
    return out * np.float32(groups.size / out.sum())


def _batches(
    examples: Examples, seed: int, teacher: KerasModel | None
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    rng = np.random.default_rng(seed)
    share = np.cumsum(examples.weight, dtype=np.float64)
    share /= share[-1]
    while True:
        rows = np.minimum(np.searchsorted(share, rng.random(_BATCH)), len(examples) - 1)
        x = disturbed(examples.inputs["spectra"][rows], rng)
        y = examples.targets["logits"][rows]
        if teacher is not None:
            logits = np.asarray(teacher(x, training=False))
            soft = np.exp(logits - logits.max(axis=1, keepdims=True))
            y = (y + soft / soft.sum(axis=1, keepdims=True)) / 2
        yield x, y


def disturbed(planes: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return planes with noise, some as a device without an accelerometer or without a long history has them."""
    out = planes.astype(np.float32)
    bare = rng.random(len(out)) < _DROP
    out[bare, ..., N_PPG_PLANES:] = 0.0
    for clean, plain in zip(_CLEAN, _PLAIN, strict=True):
        out[bare, ..., clean] = out[bare, ..., plain]
    young = rng.random(len(out)) < _DROP
    for long, clean in zip(_LONG, _CLEAN, strict=True):
        out[young, ..., long] = out[young, ..., clean]
    return np.asarray(out + rng.normal(0, _NOISE, out.shape), np.float32)


class SmallHeartRateRecipe(HeartRateRecipe):
    """The same network cut to 5 channels of 32: below 4 KB."""

    name = "heart-rate-small"
    prune_target = PruneTarget(channels_removed=0.84375, recover_epochs=4)


RECIPE = HeartRateRecipe()
SMALL = SmallHeartRateRecipe()

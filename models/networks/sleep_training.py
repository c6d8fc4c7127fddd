"""Training of sleep networks: several at once, on crops of nights, much disturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.recipe import Examples, KerasModel, Progress
from models.training.sequences import is_masked, readers
from pipelines.sleep.features import NAMES
from pipelines.sleep_staging import BACKWARD, FORWARD, INPUT, NIGHT, OUTPUT

Array = NDArray[np.float32]
LENGTH = 240  # epochs of a crop: 2 h
STEPS_PER_EPOCH = 20
_BATCH = 8  # crops of a step
_RATE = 3e-3
_SMOOTHING, _DECAY = 0.1, 1e-4
_DROPOUT = (0.15, 0.3)
# Wake is rare; deep sleep is rare too, but what looks like it is often light.
_CLASS_WEIGHT = np.array([1.5, 0.85, 0.95, 1.25], np.float32)
_CAUSAL_SHARE = 0.5
_AS_IT_WAS = 0.3  # share of crops from nights that were not disturbed
_PACE = 0.1  # spread of the factor by which a crop is stretched in time
_NOISE, _OFFSET, _LEFT_OUT = 0.1, 0.15, 0.1  # on each value, on each feature of a crop; share of features left out
_HEART = np.array([n[:2] in {"ha", "hd", "hl", "hz", "h5", "hq", "df", "sd", "bp", "hx", "hn", "hc", "hr", "hv", "dc",
                             "dr"} for n in NAMES])  # fmt: skip
_FREE = np.array([n in {"t", "t1", "nohr", "nomo"} for n in NAMES])  # of neither sensor


@dataclass(frozen=True)
class Learner:
    """A network, the rows of the examples that it may see, and who teaches it."""

    model: KerasModel
    rows: NDArray[np.intp]
    teacher: KerasModel | None = None


def train_side_by_side(
    learners: Sequence[Learner], examples: Examples, *, epochs: int, seed: int, callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """
    Train networks in place, each from its own rows; they share nothing but the pass through the graph.

    Parameters
    ----------
    learners : sequence of Learner
        Of the same structure; either all are taught or none.
    """
    import tensorflow as tf
    import tf_keras

    rng = np.random.default_rng(seed)
    tf.random.set_seed(seed)
    optimizer = tf_keras.optimizers.Adam(_RATE)
    step = _step(learners, examples, optimizer)
    for callback in callbacks:
        callback.set_model(learners[0].model)
    total = epochs * STEPS_PER_EPOCH
    for k in range(total):
        for callback in callbacks:
            callback.on_train_batch_begin(k)
        optimizer.learning_rate.assign(_RATE * min(1.0, (k + 1) / 20) * (0.5 + 0.5 * np.cos(np.pi * k / total)) + 1e-5)
        step(*(tf.constant(a) for a in _crops(learners, examples, rng)))
        for callback in callbacks:
            callback.on_train_batch_end(k)
        if progress and (k + 1) % STEPS_PER_EPOCH == 0:
            progress((k + 1) / total, f"epoch {(k + 1) // STEPS_PER_EPOCH} of {epochs}")


def _step(learners: Sequence[Learner], examples: Examples, optimizer: Any) -> Callable[..., Any]:
    """Return one training step over all learners, as a compiled function of what `_crops` gives."""
    import tensorflow as tf

    models = [learner.model for learner in learners]
    teachers = [learner.teacher for learner in learners if learner.teacher is not None]
    variables = [model.trainable_variables for model in models]
    live, night = (tf.constant(examples.inputs[name]) for name in (INPUT, NIGHT))
    wanted, weight = (tf.constant(a) for a in _wanted(examples.targets[OUTPUT]))

    def loss_of(said: Sequence[Any], wanted: Sequence[Any], weight: Any) -> Any:
        both, causal = (
            tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(w, s) * weight, (1, 2))
            / (tf.reduce_sum(weight, (1, 2)) + 1e-6)
            for w, s in zip(wanted, said, strict=True)
        )
        return tf.reduce_sum(both + _CAUSAL_SHARE * causal)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(at: Any, inside: Any, offset: Any, keep: Any) -> Any:
        for model in models:
            if is_masked(model):
                model([tf.zeros((1, *tensor.shape[1:])) for tensor in model.inputs], training=True)
        noise = tf.random.normal((*at.shape[:3], len(NAMES)), 0.0, _NOISE) + offset
        given = _given(*((tf.gather_nd(x, at) + noise) * keep * inside[..., None] for x in (live, night)))
        weights, stages = tf.gather_nd(weight, at) * inside, tf.gather_nd(wanted, at)
        soft = [tf.nn.softmax(a) for a in _verdicts(readers(teachers, given))] if teachers else []
        with tf.GradientTape() as tape:
            said = _verdicts(readers(models, given, dropout=_DROPOUT))
            loss = loss_of(said, [stages, stages], weights)
            if soft:
                loss += loss_of(said, soft, weights)
            kernels = [v for own in variables for v in own if "kernel" in v.name]
            loss += _DECAY * tf.add_n([tf.reduce_sum(v * v) for v in kernels])
        gradients = [tf.clip_by_global_norm(g, 1.0)[0] for g in tape.gradient(loss, variables)]
        optimizer.apply_gradients(
            list(zip(chain.from_iterable(gradients), chain.from_iterable(variables), strict=True))
        )
        return loss

    taken: Callable[..., Any] = step
    return taken


def _given(live: Any, night: Any) -> dict[str, Any]:
    """Return what each reader reads: the live one the night as it came, the others the finished night."""
    return {OUTPUT: live, FORWARD: night, BACKWARD: night[:, :, ::-1]}


def _verdicts(said: dict[str, Any]) -> list[Any]:
    """Return logits in the order of time: of the finished night, and as it went on."""
    return [said[FORWARD] + said[BACKWARD][:, :, ::-1], said[OUTPUT]]


def _wanted(stages: Array) -> tuple[Array, Array]:
    """Return smoothed shares of stages, shape (n, steps, 4), and the weight of each epoch, 0 where unknown."""
    known, code = np.isfinite(stages), np.nan_to_num(stages).astype(int)
    shares = np.eye(4, dtype=np.float32)[code] * (1 - _SMOOTHING) + _SMOOTHING / 4
    return shares.astype(np.float32), (known * _CLASS_WEIGHT[code]).astype(np.float32)


def _crops(
    learners: Sequence[Learner], examples: Examples, rng: np.random.Generator
) -> tuple[NDArray[np.int32], Array, Array, Array]:
    """
    Return a batch of crops for each learner: where they lie, and how their features are disturbed.

    (row, epoch) of each step, shape (m, batch, steps, 2); 1 where the step is inside the night; offsets of features
    and which are kept, shape (m, batch, 1, n_features): one crop of a batch is without heart rate, one without motion.
    """
    shape = (len(learners), _BATCH)
    at, inside = np.zeros((*shape, LENGTH, 2), np.int32), np.zeros((*shape, LENGTH), np.float32)
    for m, learner in enumerate(learners):
        # The undisturbed version of each night comes first.
        plain = learner.rows[: len(np.unique(examples.recording[learner.rows]))]
        for b in range(_BATCH):
            row = int(rng.choice(plain if rng.random() < _AS_IT_WAS else learner.rows))
            n, pace, edge = int(examples.weight[row]), np.exp(rng.normal(0, _PACE)), rng.random()
            span = int(min(LENGTH * pace, n))
            start = 0 if edge < 0.2 else n - span if edge < 0.35 else int(rng.integers(0, n - span + 1))
            steps = np.clip(np.round(np.arange(start, start + span, pace)).astype(int), 0, n - 1)[:LENGTH]
            at[m, b, :, 0], at[m, b, : steps.size, 1], inside[m, b, : steps.size] = row, steps, 1.0
    offset = rng.normal(0, _OFFSET, (*shape, 1, len(NAMES))).astype(np.float32)
    keep = (rng.random((*shape, 1, len(NAMES))) > _LEFT_OUT).astype(np.float32)
    for b, (gone, mark) in enumerate(((_HEART, "nohr"), (~_HEART & ~_FREE, "nomo"))):
        keep[:, b, :, gone] = offset[:, b, :, gone] = 0.0
        keep[:, b, :, NAMES.index(mark)] = offset[:, b, :, NAMES.index(mark)] = 1.0
    return at, inside, offset, keep

"""Getting back what a cut cost: batch-norm recalibration, fine-tuning, distillation from the dense parent."""

from collections.abc import Callable
from typing import Any

import numpy as np

from models.pruning.calibration import Calibration
from models.pruning.errors import CalibrationError
from models.pruning.graph import trace
from models.pruning.surgery import copy_exposing

_SETTLED = 2048  # rows from which batch norms take their statistics after training


def copied(model: Any) -> Any:
    """Return a copy of a model with the same weights."""
    return copy_exposing(trace(model))


def recalibrate(model: Any, data: Calibration) -> Any:
    """
    Return a copy whose batch norms hold the statistics of the calibration data.

    A cut changes what reaches a batch norm; its stored mean and variance then describe a network that is gone.
    Mean and variance are averaged over batches. Without a batch norm the copy is unchanged. Needs no targets.
    """
    copy = copied(model)
    settle_norms(copy, data)
    return copy


def settle_norms(model: Any, data: Calibration) -> None:
    """As `recalibrate`, on a model of your own in place."""
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    if not norms:
        return
    momentum = [layer.momentum for layer in norms]
    rows = data.rows_for(model)
    sums: list[list[Any]] = [[0.0, 0.0] for _ in norms]
    starts = range(0, len(data), data.batch)
    for layer in norms:
        layer.momentum = 0.0
    for start in starts:
        part = [r[start : start + data.batch] for r in rows]
        model(part if len(part) > 1 else part[0], training=True)
        for total, layer in zip(sums, norms, strict=True):
            share = len(part[0]) / len(data)
            total[0] = total[0] + share * layer.moving_mean.numpy()
            total[1] = total[1] + share * layer.moving_variance.numpy()
    for layer, old, (mean, variance) in zip(norms, momentum, sums, strict=True):
        layer.momentum = old
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


def fine_tuned(
    model: Any,
    data: Calibration,
    *,
    epochs: int = 5,
    rate: float = 1e-3,
    teacher: Any = None,
    teacher_share: float = 0.5,
    seed: int = 0,
    callbacks: tuple[Any, ...] = (),
) -> Any:
    """
    Return a copy trained on the calibration data, from a teacher's answers too where one is given.

    Parameters
    ----------
    model : tf_keras.Model
        Not changed.
    data : Calibration
        With targets, unless `teacher` and ``teacher_share=1``.
    epochs : int, default=5
    rate : float, default=1e-3
        Adam's, falling to a twentieth along a cosine.
    teacher : tf_keras.Model, optional
        The dense parent; its outputs on the same rows are the second target.
    teacher_share : float in [0, 1], default=0.5
        Weight of the teacher's answers in the loss.
    seed : int
        Of the order of rows and of dropout.

    Raises
    ------
    CalibrationError
        If the loss becomes NaN.

    References
    ----------
    .. [1] Hinton et al., Distilling the Knowledge in a Neural Network, arXiv:1503.02531. Departure: temperature 1,
       and the task's own loss towards the teacher, so that it serves regression as well.
    """
    copy = copied(model)
    train(
        copy,
        data,
        epochs=epochs,
        rate=rate,
        teacher=teacher,
        teacher_share=teacher_share,
        seed=seed,
        callbacks=callbacks,
    )
    return copy


def train(
    model: Any,
    data: Calibration,
    *,
    epochs: int,
    rate: float = 1e-3,
    teacher: Any = None,
    teacher_share: float = 0.5,
    seed: int = 0,
    callbacks: tuple[Any, ...] = (),
) -> None:
    """
    Train a model of your own in place; parameters as for `fine_tuned`.

    Its batch norms end with the statistics of the data: at Keras' own momentum of 0.99 they would lag hundreds of
    steps behind, and a short recovery would seem to harm.
    """
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    rows = data.rows_for(model)
    targets = _mixed_targets(data, model, rows, teacher, teacher_share)
    steps = max(1, epochs * -(-len(data) // data.batch))
    optimizer = tf_keras.optimizers.Adam(tf_keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.05))
    model.compile(optimizer, data.loss)
    history = model.fit(rows, targets, batch_size=data.batch, epochs=epochs, verbose=0, callbacks=list(callbacks))
    if not all(np.isfinite(history.history["loss"])):
        raise CalibrationError(f"fine-tuning {model.name!r} diverged (loss is NaN); use a lower rate= than {rate:g}")
    settle_norms(model, data.take(_SETTLED))


def _mixed_targets(data: Calibration, model: Any, rows: list[Any], teacher: Any, share: float) -> list[Any]:
    """
    Blend targets with the teacher's answers.

    For losses that are affine in the target (cross-entropy) or quadratic (mse), the blend of targets has the
    gradient of the blend of losses; for others it is the departure taken for simplicity.
    """
    import tensorflow as tf

    whole = Calibration(rows, data.targets, batch=len(data))
    true = next(y for _, y in whole.batches(model)) if share < 1 else []
    if teacher is None:
        return true
    taught = [np.asarray(t) for t in tf.nest.flatten(teacher.predict(rows if len(rows) > 1 else rows[0], verbose=0))]
    if share == 1 or not true:
        return taught
    return [_blend(y, t, share) for y, t in zip(true, taught, strict=True)]


def _blend(target: Any, taught: Any, share: float) -> Any:
    """Mix a target with the teacher's; integer classes become one-hot rows only if the shapes already agree."""
    if target.shape != taught.shape:
        raise CalibrationError(
            f"targets of shape {target.shape} cannot be blended with the teacher's answers {taught.shape}; "
            "give one-hot targets, or teacher_share=1"
        )
    return ((1 - share) * target + share * taught).astype(np.float32)


def recovery(
    data: Calibration, *, epochs: int = 5, rate: float = 1e-3, teacher_share: float = 0.5, seed: int = 0
) -> Callable[[Any, Any], None]:
    """Return a `fine_tune` callable (model, teacher) for `prune_to`: distillation from the dense parent, in place."""

    def tune(model: Any, teacher: Any) -> None:
        train(model, data, epochs=epochs, rate=rate, teacher=teacher, teacher_share=teacher_share, seed=seed)

    return tune

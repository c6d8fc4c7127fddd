"""Pruning while training: masks that follow a schedule, iterative steps, and a stop that takes the last one back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from models.pruning.calibration import Calibration
from models.pruning.errors import PruningError
from models.pruning.graph import trace
from models.pruning.importance import L2Norm
from models.pruning.plan import PruningPlan
from models.pruning.planner import Importance, plan_pruning
from models.pruning.schedule import Constant, Polynomial, Schedule
from models.pruning.surgery import apply_plan, copy_exposing
from models.pruning.weights import Masks, Method, plan_masks, zero_weights

Train = Callable[[Any, list[Any]], None]  # (model, callbacks): trains the model in place
Recover = Callable[[Any], None]  # trains the model in place
Measure = Callable[[Any], float]  # loss, lower is better


def mask_callback(
    schedule: Schedule,
    *,
    method: Method = "magnitude",
    data: Calibration | None = None,
    scope: Literal["local", "global"] = "global",
    exclude: Sequence[str] = (),
    seed: int = 0,
) -> Any:
    """
    Return a Keras callback that zeroes weights by a schedule and keeps them there after every batch.

    Unlike TF-MOT's wrappers it serves every layer with a kernel (Bidirectional, DepthwiseConv1D, TimeDistributed),
    gradient scores, and global ranking. The last masks are in its attribute ``masks``.
    """
    import tf_keras

    class KeepMasks(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.step, self.masks = 0, Masks({})

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if schedule.due(self.step) and schedule.rate(self.step) > 0:
                self.masks = plan_masks(
                    self.model, sparsity=schedule.rate(self.step), method=method, data=data, scope=scope,
                    exclude=exclude, seed=seed,
                )  # fmt: skip
                zero_weights(self.model, self.masks)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.step += 1
            zero_weights(self.model, self.masks)

    return KeepMasks()


def train_sparse(model: Any, schedule: Schedule, train: Train, **options: Any) -> tuple[Any, Masks]:
    """
    Return a copy of a model trained under a schedule, and its masks. `options` as for `mask_callback`.

    Parameters
    ----------
    model : tf_keras.Model
        Not changed.
    schedule : Schedule
    train : callable (model, callbacks) -> None
        Compiles and fits the given model, with the callbacks given.
    """
    copy = copy_exposing(trace(model))
    callback = mask_callback(schedule, **options)
    train(copy, [callback])
    if callback.masks.sparsity < schedule.final - 0.01:
        raise PruningError(
            f"training ended after {callback.step} steps at {callback.masks.sparsity:.0%} zeros, before the schedule "
            f"reached {schedule.final:.0%}; train longer or let the schedule end earlier"
        )
    return copy, callback.masks


def train_sparse_tfmot(model: Any, schedule: Schedule, train: Train) -> Any:
    """
    Return a copy trained sparse through TF-MOT's own wrappers (local magnitude), stripped of them.

    Raises
    ------
    PruningError
        If TF-MOT refuses a layer (Bidirectional, TimeDistributed, DepthwiseConv1D): use `train_sparse`.
    """
    from tensorflow_model_optimization.python.core.sparsity.keras import (
        prune,
        pruning_callbacks,
        pruning_schedule,
    )

    if isinstance(schedule, Polynomial):
        theirs = pruning_schedule.PolynomialDecay(
            schedule.initial, schedule.final, schedule.begin, schedule.end, schedule.power, schedule.frequency
        )
    else:
        frequency = schedule.frequency if isinstance(schedule, Constant) else 1
        begin = schedule.begin if isinstance(schedule, Constant) else 0
        theirs = pruning_schedule.ConstantSparsity(schedule.final, begin, frequency=frequency)
    copy = copy_exposing(trace(model))
    try:
        wrapped = prune.prune_low_magnitude(copy, pruning_schedule=theirs)
    except ValueError as error:
        raise PruningError(f"TF-MOT cannot wrap model {model.name!r}: {error}; use train_sparse instead") from error
    train(wrapped, [pruning_callbacks.UpdatePruningStep()])
    return prune.strip_pruning(wrapped)


@dataclass(frozen=True)
class Step:
    """One step of iterative pruning: the rate reached, the loss right after the cut and after recovery."""

    rate: float
    loss_cut: float
    loss: float
    parameters: int
    kept: bool


@dataclass(frozen=True)
class Iterated:
    """The model of the last step that was kept, the plan that leads there from the dense one, all steps, the end."""

    model: Any
    plan: PruningPlan
    steps: tuple[Step, ...] = field(default_factory=tuple)
    ended: str = "all steps done"


def prune_iteratively(
    model: Any,
    rates: Sequence[float],
    *,
    recover: Recover,
    measure: Measure,
    importance: Importance | None = None,
    tolerance: float = 0.05,
    scope: Literal["local", "global"] = "global",
    round_to: int | None = None,
) -> Iterated:
    """
    Remove channels step by step with recovery between, and take back the step that did not recover.

    Parameters
    ----------
    model : tf_keras.Model
        Not changed.
    rates : sequence of float, ascending
        Share of the original units gone after each step (see `schedule.staircase`).
    recover : callable (model) -> None
        Trains the cut model in place.
    measure : callable (model) -> float
        The training (or validation) loss, lower is better.
    importance : callable, default=L2Norm()
        An importance, used at every step.
    tolerance : float
        Relative rise of the loss over the dense model's at which a step is taken back and pruning stops.
    """
    base = measure(model)
    limit = base + tolerance * abs(base)
    score = L2Norm() if importance is None else importance
    current, steps, before = model, [], 0.0
    keep = {group.name: list(range(len(group))) for group in trace(model).groups}
    whole = {name: list(units) for name, units in keep.items()}
    for rate in rates:
        share = 1 - (1 - rate) / (1 - before)
        plan = plan_pruning(current, score, ratio=share, scope=scope, round_to=round_to)
        cut = apply_plan(current, plan)
        loss_cut = measure(cut)
        recover(cut)
        loss = measure(cut)
        kept = bool(np.isfinite(loss) and loss <= limit)
        steps.append(Step(rate, loss_cut, loss, cut.count_params(), kept))
        if not kept:
            why = f"loss {loss:.4g} had not come back to {limit:.4g} at rate {rate:.0%}; that step was taken back"
            return Iterated(current, _plan_of(model, whole, keep), tuple(steps), why)
        current, before = cut, rate
        for one in plan.cuts:
            gone = set(one.remove)
            keep[one.group] = [unit for place, unit in enumerate(keep[one.group]) if place not in gone]
    return Iterated(current, _plan_of(model, whole, keep), tuple(steps))


def _plan_of(model: Any, whole: dict[str, list[int]], keep: dict[str, list[int]]) -> PruningPlan:
    """Return the plan from the dense model to what all steps together kept."""
    return plan_pruning(model, keep={name: units for name, units in keep.items() if units != whole[name]})

"""Every way to prune, by the name that the command line takes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from models.pruning.calibration import Calibration
from models.pruning.errors import PruningError, TargetError
from models.pruning.importance import IMPORTANCES, importance_named
from models.pruning.plan import PruningPlan
from models.pruning.planner import Scope, plan_pruning
from models.pruning.ranking import plan_layers, rank_paths
from models.pruning.schedule import Constant, OneShot, Polynomial, staircase
from models.pruning.structure import StructurePlan, apply_structure, plan_structure
from models.pruning.surgery import apply_plan
from models.pruning.training import prune_iteratively, train_sparse
from models.pruning.weights import METHODS, Masks, plan_masks

ScheduleName = Literal["one-shot", "constant", "polynomial", "iterative"]
Train = Callable[[Any, list[Any], Any], None]  # (model, callbacks, teacher): trains in place

WEIGHTS = {f"weights-{'threshold' if m == 'magnitude' else m}": m for m in METHODS}
PARTS = ("layers", "paths", "sensors")
BINARY = "binary"  # weights are not removed but left with a sign each, by BinaryConnect
NAMES: tuple[str, ...] = (*IMPORTANCES, *WEIGHTS, *PARTS, BINARY)
_ITERATIONS = 3


@dataclass(frozen=True)
class MaskPlan:
    """What a weight-pruning run did: zeros by kernel (for `binary`: the kernels that hold two values)."""

    method: str
    schedule: str
    zeros: dict[str, float]

    def to_json(self) -> str:
        """Return it as indented JSON."""
        return json.dumps({"method": self.method, "schedule": self.schedule, "zeros": self.zeros}, indent=1)


AnyPlan = PruningPlan | StructurePlan | MaskPlan


@dataclass(frozen=True)
class Way:
    """
    How to prune.

    Attributes
    ----------
    method : str
        One of `NAMES`: an importance (units go), ``weights-...`` (weights go), ``layers``, ``paths``, ``sensors``,
        ``binary``.
    target : float
        Share of units or weights; number of layers or paths.
    schedule : str
    scope : {"local", "global"}
    keep : tuple of str
        For ``sensors``: the inputs that stay.
    steps : int
        Training steps of recovery, for schedules that need to know when it ends.
    tolerance : float
        For the iterative schedule: share of the dense loss by which it may rise before a step is taken back.
    threshold : float, optional
        For ``weights-threshold``: weights below it go, instead of a share.
    """

    method: str
    target: float = 0.5
    schedule: ScheduleName = "one-shot"
    scope: Scope = "global"
    keep: tuple[str, ...] = ()
    steps: int = 1
    seed: int = 0
    tolerance: float = 0.05
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and self.method != "weights-threshold":
            raise PruningError(f"a threshold is for method 'weights-threshold', not for {self.method!r}")


def prune_by(
    model: Any, way: Way, data: Calibration, train: Train, measure: Callable[[Any], float]
) -> tuple[Any, AnyPlan]:
    """
    Prune a model one way, recover it, and say what was done.

    Parameters
    ----------
    model : tf_keras.Model
        Not changed.
    way : Way
    data : Calibration
        For gradients, activations and the cost of parts.
    train : callable (model, callbacks, teacher) -> None
    measure : callable (model) -> float
        Loss, for the stop of the iterative schedule.

    Raises
    ------
    PruningError
        If there is no such method, or it does not go with the schedule.
    """
    if way.method not in NAMES:
        raise PruningError(f"no method is named {way.method!r}; there are {', '.join(NAMES)}")
    if way.method in WEIGHTS:
        return _weights(model, way, data, train)
    if way.method == BINARY:
        return _binary(model, train)
    if way.schedule in ("constant", "polynomial"):
        raise PruningError(
            f"schedule {way.schedule!r} is for single weights (weights-...); {way.method!r} goes one-shot or iterative"
        )
    if way.method in PARTS:
        plan = _parts(model, way, data)
        small = apply_structure(model, plan, data)
        train(small, [], None if plan.inputs else model)  # the parent cannot teach from inputs that are gone
        return small, plan
    return _units(model, way, data, train, measure)


def _units(
    model: Any, way: Way, data: Calibration, train: Train, measure: Callable[[Any], float]
) -> tuple[Any, AnyPlan]:
    importance = importance_named(way.method, data, way.seed)
    plan = plan_pruning(model, importance, ratio=way.target, scope=way.scope)
    if way.schedule == "one-shot":
        small = apply_plan(model, plan)
        train(small, [], model)
        return small, plan
    done = prune_iteratively(
        model,
        staircase(way.target, _ITERATIONS),
        recover=lambda one: train(one, [], model),
        measure=measure,
        importance=importance,
        scope=way.scope,
        tolerance=way.tolerance,
    )
    if not any(step.kept for step in done.steps):
        raise TargetError(f"{done.ended}: nothing was removed; recover longer, allow more loss, or go one-shot")
    return done.model, done.plan


def _binary(model: Any, train: Train) -> tuple[Any, MaskPlan]:
    """Train all kernels but the first and the last, which hurt most and save least, down to two values each."""
    from models.compress.binary import binary_connect
    from models.compress.clustering import kernels
    from models.pruning.recovery import copied

    copy = copied(model)
    inner = [layer.name for layer in copy.layers if kernels(layer)][1:-1]
    if not inner:
        raise PruningError(f"{model.name!r} has no kernel between its first and its last to make binary")
    callback = binary_connect(copy, inner)
    train(copy, [callback], model)
    callback.on_train_end()  # a training loop of its own may not say that it ended
    return copy, MaskPlan(BINARY, "training", dict.fromkeys(inner, 0.0))


def _weights(model: Any, way: Way, data: Calibration, train: Train) -> tuple[Any, MaskPlan]:
    if way.threshold is not None:  # the share below it, taken over all weights, is the same set of weights
        way = replace(way, target=plan_masks(model, threshold=way.threshold).sparsity, scope="global")
    schedules: dict[str, Any] = {
        "one-shot": lambda: OneShot(way.target),
        "constant": lambda: Constant(way.target, frequency=max(1, way.steps // 10)),
        "polynomial": lambda: Polynomial(way.target, 0, max(1, way.steps // 2), frequency=max(1, way.steps // 16)),
    }
    if way.schedule not in schedules:
        raise PruningError(f"schedule {way.schedule!r} is for units; single weights go {', '.join(schedules)}")
    sparse, masks = train_sparse(
        model,
        schedules[way.schedule](),
        lambda one, callbacks: train(one, callbacks, model),
        method=WEIGHTS[way.method],
        data=data,
        scope=way.scope,
        seed=way.seed,
    )
    return sparse, MaskPlan(way.method, way.schedule, _zeros(masks))


def _zeros(masks: Masks) -> dict[str, float]:
    return {f"{layer}[{i}]": round(1 - float(m.mean()), 4) for (layer, i), m in masks.keep.items()}


def _parts(model: Any, way: Way, data: Calibration) -> StructurePlan:
    if way.method == "sensors":
        gone = [name for name in model.input_names if name not in way.keep]
        unknown = [name for name in way.keep if name not in model.input_names]
        if unknown or not way.keep or not gone:
            raise PruningError(
                f"sensors to keep must be some, not all, of the inputs {list(model.input_names)}, got {list(way.keep)}"
            )
        return plan_structure(model, inputs=gone, why=f"sensors kept: {', '.join(way.keep)}")
    number = round(way.target)
    if number < 1:
        raise PruningError(f"--target for {way.method!r} is how many go, a whole number, but is {way.target:g}")
    if way.method == "layers":
        return plan_layers(model, data, number)
    costs = rank_paths(model, data)
    if len(costs) < number:
        raise PruningError(f"{model.name!r} has {len(costs)} paths that can be cut, not {number}")
    return plan_structure(model, paths=_cheapest(costs, number), why="paths whose loss raised it least")


def _cheapest(costs: list[Any], number: int) -> list[tuple[str, int]]:
    """Return the cheapest paths, no two of the same merge: cutting both would leave nothing to merge."""
    found: dict[str, tuple[str, int]] = {}
    for cost in costs:
        merge, index = cost.plan.paths[0]
        found.setdefault(merge, (merge, index))
    return list(found.values())[:number]

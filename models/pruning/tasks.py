"""Pruning the network of a task: what `wristwise prune TASK` does."""

from pathlib import Path
from typing import Any

from models.export.convert import to_tflite
from models.pruning.cases import Case, task_case
from models.pruning.errors import PruningError
from models.pruning.guard import ClinicalGuard
from models.pruning.importance import importance_named
from models.pruning.planner import plan_pruning
from models.pruning.saved import Request, allowed_rise, front_of, load_model, write_outcome
from models.pruning.surgery import apply_plan
from models.pruning.target import Footprint, Pruned, footprint, prune_to

# A class may be missed this much more often, a third of the range err this share more, before a prune is refused.
_CLASS_MARGIN, _VALUE_MARGIN = 0.03, 0.10


def prune_task(name: str, dense: Path | None, target: float | None, request: Request, out: Path) -> Pruned:
    """
    Train (or load) the dense parent of a task on three quarters of the subjects, prune it, judge it on the others.

    Parameters
    ----------
    name : str
        A task with a network, or a representative network (``cnn``, ``lstm``, ``bilstm``, ``two-branch``).
    dense : Path, optional
        Dense parent saved by `wristwise train`. It has seen all subjects, so that the figures then are no test.
    target : float in (0, 1), optional
        Share of all channels to remove, instead of a size or a loss.
    request : Request
    out : Path
    """
    case = case_named(name)
    if dense is not None:
        model = load_model(dense)
    else:
        model = case.build(request.seed)
        case.fit(model, case.epochs, request.seed, None, ())
    found = prune_case(case, model, target, request)
    guard_for(case, model).check(model, found.model)
    write_outcome(
        found, front_of(found, model, case.error), case.representative(), request.mode, name.replace("-", "_"), out
    )
    return found


def case_named(name: str, **options: Any) -> Case:
    """Return the case of a representative network or of a task."""
    from models.pruning.representatives import REPRESENTATIVES, representative_case

    return representative_case(name) if name in REPRESENTATIVES else task_case(name, **options)


def prune_case(case: Case, model: Any, target: float | None, request: Request) -> Pruned:
    """Prune by a share of channels (`target`), by a given plan, or to a size, latency or loss."""
    importance = importance_named(request.importance, case.data.take(1024), request.seed)

    def tune(one: Any, teacher: Any) -> None:
        case.fit(one, request.epochs, request.seed, teacher, ())

    if target is None and request.plan is None:
        return prune_to(
            model,
            evaluate=case.error,
            max_bytes=request.max_bytes,
            max_latency_us=request.max_latency_us,
            max_arena_bytes=request.max_arena_bytes,
            max_loss_rise=allowed_rise(request.max_loss, case.error(model)),
            fine_tune=tune if request.epochs else None,
            importance=importance,
            mode=request.mode,
            representative=case.representative(),
            round_to=request.round_to,
        )
    plan = request.plan or plan_pruning(model, importance, ratio=target, scope="global", round_to=request.round_to)
    cut = apply_plan(model, plan)
    if request.epochs:
        tune(cut, model)
    tflite = to_tflite(cut, request.mode, case.representative())
    whole = footprint(to_tflite(model, request.mode, case.representative()))
    per_weight = {"float32": 4, "float16": 2}.get(request.mode, 1)
    predicted = whole.bytes - per_weight * (plan.before["parameters"] - plan.after["parameters"])
    return Pruned(
        cut, tflite, plan, whole, footprint(tflite), Footprint(predicted), case.error(model), case.error(cut), None
    )


def guard_for(case: Case, model: Any) -> ClinicalGuard:
    """Return the default guard: no class missed 3 points more often, no third of the range 10 % further off."""
    before = case.subgroups(model)
    by_class = all(name.startswith("class ") for name in before)
    if not before:
        raise PruningError(f"{case.name!r} has no subgroup to guard")
    margins = {n: _CLASS_MARGIN if by_class else max(_VALUE_MARGIN * v, 1e-6) for n, v in before.items()}
    return ClinicalGuard(case.subgroups, margin=_CLASS_MARGIN, margins=margins)

"""Pruning the network of a task: what `wristwise prune TASK` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.pruning.cases import Case, task_case
from models.pruning.errors import PruningError
from models.pruning.guard import ClinicalGuard
from models.pruning.request import Request, prune_case
from models.pruning.saved import front_of, load_model, write_outcome
from models.pruning.target import Pruned

if TYPE_CHECKING:
    from models.run.sensors import SensorSet

# A class may be missed this much more often, a third of the range err this share more, before a prune is refused.
_CLASS_MARGIN, _VALUE_MARGIN = 0.03, 0.10


def prune_task(name: str, dense: Path | None, request: Request, out: Path, *, per_set: int | None = None) -> Pruned:
    """
    Train (or load) the dense parent of a task on three quarters of the subjects, prune it, judge it on the others.

    Parameters
    ----------
    name : str
        A task with a network, or a representative network (``cnn``, ``lstm``, ``bilstm``, ``two-branch``).
    dense : Path, optional
        Dense parent saved by `wristwise train`. It has seen all subjects, so that the figures then are no test.
    request : Request
    out : Path
    per_set : int, optional
        At most so many recordings of each data set.
    """
    case = case_named(name) if per_set is None else case_named(name, per_set=per_set)
    if dense is not None:
        model = load_model(dense)
    else:
        model = case.build(request.seed)
        case.fit(model, case.epochs, request.seed, None, ())
    found = prune_case(case, model, request)
    guard_for(case, model).check(model, found.model)
    write_outcome(
        found, front_of(found, model, case.error), case.representative(), request.mode, name.replace("-", "_"), out
    )
    return found


def prune_sensors(
    name: str, dense: Path | None, request: Request, out: Path, power_uw: Mapping[str, float], *, per_set: int | None
) -> list[SensorSet]:
    """
    Write a bundle of a task for every set of sensors, judged on a quarter of the subjects; see `sensor_bundles`.

    Parameters
    ----------
    per_set : int, optional
        At most so many recordings of each data set.
    """
    from data.location import data_root
    from models.networks.registry import recipe
    from models.run import stages
    from models.run.loading import licences, load
    from models.run.sensors import sensor_bundles
    from models.training.folds import subject_folds

    chosen = recipe(name)
    recordings = load(chosen, data_root(), per_set=per_set)
    train, test = next(iter(subject_folds([r.subject for r in recordings], 4, request.seed)))
    inside = [r for r, use in zip(recordings, train, strict=True) if use]
    outside = [r for r, use in zip(recordings, test, strict=True) if use]
    if dense is not None:
        model = load_model(dense)
    else:
        examples = chosen.examples(inside, seed=request.seed)
        model = stages.train(chosen, examples, seed=request.seed, epochs=chosen.epochs)
    card = {
        "training": {"data_sets": licences(inside), "subjects": sorted({f"{r.dataset}/{r.subject}" for r in inside})}
    }
    return sensor_bundles(
        chosen, model, inside, outside, out, seed=request.seed, epochs=request.epochs, power_uw=power_uw, card=card
    )


def sensor_sets(model: str) -> list[tuple[str, ...]]:
    """
    Return every set of inputs, but not all, of a saved model or a representative network.

    Raises
    ------
    PruningError
        If it has one input only: sensors that share one are channels, see `plan_structure`.
    """
    from itertools import combinations

    from models.pruning.representatives import REPRESENTATIVES

    net = case_named(model).build(0) if model in REPRESENTATIVES else load_model(Path(model))
    names = list(net.input_names)
    if len(names) < 2:
        raise PruningError(f"{model} has one input, {names[0]!r}, so no sensor to switch off; prune its units instead")
    return [kept for size in range(len(names) - 1, 0, -1) for kept in combinations(names, size)]


def case_named(name: str, **options: Any) -> Case:
    """Return the case of a representative network or of a task."""
    from models.pruning.representatives import REPRESENTATIVES, representative_case

    return representative_case(name) if name in REPRESENTATIVES else task_case(name, **options)


def guard_for(case: Case, model: Any) -> ClinicalGuard:
    """Return the default guard: no class missed 3 points more often, no third of the range 10 % further off."""
    before = case.subgroups(model)
    by_class = all(name.startswith("class ") for name in before)
    if not before:
        raise PruningError(f"{case.name!r} has no subgroup to guard")
    margins = {n: _CLASS_MARGIN if by_class else max(_VALUE_MARGIN * v, 1e-6) for n, v in before.items()}
    return ClinicalGuard(case.subgroups, margin=_CLASS_MARGIN, margins=margins)

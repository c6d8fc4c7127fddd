"""The pruning benchmark: methods x rates x seeds on one case, each job on its own, resumed after an interruption."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from models.pruning.cases import Case
from models.pruning.presets import preset

RATES = (0.5, 0.8, 0.9, 0.95)
SEEDS = (0, 1, 2)
_STEPS = (0.25, 0.25, 0.5)  # of recovery, after each step of the iterative schedule


@dataclass(frozen=True)
class Method:
    """
    One way to prune.

    Attributes
    ----------
    name : str
        As in the tables.
    part : {"units", "weights", "control"}
        What goes: units, single weights; or nothing, a small network trained from scratch as long as parent and
        recovery together.
    score : str
        Importance.
    scope : {"local", "global"}
    schedule : {"one-shot", "iterative", "polynomial", "knapsack", "taught"}
        ``taught``: the control learns from the dense network too, as a pruned one does.
    """

    name: str
    part: str
    score: str
    scope: str = "global"
    schedule: str = "one-shot"


METHODS: tuple[Method, ...] = (
    Method("units, L2, local", "units", "l2", "local"),
    Method("units, L2, global", "units", "l2", "global"),
    Method("units, Taylor, local", "units", "taylor", "local"),
    Method("units, Taylor, global", "units", "taylor", "global"),
    Method("units, Taylor, iterative", "units", "taylor", "global", "iterative"),
    Method("units, L2, knapsack", "units", "l2", "global", "knapsack"),
    Method("units, random", "units", "random", "local"),
    Method("from scratch", "control", "l2", "local"),
    Method("from scratch, taught by the dense", "control", "l2", "local", "taught"),
    Method("weights, threshold, local", "weights", "magnitude", "local"),
    Method("weights, threshold, global", "weights", "magnitude", "global"),
    Method("weights, Taylor, local", "weights", "taylor", "local"),
    Method("weights, Taylor, global", "weights", "taylor", "global"),
    Method("weights, threshold, polynomial", "weights", "magnitude", "global", "polynomial"),
    Method("weights, Taylor, polynomial", "weights", "taylor", "global", "polynomial"),
)


@dataclass(frozen=True)
class Job:
    """One cell of the table: a case, a method, the share of parameters to remove, a seed."""

    case: str
    method: Method
    rate: float
    seed: int
    quick: bool = False
    recover_epochs: int | None = None
    epochs: int | None = None
    per_set: int | None = None
    max_rows: int | None = None

    @property
    def case_options(self) -> tuple[str, bool, int | None, int | None, int | None, int | None]:
        """What `case_of` is asked."""
        return self.case, self.quick, self.recover_epochs, self.epochs, self.per_set, self.max_rows

    @property
    def key(self) -> str:
        """A file name that changes when anything about the job does."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=2)
def case_of(
    name: str,
    quick: bool,
    recover_epochs: int | None = None,
    epochs: int | None = None,
    per_set: int | None = None,
    max_rows: int | None = None,
) -> Case:
    """Return the case of a name, made once per process."""
    from models.pruning.representatives import REPRESENTATIVES
    from models.pruning.tasks import case_named

    rows = {} if max_rows is None else {"max_rows": max_rows}
    case = case_named(name) if name in REPRESENTATIVES else case_named(name, quick=quick, per_set=per_set, **rows)
    return replace(case, recover_epochs=recover_epochs or case.recover_epochs, epochs=epochs or case.epochs)


def dense_parent(case: Case, seed: int, folder: Path) -> Any:
    """Return the trained dense network of a seed, trained once and kept in a folder."""
    import tf_keras

    path = folder / f"dense_{seed}.keras"
    if not path.is_file():
        model = case.build(seed)
        case.fit(model, case.epochs, seed, None, ())
        folder.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return tf_keras.models.load_model(path, compile=False)


def run_job(job: Job, folder: Path) -> dict[str, Any]:
    """
    Return the row of one job, from its file if it is there.

    Parameters
    ----------
    job : Job
    folder : Path
        Holds dense parents and finished rows; what an interrupted sweep is resumed from.
    """
    import tf_keras

    path = folder / f"row_{job.key}.json"
    if path.is_file():
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return row
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(job.seed)
    case = case_of(*job.case_options)
    dense = dense_parent(case, job.seed, folder)
    start = time.perf_counter()
    makers = {"units": _units, "weights": _weights, "control": _control}
    model, plan = makers[job.method.part](job, case, dense, folder)
    if job.method.name == preset(job.case).chain:
        model.save(_chain_path(job.rate, job.seed, folder))
    row = {"method": job.method.name, "part": job.method.part, "rate": job.rate, "seed": job.seed}
    row |= measured(model, case) | {"seconds": round(time.perf_counter() - start, 1)}
    if plan is not None:
        row["predicted_bytes"] = _float_bytes(dense, folder, job.seed) - 4 * (
            plan.before["parameters"] - plan.after["parameters"]
        )
    _write(path, row)
    return row


def _write(path: Path, row: dict[str, Any]) -> None:
    """Write whole or not at all: a half row would be taken for a finished one."""
    from models.pruning.report import without_nan

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(without_nan(row)), encoding="utf-8")
    part.replace(path)


def measured(model: Any, case: Case) -> dict[str, Any]:
    """Return error, size, latency and arena of a model as a float32 file, and its MACs."""
    from models.export.convert import to_tflite
    from models.pruning.footprint import footprint
    from models.pruning.structure import structure_size

    cost = footprint(to_tflite(model))
    size = structure_size(model)
    return {
        "error": round(case.error(model), 6),
        "parameters": size["parameters"],
        "macs": size["macs"],
        "bytes": int(cost.bytes),
        "gzip": int(cost.gzip),
        "latency_us": round(cost.latency_us, 2),
        "arena": cost.arena,
        "predicted_arena": size["arena_bytes"],
    }


def _float_bytes(dense: Any, folder: Path, seed: int) -> int:
    from models.export.convert import to_tflite

    path = folder / f"dense_{seed}.bytes"
    if not path.is_file():
        path.write_text(str(len(to_tflite(dense))), encoding="utf-8")
    return int(path.read_text(encoding="utf-8"))


def _recover(
    case: Case, model: Any, teacher: Any, seed: int, callbacks: Sequence[Any] = (), share: float = 1.0
) -> None:
    case.fit(model, max(1, round(share * case.recover_epochs)), seed, teacher, callbacks)


def _chain_path(rate: float, seed: int, folder: Path) -> Path:
    return folder / f"narrowed_{rate:g}_{seed}.keras"


def narrowed(case: Case, dense: Any, rate: float, seed: int, folder: Path) -> Any:
    """Return the network of the preset's chain at a rate: from the sweep if it ran, else made now."""
    import tf_keras

    path = _chain_path(rate, seed, folder)
    if path.is_file():
        return tf_keras.models.load_model(path, compile=False)
    method = next(m for m in METHODS if m.name == preset(case.name).chain)
    return _units(Job(case.name, method, rate, seed), case, dense, folder)[0]


def _units(job: Job, case: Case, dense: Any, _: Path) -> tuple[Any, Any]:
    """Remove units until the share of parameters is gone, and recover: as long in all, in however many steps."""
    from models.pruning.surgery import apply_plan

    if job.method.schedule == "iterative":
        current, before = dense, 1.0
        for share, left in zip(_STEPS, (1 - job.rate) ** (np.arange(1, 4) / 3), strict=True):
            plan = plan_for_parameters(current, case, job, 1 - left / before)
            current, before = apply_plan(current, plan), left
            _recover(case, current, dense, job.seed, share=share)
        return current, None
    plan = _knapsack(job, case, dense) if job.method.schedule == "knapsack" else plan_for_parameters(dense, case, job)
    cut = apply_plan(dense, plan)
    _recover(case, cut, dense, job.seed)
    return cut, plan


def plan_for_parameters(model: Any, case: Case, job: Job, share: float | None = None) -> Any:
    """Return the plan whose cut removes a share of the parameters, by the job's importance."""
    from models.pruning.importance import importance_named
    from models.pruning.planner import plan_to_parameters

    score = importance_named(job.method.score, case.data.take(1024), job.seed)
    scope: Any = job.method.scope
    return plan_to_parameters(model, score, share=job.rate if share is None else share, scope=scope)


def _knapsack(job: Job, case: Case, dense: Any) -> Any:
    """Choose widths by sensitivity on training rows; the held-out subjects must not choose."""
    from models.pruning.allocation import knapsack, sensitivity_curves
    from models.pruning.errors import TargetError
    from models.pruning.graph import trace
    from models.pruning.importance import importance_named

    rows = case.data.take(512)
    score = importance_named(job.method.score, rows, job.seed)
    curves = sensitivity_curves(trace(dense), score, rows.loss_of, n_levels=6)
    most = sum(max(o.saves["bytes"] for o in many) for many in curves.options.values())
    low, high, best = 0.0, most, None
    for _ in range(10):
        try:
            plan = curves.plan(knapsack(curves, {"bytes": (low + high) / 2}))
        except TargetError:
            high = (low + high) / 2
            continue
        gone = 1 - plan.after["parameters"] / plan.before["parameters"]
        low, high = ((low + high) / 2, high) if gone < job.rate else (low, (low + high) / 2)
        if best is None or abs(gone - job.rate) < best[0]:
            best = (abs(gone - job.rate), plan)
    return best[1] if best is not None else curves.plan(curves.narrowest)


def _control(job: Job, case: Case, dense: Any, _: Path) -> tuple[Any, Any]:
    """Train a fresh network of the pruned widths as long as parent and recovery together."""
    from models.pruning.surgery import apply_plan

    plan = plan_for_parameters(dense, case, job)
    small = freshly_initialised(apply_plan(dense, plan), job.seed)
    teacher = dense if job.method.schedule == "taught" else None
    case.fit(small, case.epochs + case.recover_epochs, job.seed, teacher, ())
    return small, plan


def freshly_initialised(model: Any, seed: int) -> Any:
    """Return a network of the same shapes with new weights."""
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    return tf_keras.models.clone_model(model)


def steps_per_epoch(case: Case, folder: Path) -> int:
    """Return how many batches an epoch of a case's training has: counted once, for a recipe may draw as it likes."""
    import tf_keras

    path = folder / "steps_per_epoch.txt"
    if not path.is_file():
        counted: list[int] = []
        count = tf_keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: counted.append(batch))  # noqa: ARG005
        case.fit(case.build(0), 1, 0, None, [count])
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(str(len(counted)), encoding="utf-8")
    return int(path.read_text(encoding="utf-8"))


def gradual(rate: float, case: Case, folder: Path) -> Any:
    """Return the polynomial schedule that ends half-way through recovery."""
    from models.pruning.schedule import Polynomial

    steps = case.recover_epochs * steps_per_epoch(case, folder)
    return Polynomial(rate, 0, max(1, steps // 2), frequency=max(1, steps // 16))


def _weights(job: Job, case: Case, dense: Any, folder: Path) -> tuple[Any, Any]:
    """Zero single weights, at once or on a polynomial schedule, while the parent teaches."""
    from models.pruning.schedule import OneShot
    from models.pruning.training import train_sparse

    schedule = OneShot(job.rate) if job.method.schedule == "one-shot" else gradual(job.rate, case, folder)

    def train(model: Any, callbacks: list[Any]) -> None:
        _recover(case, model, dense, job.seed, callbacks)

    data = case.data.take(512) if job.method.score != "magnitude" else None
    model, _ = train_sparse(dense, schedule, train, method=job.method.score, scope=job.method.scope, data=data)
    return model, None

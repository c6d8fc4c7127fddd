"""One call: prune to so many bytes and microseconds, at most so much worse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.export.convert import Mode, to_tflite
from models.export.measure import arena_bytes, latency_us, sizes
from models.pruning.allocation import Evaluate, Sensitivity, knapsack, sensitivity_curves
from models.pruning.errors import PruningError, TargetError
from models.pruning.graph import trace
from models.pruning.guard import ClinicalGuard, Verdict
from models.pruning.importance import L2Norm
from models.pruning.plan import PruningPlan
from models.pruning.planner import Importance
from models.pruning.predict import predict_size
from models.pruning.surgery import apply_plan

FineTune = Callable[[Any, Any], None]  # (model, teacher): trains the model in place
BYTES_PER_WEIGHT = {"float32": 4.0, "float16": 2.0, "int8": 1.0, "weight_int8": 1.0}


class PlanLike(Protocol):
    """Whatever says what went: units, parts, or zeros."""

    def to_json(self) -> str:
        """Return it as JSON."""
        ...


@dataclass(frozen=True)
class Footprint:
    """
    What a network costs as a file: bytes, gzip bytes, LiteRT microseconds, tflite-micro arena bytes.

    A prediction leaves what it does not know at nan; an arena is nan where tflite-micro refuses the file.
    """

    bytes: float
    gzip: float = float("nan")
    latency_us: float = float("nan")
    arena: float = float("nan")


@dataclass(frozen=True)
class Target:
    """What is asked for; None is not asked for. Loss is in the unit of the caller's `evaluate`."""

    max_bytes: float | None = None
    max_latency_us: float | None = None
    max_arena_bytes: float | None = None
    max_loss_rise: float | None = None


@dataclass(frozen=True)
class Pruned:
    """
    The outcome of `prune_to`.

    Attributes
    ----------
    model : tf_keras.Model
    tflite : bytes
    plan : PruningPlan, StructurePlan or MaskPlan
        What went from the dense model, and why.
    dense, measured, predicted : Footprint
    loss_dense, loss : float
    curves : Sensitivity, optional
        None where a given plan was applied.
    verdicts : list of Verdict
        Of the clinical guard, if there was one.
    rounds : int
        Knapsacks solved until the measured file met the target.
    """

    model: Any
    tflite: bytes
    plan: PlanLike
    dense: Footprint
    measured: Footprint
    predicted: Footprint
    loss_dense: float
    loss: float
    curves: Sensitivity | None
    verdicts: list[Verdict] = field(default_factory=list)
    rounds: int = 1


def footprint(tflite: bytes, with_arena: bool = True) -> Footprint:
    """Measure a file."""
    size = sizes(tflite)
    return Footprint(size.raw, size.gzip, latency_us(tflite), _arena(tflite) if with_arena else float("nan"))


def _arena(tflite: bytes) -> float:
    from models.export.interpreters import LoadError

    try:
        return float(arena_bytes(tflite))
    except LoadError:
        return float("nan")


@dataclass(frozen=True)
class _Job:
    """All that stays the same while `prune_to` tries plans."""

    model: Any
    evaluate: Evaluate
    fine_tune: FineTune | None
    mode: Mode
    representative: Any
    target: Target
    dense: Footprint
    dense_loss: float
    curves: Sensitivity

    def predict(self, plan: PruningPlan) -> Footprint:
        """Predict the file of a plan: weights exactly, the rest of the file as in the dense one."""
        per_weight = BYTES_PER_WEIGHT[self.mode]
        widths = {c.group: c.n_units - len(c.remove) for c in plan.cuts}
        saved = {n: next(o for o in self.curves.options[n] if o.width == w).saves for n, w in widths.items()}
        bytes_ = self.dense.bytes - per_weight * (plan.before["parameters"] - plan.after["parameters"])
        latency = self.dense.latency_us - sum(s["latency"] for s in saved.values())
        timed = any(s["latency"] for s in saved.values())
        arena = self.dense.arena * plan.after["arena_bytes"] / plan.before["arena_bytes"]
        return Footprint(bytes_, latency_us=latency if timed else float("nan"), arena=arena)

    def attempt(self, plan: PruningPlan, rounds: int) -> Pruned:
        """Cut, recover, convert, measure."""
        cut = apply_plan(self.model, plan)
        if self.fine_tune is not None:
            self.fine_tune(cut, self.model)
        tflite = to_tflite(cut, self.mode, self.representative)
        loss = self.evaluate(cut)
        measured = footprint(tflite)
        return Pruned(
            cut, tflite, plan, self.dense, measured, self.predict(plan), self.dense_loss, loss, self.curves, [], rounds
        )


def prune_to(
    model: Any,
    *,
    evaluate: Evaluate,
    max_bytes: float | None = None,
    max_latency_us: float | None = None,
    max_arena_bytes: float | None = None,
    max_loss_rise: float | None = None,
    fine_tune: FineTune | None = None,
    importance: Importance | None = None,
    mode: Mode = "float32",
    representative: Any = None,
    round_to: int | None = None,
    worth: Sequence[int] = (),
    n_levels: int = 6,
    exclude: tuple[str, ...] = (),
    guard: ClinicalGuard | None = None,
    rounds: int = 4,
) -> Pruned:
    """
    Prune a model until its ``.tflite`` file meets a target, taking from each layer what costs least there.

    Sensitivity curves are measured, a knapsack chooses the widths, the cut network is recovered, converted and
    measured; where the file is still too large or slow the knapsack is tightened and solved again. With only
    `max_loss_rise` given, the smallest file within that loss is sought by bisection.

    Parameters
    ----------
    model : tf_keras.Model
        Not changed.
    evaluate : callable (model) -> float
        Loss, lower is better: BPM, 1 - F1.
    max_bytes, max_latency_us, max_arena_bytes : float, optional
        Of the ``.tflite`` file; latency in LiteRT on this machine, one thread.
    max_loss_rise : float, optional
        Allowed rise of `evaluate` over the dense model, after recovery.
    fine_tune : callable (model, teacher) -> None, optional
        Recovery; trains the cut model in place (see `recovery`).
    importance : callable, default=L2Norm()
    mode : {"float32", "float16", "int8", "weight_int8"}
    representative : arrays
        For int8.
    round_to : int, optional
        Offer only multiples of this many units.
    worth : sequence of int, optional
        Offer only these widths: the steps of a measured latency table (`models.export.latency_table`).
    exclude : tuple of str
        Layers left whole.
    guard : ClinicalGuard, optional
        Refuses what harms a subgroup.
    rounds : int, default=4
        Most attempts, each with a recovery.

    Returns
    -------
    Pruned

    Raises
    ------
    TargetError
        If the target is below what narrowing can reach, or the loss rose further than allowed.
    ClinicalGuardError
        If the guard refuses.
    """
    target = Target(max_bytes, max_latency_us, max_arena_bytes, max_loss_rise)
    if target == Target():
        raise PruningError("prune_to needs a target: max_bytes, max_latency_us, max_arena_bytes or max_loss_rise")
    graph = trace(model, exclude)

    def time_of(one: Any) -> float:
        return latency_us(to_tflite(one, mode, representative))

    curves = sensitivity_curves(
        graph,
        L2Norm() if importance is None else importance,
        evaluate,
        n_levels=n_levels,
        round_to=round_to,
        worth=worth,
        latency_of=None if max_latency_us is None else time_of,
    )
    dense = footprint(to_tflite(model, mode, representative))
    job = _Job(model, evaluate, fine_tune, mode, representative, target, dense, evaluate(model), curves)
    found = _to_size(job, rounds) if _has_size(target) else _to_loss(job, rounds)
    verdicts = guard.check(model, found.model) if guard is not None else []
    return Pruned(**{**found.__dict__, "verdicts": verdicts})


def _has_size(target: Target) -> bool:
    return any(x is not None for x in (target.max_bytes, target.max_latency_us, target.max_arena_bytes))


def _limits(job: _Job) -> dict[str, tuple[float, float]]:
    """Return (dense, limit) of every resource that is limited."""
    rows = {
        "bytes": (job.dense.bytes, job.target.max_bytes),
        "latency": (job.dense.latency_us, job.target.max_latency_us),
        "arena": (job.dense.arena, job.target.max_arena_bytes),
    }
    return {name: (have, limit) for name, (have, limit) in rows.items() if limit is not None}


def _to_size(job: _Job, rounds: int) -> Pruned:
    """Tighten the knapsack until the measured file fits."""
    limits = _limits(job)
    _refuse_impossible(job)
    scale = {"bytes": BYTES_PER_WEIGHT[job.mode] / 4, "latency": 1.0, "arena": 1.0}
    if "arena" in limits:
        scale["arena"] = job.dense.arena / max(predict_size(job.curves.graph).arena_bytes, 1)
    needed = {n: max(0.0, have - limit) / scale[n] for n, (have, limit) in limits.items()}
    for attempt in range(1, rounds + 1):
        plan = _solve(job, needed)
        found = job.attempt(plan, attempt)
        got = {"bytes": found.measured.bytes, "latency": found.measured.latency_us, "arena": found.measured.arena}
        over = {n: got[n] - limit for n, (_, limit) in limits.items() if got[n] > limit}
        if not over:
            return _within_loss(job, found)
        for name, excess in over.items():
            needed[name] += 1.1 * excess / scale[name]
    raise TargetError(
        f"after {rounds} rounds the file still exceeds the target: "
        + "; ".join(f"{n} {got[n]:.0f} > {limits[n][1]:.0f}" for n in over)
        + "; raise the target or rounds="
    )


def _solve(job: _Job, needed: dict[str, float]) -> PruningPlan:
    """Solve the knapsack; where the predicted bytes (exact) still exceed the limit, ask for more and solve again."""
    for _ in range(12):
        plan = job.curves.plan(knapsack(job.curves, needed))
        limit = job.target.max_bytes
        over = job.predict(plan).bytes - limit if limit is not None else 0.0
        if over <= 0:
            return plan
        needed["bytes"] += over * 4 / BYTES_PER_WEIGHT[job.mode]
    return plan


def _refuse_impossible(job: _Job) -> None:
    """Refuse a size below that of the narrowest network."""
    smallest = job.predict(job.curves.plan(job.curves.narrowest)).bytes
    if job.target.max_bytes is not None and smallest > job.target.max_bytes:
        raise TargetError(
            f"{job.target.max_bytes:.0f} bytes cannot be reached: with every layer at its narrowest the file has "
            f"{smallest:.0f}; raise max_bytes, use mode='int8', or start from a smaller network"
        )


def _within_loss(job: _Job, found: Pruned) -> Pruned:
    allowed = job.target.max_loss_rise
    rise = found.loss - found.loss_dense
    if allowed is not None and not rise <= allowed:
        raise TargetError(
            f"the file meets the size ({found.measured.bytes:.0f} bytes), but the loss rose by {rise:.4g} from "
            f"{found.loss_dense:.4g}; allowed was {allowed:g}: fine-tune longer, or allow more bytes"
        )
    return found


def _to_loss(job: _Job, rounds: int) -> Pruned:
    """Bisect for the smallest file within the loss."""
    most = sum(max(o.saves["bytes"] for o in many) for many in job.curves.options.values())
    low, high, best = 0.0, 0.95, None
    share = 0.6
    for attempt in range(1, rounds + 1):
        found = job.attempt(job.curves.plan(knapsack(job.curves, {"bytes": share * most})), attempt)
        if found.loss - found.loss_dense <= (job.target.max_loss_rise or 0.0):
            best, low = found, share
        else:
            high = share
        share = (low + high) / 2
    if best is None:
        raise TargetError(
            f"no cut was found that raises the loss by at most {job.target.max_loss_rise:g}; fine-tune longer, "
            "give rounds= more tries, or allow more"
        )
    return best

"""The search behind `prune_to`: solve the knapsack, cut, recover, convert, measure, and tighten until it fits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.export.convert import Mode, to_tflite
from models.pruning.allocation import Evaluate, Sensitivity, knapsack
from models.pruning.errors import TargetError
from models.pruning.footprint import BYTES_PER_WEIGHT, Clock, Footprint, footprint
from models.pruning.guard import Verdict
from models.pruning.plan import PruningPlan
from models.pruning.surgery import apply_plan

FineTune = Callable[[Any, Any], None]  # (model, teacher): trains the model in place


class PlanLike(Protocol):
    """Whatever says what went: units, parts, or zeros."""

    def to_json(self) -> str:
        """Return it as JSON."""
        ...


@dataclass(frozen=True)
class Target:
    """What is asked for; None is not asked for. Loss is in the unit of the caller's `evaluate`."""

    max_bytes: float | None = None
    max_latency_us: float | None = None
    max_arena_bytes: float | None = None
    max_loss_rise: float | None = None

    @property
    def has_size(self) -> bool:
        """Tell whether bytes, latency or arena are limited."""
        return any(x is not None for x in (self.max_bytes, self.max_latency_us, self.max_arena_bytes))


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


@dataclass(frozen=True)
class Search:
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
    clock: Clock

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
        measured = footprint(tflite, self.clock)
        return Pruned(
            cut, tflite, plan, self.dense, measured, self.predict(plan), self.dense_loss, loss, self.curves, [], rounds
        )


def _limits(job: Search) -> dict[str, tuple[float, float]]:
    """Return (dense, limit) of every resource that is limited."""
    rows = {
        "bytes": (job.dense.bytes, job.target.max_bytes),
        "latency": (job.dense.latency_us, job.target.max_latency_us),
        "arena": (job.dense.arena, job.target.max_arena_bytes),
    }
    return {name: (have, limit) for name, (have, limit) in rows.items() if limit is not None}


def to_size(job: Search, rounds: int) -> Pruned:
    """Tighten the knapsack until the measured file fits."""
    limits = _limits(job)
    scale = _scales(job, limits)
    aim = {name: limit for name, (_, limit) in limits.items()}
    for attempt in range(1, rounds + 1):
        needed = {n: max(0.0, have - aim[n]) / scale[n] for n, (have, _) in limits.items()}
        found = job.attempt(_solve(job, needed, aim.get("bytes")), attempt)
        got = _resources(found.measured)
        over = {n: got[n] - limit for n, (_, limit) in limits.items() if got[n] > limit}
        if not over:
            return _within_loss(job, found)
        for name, excess in over.items():
            aim[name] -= 1.1 * excess
    raise TargetError(
        f"after {rounds} rounds the file still exceeds the target: "
        + "; ".join(f"{n} {got[n]:.0f} > {limits[n][1]:.0f}" for n in over)
        + "; raise the target or rounds="
    )


def _resources(size: Footprint) -> dict[str, float]:
    return {"bytes": size.bytes, "latency": size.latency_us, "arena": size.arena}


def _scales(job: Search, limits: dict[str, tuple[float, float]]) -> dict[str, float]:
    """
    Return what one unit of a curve's saving saves in the file, per resource, from the narrowest network of all.

    Savings of neighbouring layers are not additive: a convolution with half the inputs and half the outputs costs a
    quarter, not nothing.

    Raises
    ------
    TargetError
        If a limit is below what the narrowest network needs.
    """
    plan = job.curves.plan(job.curves.narrowest)
    least = {"bytes": job.predict(plan).bytes}
    if limits.keys() - {"bytes"}:
        cut = apply_plan(job.model, plan)
        least |= _resources(footprint(to_tflite(cut, job.mode, job.representative), job.clock))
    for name, (_, limit) in limits.items():
        if least[name] > limit:
            unit = " us" if name == "latency" else ""
            raise TargetError(
                f"{name} of at most {limit:g}{unit} cannot be reached: with every layer at its narrowest it is "
                f"{least[name]:.0f}; raise the limit, use mode='int8', or start from a smaller network"
            )
    scale = {"bytes": BYTES_PER_WEIGHT[job.mode] / 4}
    for name in limits.keys() - {"bytes"}:
        most = sum(max(o.saves[name] for o in many) for many in job.curves.options.values())
        scale[name] = max((limits[name][0] - least[name]) / most, 1e-3) if most > 0 else 1.0
    return scale


def _solve(job: Search, needed: dict[str, float], max_bytes: float | None) -> PruningPlan:
    """
    Solve the knapsack, asking for as few bytes as still give a file that is predicted (exactly) to fit.

    What a cut saves depends on what else is cut, so the curves' own sum is off by half and more either way.
    """
    if max_bytes is None:
        return job.curves.plan(knapsack(job.curves, needed))
    best = job.curves.plan(job.curves.narrowest)
    low, high = 0.0, sum(max(o.saves["bytes"] for o in many) for many in job.curves.options.values())
    for _ in range(10):
        ask = (low + high) / 2
        plan = job.curves.plan(knapsack(job.curves, needed | {"bytes": ask}))
        if job.predict(plan).bytes <= max_bytes:
            best, high = plan, ask
        else:
            low = ask
    return best


def _within_loss(job: Search, found: Pruned) -> Pruned:
    allowed = job.target.max_loss_rise
    rise = found.loss - found.loss_dense
    if allowed is not None and not rise <= allowed:
        raise TargetError(
            f"the file meets the size ({found.measured.bytes:.0f} bytes), but the loss rose by {rise:.4g} from "
            f"{found.loss_dense:.4g}; allowed was {allowed:g}: fine-tune longer, or allow more bytes"
        )
    return found


def to_loss(job: Search, rounds: int) -> Pruned:
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

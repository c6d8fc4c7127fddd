"""One call: prune to so many bytes and microseconds, at most so much worse."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from models.export.convert import Mode, to_tflite
from models.export.measure import latency_us
from models.pruning.allocation import Evaluate, sensitivity_curves
from models.pruning.errors import PruningError
from models.pruning.footprint import Clock, footprint
from models.pruning.graph import trace
from models.pruning.guard import ClinicalGuard
from models.pruning.importance import L2Norm
from models.pruning.planner import Importance
from models.pruning.search import FineTune, Pruned, Search, Target, to_loss, to_size

__all__ = ["FineTune", "Pruned", "Target", "prune_to"]


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
    clock: Clock | None = None,
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
        Of the ``.tflite`` file; latency by `clock`.
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
    clock : callable (tflite) -> microseconds, optional
        Default: LiteRT on this machine, one thread. ``CLOCKS["cortex-m4f"]`` of `models.pruning.footprint` predicts a
        watch's processor; your own may ask a device.

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
    timed = latency_us if clock is None else clock
    curves = sensitivity_curves(
        trace(model, exclude),
        L2Norm() if importance is None else importance,
        evaluate,
        n_levels=n_levels,
        round_to=round_to,
        worth=worth,
        latency_of=None if max_latency_us is None else lambda one: timed(to_tflite(one, mode, representative)),
    )
    dense = footprint(to_tflite(model, mode, representative), timed)
    job = Search(model, evaluate, fine_tune, mode, representative, target, dense, evaluate(model), curves, timed)
    found = to_size(job, rounds) if target.has_size else to_loss(job, rounds)
    verdicts = guard.check(model, found.model) if guard is not None else []
    return replace(found, verdicts=verdicts)

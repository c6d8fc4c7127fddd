"""Planning: which units go. Pure; the model is only read."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.pruning.channels import Ids
from models.pruning.errors import CalibrationError, PruningError
from models.pruning.graph import Graph, trace
from models.pruning.group import Group
from models.pruning.importance import L2Norm
from models.pruning.plan import Cut, PruningPlan, fingerprint
from models.pruning.predict import predict_size

Importance = Callable[[Group], NDArray[np.float64]]
Scope = Literal["local", "global"]
# Of what an even cut leaves a group. Ranked over all layers with no floor, 80 % of the fall network's parameters out
# leave a layer with one unit, and the network does not come back (error 0.35 against 0.03, two seeds of three at 0.5).
_LEAST = 1 / 3


def plan_pruning(
    model: Any,
    importance: Importance | None = None,
    *,
    ratio: float | Mapping[str, float] | None = None,
    widths: Mapping[str, int] | None = None,
    keep: Mapping[str, Sequence[int]] | None = None,
    scope: Scope = "local",
    round_to: int | None = None,
    exclude: Iterable[str] = (),
) -> PruningPlan:
    """
    Plan which channels and units to remove from a model.

    Exactly one of `ratio`, `widths` and `keep` says how many.

    Parameters
    ----------
    model : tf_keras.Model
        Functional or Sequential. It is only read.
    importance : callable, default=L2Norm()
        Takes a `Group`, returns one number per unit, shape ``(n_units,)``; the lowest go first.
    ratio : float in [0, 1), or mapping of group name to such
        Fraction of the units to remove: of every group (`scope` local), or of all units together (global).
    widths : mapping of str to int
        Units to keep by group or layer name; other groups are left alone.
    keep : mapping of str to sequence of int
        Exactly which units to keep, by group or layer name.
    scope : {"local", "global"}, default="local"
        Whether units compete within their group, or with those of all groups. For importances that are not
        comparable between layers (``comparable`` is False, e.g. norms) scores are divided by their group's mean.
    round_to : int, optional
        Keep a multiple of this many units in every group (never fewer than asked for).
    exclude : iterable of str
        Layers whose channels are all kept.

    Returns
    -------
    PruningPlan

    Raises
    ------
    PruningError
        For a contradictory request; `UnsupportedLayerError` for a layer without a rule.
    CalibrationError
        If the importance gives NaN.

    Examples
    --------
    >>> plan = plan_pruning(model, ratio=0.5)  # doctest: +SKIP
    >>> pruned = apply_plan(model, plan)  # doctest: +SKIP
    """
    if sum(x is not None for x in (ratio, widths, keep)) != 1:
        raise PruningError("give exactly one of ratio=, widths= and keep=, to say how much to remove")
    graph = trace(model, exclude)
    score = L2Norm() if importance is None else importance
    if keep is not None:
        removed = {graph.group(n).name: _complement(graph.group(n), list(k)) for n, k in keep.items()}
        return make_plan(graph, removed, dict.fromkeys(removed, "as asked"))
    if widths is not None:
        wanted = {graph.group(n).name: _possible(graph.group(n), int(w)) for n, w in widths.items()}
        scores = {n: scored(graph.group(n), score) for n in wanted}
    else:
        shares = _shares(graph, ratio)
        scores = {n: scored(graph.group(n), score) for n in shares}
        global_scope = scope == "global" and not isinstance(ratio, Mapping)
        wanted = _global(graph, scores, score, shares) if global_scope else _local(graph, shares)
    wanted = {n: rounded(graph.group(n), w, round_to) for n, w in wanted.items()}
    return plan_for_widths(graph, scores, wanted, describe(score))


def plan_to_parameters(
    model: Any,
    importance: Importance | None = None,
    *,
    share: float,
    scope: Scope = "global",
    round_to: int | None = None,
    exclude: Iterable[str] = (),
) -> PruningPlan:
    """
    Plan to remove units until a share of the *parameters* is gone (or as much as can go); else as `plan_pruning`.

    Removing half of the channels removes about three quarters of the parameters; this searches the ratio for you.

    Parameters
    ----------
    share : float in [0, 1)
        Of all parameters.
    """
    if not 0 <= share < 1:
        raise PruningError(f"share must be in [0, 1), but is {share:g}; 0.8 removes four of five parameters")
    graph = trace(model, exclude)
    score = L2Norm() if importance is None else importance
    scores = {g.name: scored(g, score) for g in graph.groups}
    low, high = 0.0, 0.9999
    best: tuple[float, PruningPlan] | None = None
    for _ in range(10):
        ratio = (low + high) / 2
        shares = dict.fromkeys(scores, ratio)
        wanted = _global(graph, scores, score, shares) if scope == "global" else _local(graph, shares)
        wanted = {n: rounded(graph.group(n), w, round_to) for n, w in wanted.items()}
        plan = plan_for_widths(graph, scores, wanted, describe(score))
        gone = 1 - plan.after["parameters"] / plan.before["parameters"]
        low, high = (ratio, high) if gone < share else (low, ratio)
        if best is None or abs(gone - share) < best[0]:
            best = (abs(gone - share), plan)
    if best is None:
        raise PruningError(f"{model.name!r} has no channels to cut")
    return best[1]


def describe(importance: Importance) -> str:
    """Return the name under which an importance appears in a plan."""
    return getattr(importance, "name", None) or type(importance).__name__


def scored(group: Group, importance: Importance) -> NDArray[np.float64]:
    """Return the importance of each unit, frozen ones infinite; refuse NaN and wrong shapes."""
    values = np.asarray(importance(group), np.float64)
    if values.shape != (len(group),):
        raise PruningError(
            f"importance {describe(importance)} must give {len(group)} numbers for group {group.name!r}, "
            f"but gave shape {values.shape}"
        )
    if np.isnan(values).any():
        raise CalibrationError(
            f"importance {describe(importance)} is NaN for layer {group.name!r}; check the calibration data "
            "for NaN and the loss for overflow"
        )
    return np.where(group.prunable, values, np.inf)


def plan_for_widths(
    graph: Graph, scores: Mapping[str, NDArray[np.float64]], widths: Mapping[str, int], name: str
) -> PruningPlan:
    """Return the plan that keeps the best `widths` units of each group, by ascending score."""
    removed, why = {}, {}
    for group_name, width in widths.items():
        group, score = graph.group(group_name), scores[group_name]
        units = removable(group, score, len(group) - width)
        removed[group_name] = units
        if len(units):
            why[group_name] = f"{name}: removed up to {score[units].max():.4g}"
    return make_plan(graph, removed, why)


def removable(group: Group, score: NDArray[np.float64], n: int) -> Ids:
    """
    Return up to `n` units by ascending score, never the last one of any tensor or weight axis.

    In a group that joins layers of unequal width a layer could be emptied although the group is not.
    """
    order = [int(u) for u in np.argsort(score, kind="stable") if group.prunable[u]]
    tallies = _tallies(group)
    gone: list[int] = []
    for unit in order:
        if len(gone) == n:
            break
        if all(left[unit] < left.sum() for left in tallies):
            for left in tallies:
                left[unit] = 0
            gone.append(unit)
    return np.array(sorted(gone), np.int64)


def _tallies(group: Group) -> list[NDArray[np.int64]]:
    """Return positions per unit in each axis that must not become empty."""
    tallies = []
    for d in group.dependencies:
        positions, units = group.positions(d)
        if len(positions) == len(d.ids):
            tallies.append(np.bincount(units, minlength=len(group)))
    unique = {t.tobytes(): t for t in tallies}
    return list(unique.values())


def rounded(group: Group, width: int, round_to: int | None) -> int:
    """Raise a width to a multiple of `round_to`, within what the group has."""
    floor = int((~group.prunable).sum())
    width = max(width, floor, 1)
    if round_to:
        width = -(-width // round_to) * round_to
    return min(width, len(group))


def make_plan(graph: Graph, removed: Mapping[str, Iterable[int]], why: Mapping[str, str]) -> PruningPlan:
    """Return a plan with its predictions for units removed by group."""
    cuts = []
    for group in graph.groups:
        units = tuple(sorted(int(u) for u in removed.get(group.name, ())))
        if units:
            cuts.append(Cut(group.name, group.origins, len(group), units, why.get(group.name, "")))
    dead = graph.dead({c.group: c.remove for c in cuts})
    before, after = predict_size(graph).as_dict(), predict_size(graph, dead).as_dict()
    model = graph.flat.model
    return PruningPlan(model.name, fingerprint(model), tuple(cuts), before, after)


def _complement(group: Group, keep: Sequence[int]) -> Ids:
    wrong = [u for u in keep if not 0 <= u < len(group)]
    if wrong or not keep:
        raise PruningError(f"keep= for {group.name!r} must name some of units 0 to {len(group) - 1}, got {list(keep)}")
    return np.setdiff1d(np.arange(len(group)), np.asarray(keep))


def _possible(group: Group, width: int) -> int:
    if not 1 <= width <= len(group):
        raise PruningError(f"group {group.name!r} has {len(group)} units; cannot keep {width}")
    return width


def _shares(graph: Graph, ratio: float | Mapping[str, float] | None) -> dict[str, float]:
    """Return the ratio of each group that is to be cut."""
    shares = (
        {graph.group(n).name: float(r) for n, r in ratio.items()}
        if isinstance(ratio, Mapping)
        else {g.name: float(ratio or 0.0) for g in graph.groups}
    )
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise PruningError(f"ratio must be in [0, 1), but is {share:g} for {name!r}; 0.5 removes half")
    return shares


def _local(graph: Graph, shares: Mapping[str, float]) -> dict[str, int]:
    sizes = {n: len(graph.group(n)) for n in shares}
    return {n: sizes[n] - int(sizes[n] * share + 1e-9) for n, share in shares.items()}


def _global(
    graph: Graph, scores: Mapping[str, NDArray[np.float64]], importance: Importance, shares: Mapping[str, float]
) -> dict[str, int]:
    """Let all units compete, but leave each group a third of what an even cut would leave it."""
    comparable = bool(getattr(importance, "comparable", False))
    rows = []
    for name, score in scores.items():
        finite = score[np.isfinite(score)]
        scale = 1.0 if comparable else float(finite.mean()) or 1.0
        rows += [(float(s) / scale, name) for s in sorted(finite)]
    rows.sort(key=lambda row: row[0])
    widths = {n: len(graph.group(n)) for n in scores}
    ratio = next(iter(shares.values()), 0.0)
    least = {n: max(1, math.ceil(_LEAST * (1 - ratio) * width)) for n, width in widths.items()}
    budget = int(sum(widths.values()) * ratio)
    for _, name in rows:
        if budget == 0:
            break
        if widths[name] > least[name]:
            widths[name] -= 1
            budget -= 1
    return widths

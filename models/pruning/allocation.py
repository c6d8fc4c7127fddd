"""How much to take from which group: sensitivity curves, and a knapsack over loss, bytes, arena and latency."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.errors import TargetError
from models.pruning.graph import Graph
from models.pruning.plan import PruningPlan
from models.pruning.planner import Importance, describe, plan_for_widths, removable, scored
from models.pruning.predict import predict_size
from models.pruning.surgery import cut_graph

Evaluate = Callable[[Any], float]
LatencyOf = Callable[[Any], float]
RESOURCES = ("bytes", "arena", "latency")


@dataclass(frozen=True)
class Option:
    """
    One width of one group: what it costs and saves when only this group is cut.

    Attributes
    ----------
    width : int
        Units that stay.
    loss_rise : float
        Measured without recovery.
    saves : dict of str to float
        Bytes of weights, bytes of arena (predicted) and microseconds (measured, if asked for). Bytes and arena are
        the mean of what the cut saves first and last, because savings of neighbouring layers are not additive.
    """

    width: int
    loss_rise: float
    saves: dict[str, float]


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity curves of a network: the options of every group, from full to narrow, and the scores behind them."""

    graph: Graph
    importance: str
    scores: Mapping[str, NDArray[np.float64]]
    options: Mapping[str, tuple[Option, ...]]

    def plan(self, widths: Mapping[str, int]) -> PruningPlan:
        """Return the plan for chosen widths."""
        return plan_for_widths(self.graph, self.scores, widths, f"knapsack over {self.importance}")

    @property
    def narrowest(self) -> dict[str, int]:
        """The narrowest width on offer, by group."""
        return {name: min(o.width for o in options) for name, options in self.options.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Return the curves as a table, one row per option."""
        return [
            {"group": name, "width": o.width, "loss_rise": o.loss_rise} | {f"saves_{k}": v for k, v in o.saves.items()}
            for name, options in self.options.items()
            for o in options
        ]


def levels(
    n_units: int, n_frozen: int, n_levels: int, round_to: int | None = None, worth: Sequence[int] = ()
) -> list[int]:
    """Return widths on offer, descending from `n_units`: those worth having, or multiples of `round_to`."""
    if worth:
        return [n_units, *sorted({w for w in worth if max(1, n_frozen) <= w < n_units}, reverse=True)]
    step = round_to or 1
    raw = np.linspace(n_units, max(1, n_frozen, n_units / 16), n_levels)
    widths = {min(n_units, max(1, n_frozen, -(-round(w) // step) * step)) for w in raw}
    return sorted(widths | {n_units}, reverse=True)


def sensitivity_curves(
    graph: Graph,
    importance: Importance,
    evaluate: Evaluate,
    *,
    n_levels: int = 6,
    round_to: int | None = None,
    worth: Sequence[int] = (),
    latency_of: LatencyOf | None = None,
) -> Sensitivity:
    """
    Measure what every group loses and saves at several widths.

    Parameters
    ----------
    graph : Graph
        Of the model, from `trace`.
    importance : callable
        Which units go first.
    evaluate : callable (model) -> float
        Loss, lower is better; called once per option.
    n_levels : int, default=6
        Widths tried per group.
    round_to : int, optional
        Offer multiples only.
    worth : sequence of int, optional
        Offer these widths only, the steps of a measured latency table.
    latency_of : callable (model) -> microseconds, optional
        If given, every option is converted and timed: a table that knows the staircase of this processor.
    """
    scores = {g.name: scored(g, importance) for g in graph.groups}
    base_loss, base = evaluate(graph.flat.model), predict_size(graph)
    base_us = latency_of(graph.flat.model) if latency_of else 0.0
    offered = {g.name: levels(len(g), int((~g.prunable).sum()), n_levels, round_to, worth) for g in graph.groups}
    floor = {name: widths[-1] for name, widths in offered.items()}
    options = {}
    for group in graph.groups:
        found = [Option(len(group), 0.0, dict.fromkeys(RESOURCES, 0.0))]
        rest = graph.dead({n: _gone(graph, scores, n, w) for n, w in floor.items() if n != group.name})
        rest_size = predict_size(graph, rest)
        for width in offered[group.name][1:]:
            dead = graph.dead({group.name: _gone(graph, scores, group.name, width)})
            size, last = predict_size(graph, dead), predict_size(graph, dead | rest)
            model = cut_graph(graph, dead)
            saves = {
                "bytes": (base.weight_bytes - size.weight_bytes + rest_size.weight_bytes - last.weight_bytes) / 2,
                "arena": (base.arena_bytes - size.arena_bytes + rest_size.arena_bytes - last.arena_bytes) / 2,
                "latency": base_us - latency_of(model) if latency_of else 0.0,
            }
            found.append(Option(width, evaluate(model) - base_loss, saves))
        options[group.name] = tuple(found)
    return Sensitivity(graph, describe(importance), scores, options)


def _gone(graph: Graph, scores: Mapping[str, NDArray[np.float64]], name: str, width: int) -> NDArray[np.int64]:
    group = graph.group(name)
    return removable(group, scores[name], len(group) - width)


def knapsack(curves: Sensitivity, needed: Mapping[str, float]) -> dict[str, int]:
    """
    Choose a width per group: least total loss rise with at least the savings needed.

    Solved exactly as an integer programme (one option per group; savings add up).

    Parameters
    ----------
    curves : Sensitivity
    needed : mapping of resource to float
        Savings wanted, of ``bytes``, ``arena``, ``latency``.

    Raises
    ------
    TargetError
        If even the narrowest options do not save that much.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    flat = [(name, option) for name, many in curves.options.items() for option in many]
    # Noise may make a cut look like a gain. It counts as nothing, and a whisper against cutting more than is needed
    # decides among equals, so that no group is cut for luck. Costs are shares of the largest and the whisper is well
    # above 1e-6, the gap at which the solver calls two answers equal.
    rise = np.array([max(o.loss_rise, 0.0) for _, o in flat])
    saved = np.array([o.saves.get("bytes", 0.0) for _, o in flat])
    cost = rise / (float(rise.max()) or 1.0) + 1e-3 * saved / (float(saved.max()) or 1.0)
    names = list(curves.options)
    one_each = np.array([[float(name == owner) for owner, _ in flat] for name in names])
    rows = [LinearConstraint(one_each, 1, 1)]
    for resource, amount in needed.items():
        if amount > 0:
            rows.append(LinearConstraint(np.array([[o.saves[resource] for _, o in flat]]), amount, np.inf))
    answer = milp(
        cost,
        constraints=rows,
        integrality=np.ones(len(flat), np.int64),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    if answer.x is None:
        most = {r: sum(max(o.saves[r] for o in many) for many in curves.options.values()) for r in needed}
        raise TargetError(
            "the target cannot be reached by narrowing layers: "
            + "; ".join(f"{r}: {needed[r]:.0f} to save, at most {most[r]:.0f} possible" for r in needed)
            + "; raise the target, or start from a smaller network"
        )
    chosen = np.flatnonzero(answer.x > 0.5)
    return {flat[i][0]: flat[i][1].width for i in chosen}

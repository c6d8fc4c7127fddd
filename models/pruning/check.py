"""Check a plan against the model that it is to be applied to."""

from typing import Any

from models.pruning.errors import PlanError
from models.pruning.graph import Graph, trace
from models.pruning.plan import PruningPlan, fingerprint


def check_plan(model: Any, plan: PruningPlan, graph: Graph | None = None) -> Graph:
    """
    Check that a plan fits a model and leaves every layer alive; return the traced graph.

    Raises
    ------
    PlanError
        If the plan was made for another architecture, names unknown or uncuttable units, or empties a layer.
    """
    if plan.fingerprint != fingerprint(model):
        raise PlanError(
            f"the plan was made for model {plan.model!r} ({plan.fingerprint}), but this is {model.name!r} "
            f"({fingerprint(model)}); plan again for this model"
        )
    graph = trace(model) if graph is None else graph
    for cut in plan.cuts:
        group = graph.group(cut.group)
        bad = [u for u in cut.remove if not 0 <= u < len(group)]
        if bad or len(set(cut.remove)) != len(cut.remove):
            raise PlanError(f"group {cut.group!r} has units 0 to {len(group) - 1}, each once; the plan removes {bad}")
        kept = [u for u in cut.remove if not group.prunable[u]]
        if kept:
            raise PlanError(f"units {kept} of group {cut.group!r} reach an output or a layer that cannot be cut")
    dead = graph.dead(plan.removed)
    for d in graph.dependencies:
        if dead[d.ids].all():
            raise PlanError(f"the plan removes all channels of layer {d.layer!r}; keep at least one")
    return graph

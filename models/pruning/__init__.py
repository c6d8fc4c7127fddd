"""Physical pruning of tf_keras models in three acts: plan, check, apply."""

from models.pruning.graph import Graph, trace
from models.pruning.group import Group
from models.pruning.importance import BatchNormGamma, L1Norm, L2Norm, Random
from models.pruning.plan import Cut, PruningPlan
from models.pruning.planner import check_plan, plan_pruning
from models.pruning.surgery import apply_plan, mask_plan

__all__ = [
    "BatchNormGamma",
    "Cut",
    "Graph",
    "Group",
    "L1Norm",
    "L2Norm",
    "PruningPlan",
    "Random",
    "apply_plan",
    "check_plan",
    "mask_plan",
    "plan_pruning",
    "trace",
]

"""Physical pruning of tf_keras models in three acts: plan, check, apply."""

from models.pruning.calibration import Calibration, read_calibration
from models.pruning.check import check_plan
from models.pruning.graph import Graph, trace
from models.pruning.group import Group
from models.pruning.importance import (
    Ablation,
    APoZ,
    BatchNormGamma,
    Fisher,
    GradientNorm,
    L1Norm,
    L2Norm,
    Random,
    Taylor,
    importance_named,
)
from models.pruning.plan import Cut, PruningPlan
from models.pruning.planner import plan_pruning, plan_to_parameters
from models.pruning.surgery import apply_plan, mask_plan

__all__ = [
    "APoZ",
    "Ablation",
    "BatchNormGamma",
    "Calibration",
    "Cut",
    "Fisher",
    "GradientNorm",
    "Graph",
    "Group",
    "L1Norm",
    "L2Norm",
    "PruningPlan",
    "Random",
    "Taylor",
    "apply_plan",
    "check_plan",
    "importance_named",
    "mask_plan",
    "plan_pruning",
    "plan_to_parameters",
    "read_calibration",
    "trace",
]

"""Importances: callables that take a group and return one number per unit; the lowest go first."""

from models.pruning.importance.gradient import Fisher, GradientNorm, Taylor
from models.pruning.importance.magnitude import BatchNormGamma, L1Norm, L2Norm, Norm, Random
from models.pruning.importance.measured import Ablation, APoZ
from models.pruning.importance.path import PathFlow
from models.pruning.importance.registry import IMPORTANCES, importance_named

__all__ = [
    "IMPORTANCES",
    "APoZ",
    "Ablation",
    "BatchNormGamma",
    "Fisher",
    "GradientNorm",
    "L1Norm",
    "L2Norm",
    "Norm",
    "PathFlow",
    "Random",
    "Taylor",
    "importance_named",
]

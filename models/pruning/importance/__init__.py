"""Importances: callables that take a group and return one number per unit; the lowest go first."""

from models.pruning.importance.magnitude import BatchNormGamma, L1Norm, L2Norm, Norm, Random

__all__ = ["BatchNormGamma", "L1Norm", "L2Norm", "Norm", "Random"]

"""Importance from the weights alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pruning.dependency import Role
from models.pruning.group import Group


@dataclass(frozen=True)
class Norm:
    """
    Norm of all weights that make a unit: filters, gate blocks, bias.

    score = (sum over weights |w|^p)^(1/p), summed over the layers of the group before the root is taken.

    Parameters
    ----------
    p : int, default=2
        1 (Li et al.) or 2.

    References
    ----------
    .. [1] Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710.
    """

    p: int = 2
    comparable: bool = False

    @property
    def name(self) -> str:
        """L1 or L2."""
        return f"L{self.p}"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return one non-negative number per unit, shape ``(n_units,)``."""
        total = np.zeros(len(group))
        for d in group.with_role(Role.MAKES) or group.dependencies:
            weight = np.abs(group.weight(d).astype(np.float64)) ** self.p
            axes = tuple(a for a in range(weight.ndim) if a != d.axis)
            total += group.gather(d, weight.sum(axis=axes))
        root: NDArray[np.float64] = total ** (1 / self.p)
        return root


def L1Norm() -> Norm:
    """Return the L1 norm of a unit's weights."""
    return Norm(1)


def L2Norm() -> Norm:
    """Return the L2 norm of a unit's weights."""
    return Norm(2)


@dataclass(frozen=True)
class Random:
    """The control: a number drawn per unit. Whatever cannot beat this knows nothing about importance."""

    seed: int = 0
    comparable: bool = True
    name: str = "random"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return numbers in [0, 1) that depend on the seed and the group's place, shape ``(n_units,)``."""
        place = int(group.units[0])
        return np.random.default_rng([self.seed, place]).random(len(group))


@dataclass(frozen=True)
class BatchNormGamma:
    """
    |gamma| of the batch norms a unit passes (network slimming).

    References
    ----------
    .. [1] Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017,
       doi:10.1109/ICCV.2017.298.
    """

    comparable: bool = True
    name: str = "bn-gamma"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return the sum of |gamma| per unit; groups without batch norm fall back to the L2 norm."""
        total, found = np.zeros(len(group)), False
        for d in group.with_role(Role.CARRIES):
            layer = group.graph.layer(d.layer)
            gamma = getattr(layer, "gamma", None)
            if gamma is not None and layer.weights[d.weight] is gamma:
                total += group.gather(d, np.abs(group.weight(d)).astype(np.float64))
                found = True
        return total if found else L2Norm()(group)

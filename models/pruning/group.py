"""A group: layers whose channels must be cut together, and the units they are cut in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.pruning.channels import Ids
from models.pruning.dependency import Dependency, Role

if TYPE_CHECKING:
    from models.pruning.graph import Graph


@dataclass(frozen=True)
class Group:
    """
    Everything that shares channels: a conv with its batch norm, a whole residual stage, an LSTM.

    Attributes
    ----------
    name : str
        Name of the first layer that makes the channels; stable, and the handle used in plans.
    origins : tuple of str
        All layers that make them.
    units : ndarray of int64, shape (n_units,)
        Representative channel id of each unit. With one origin, unit k is that layer's channel k.
    prunable : ndarray of bool, shape (n_units,)
        False where the unit reaches an output or a layer that cannot be cut.
    dependencies : tuple of Dependency
        Every weight axis that mentions any of the units.
    graph : Graph
        The graph it belongs to; gives access to weights.
    """

    name: str
    origins: tuple[str, ...]
    units: Ids
    prunable: NDArray[np.bool_]
    dependencies: tuple[Dependency, ...]
    graph: "Graph"

    def __len__(self) -> int:
        return len(self.units)

    def positions(self, dependency: Dependency) -> tuple[Ids, Ids]:
        """
        Return where along a dependency's axis this group's units lie.

        Returns
        -------
        positions, units : ndarray of int64, shape (n,)
            Positions along the axis, and the index of the unit at each.
        """
        roots = self.graph.root[dependency.ids]
        order = np.searchsorted(self.units, roots)
        order = np.minimum(order, len(self.units) - 1)
        positions = np.flatnonzero(self.units[order] == roots)
        return positions, order[positions]

    def gather(self, dependency: Dependency, along_axis: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum numbers given per position of a dependency's axis into one per unit, shape ``(n_units,)``."""
        positions, units = self.positions(dependency)
        summed = np.bincount(units, weights=along_axis[positions], minlength=len(self))
        return np.asarray(summed, np.float64)

    def weight(self, dependency: Dependency) -> NDArray[np.float32]:
        """Return the current value of the weight that a dependency speaks of."""
        value: NDArray[np.float32] = self.graph.weights(dependency.layer)[dependency.weight]
        return value

    def with_role(self, *roles: Role) -> tuple[Dependency, ...]:
        """Return the dependencies that have one of the roles."""
        return tuple(d for d in self.dependencies if d.role in roles)

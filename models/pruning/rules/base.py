"""What a rule is: how channels flow through one kind of layer, and how its configuration shrinks."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from models.pruning.channels import ChannelSpace, Ids
from models.pruning.dependency import Dependency, Role
from models.pruning.node import Node


@dataclass
class Call:
    """
    One call of one layer, as a rule sees it while channels are traced.

    `layer` is the layer itself, or the wrapped one inside TimeDistributed; weights are found by identity in
    ``node.layer.weights``, so that a wrapper's rule can hand the call on to the rule of what it wraps.
    """

    node: Node
    layer: Any
    space: ChannelSpace
    inputs: list[Ids]
    dependencies: list[Dependency] = field(default_factory=list)
    pooled: list[Ids] = field(default_factory=list)

    def fresh(self, n: int, part: str = "") -> Ids:
        """Return ids for `n` new channels that this layer (or a named part of it) makes."""
        return self.space.fresh(n, self.node.name + part)

    def fixed(self, n: int, reason: str) -> Ids:
        """Return ids for `n` new channels that may not be removed."""
        ids = self.fresh(n)
        self.space.freeze(ids, f"{reason} ({self.node.name!r})")
        return ids

    def freeze(self, ids: Ids, reason: str) -> None:
        """Forbid the removal of channels, saying why."""
        self.space.freeze(ids, f"{reason} ({self.node.name!r})")

    def uncut(self, reason: str) -> list[Ids]:
        """Keep all that comes in and goes out: the channels cannot be followed through this layer."""
        for ids in self.inputs:
            self.freeze(ids, reason)
        return [self.fixed(self.width(i), reason) for i in range(len(self.node.outputs))]

    def depend(self, weight: Any, axis: int, ids: Ids, role: Role) -> None:
        """Note that `axis` of `weight` (a variable of the layer, or None if absent) is indexed by `ids`."""
        if weight is None:
            return
        index = next(i for i, w in enumerate(self.node.layer.weights) if w is weight)
        self.dependencies.append(Dependency(self.node.name, index, axis % len(weight.shape), ids, role))

    def width(self, output: int = 0) -> int:
        """Return the size of the last axis of an output."""
        shape = self.node.output_shapes[output]
        return int(shape[-1] or 1) if len(shape) > 1 else 1


@dataclass(frozen=True)
class Kept:
    """The positions of a node's last axes that survive: index arrays into each input and output."""

    inputs: tuple[Ids, ...]
    outputs: tuple[Ids, ...]
    weights: tuple[tuple[Ids, ...], ...]


class Rule:
    """
    Knowledge of one kind of layer. Subclasses name the class names they serve and override what differs.

    The default is an element-wise layer with one input: channels pass, nothing is stored, nothing counted.
    """

    kinds: tuple[str, ...] = ()

    def flow(self, call: Call) -> list[Ids]:
        """Return the channel ids of each output, noting dependencies on the way."""
        return [call.inputs[0] for _ in call.node.outputs]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        """Return the layer's configuration with the kept widths."""
        return config

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        """Return multiply-accumulates for one inference, given the sizes of the layer's weights."""
        return 0


def positions(shape: tuple[int | None, ...]) -> int:
    """Return how many positions (all but batch and channel) a tensor has; unknown axes count as one."""
    return prod(int(n or 1) for n in shape[1:-1])


def tiled(ids: Ids, times: int) -> Ids:
    """Repeat an id vector end to end, as gate blocks and flattened positions do."""
    return np.tile(ids, times)

"""What a cut will save, computed from the graph before anything is cut."""

from dataclasses import asdict, dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from models.pruning.graph import Graph
from models.pruning.rules import rule_for


@dataclass(frozen=True)
class Size:
    """
    Size of a network for one inference.

    Attributes
    ----------
    parameters : int
        All weights, trainable or not.
    weight_bytes : int
        4 bytes for each.
    macs : int
        Multiply-accumulates.
    arena_bytes : int
        Peak of live float32 activations when layers run in order; a lower bound of the runtime's arena.
    """

    parameters: int
    weight_bytes: int
    macs: int
    arena_bytes: int

    def as_dict(self) -> dict[str, int]:
        """Return plain numbers by name."""
        return asdict(self)


def predict_size(graph: Graph, dead: NDArray[np.bool_] | None = None) -> Size:
    """
    Return the size of the network after the channels marked `dead` are gone (default: none).

    Parameters and weight bytes are exact; so are MACs of the layers that have them.
    """
    gone = np.zeros(len(graph.space), bool) if dead is None else dead
    axes = graph.kept_axes(gone)
    sizes = {name: tuple(tuple(len(a) for a in w) for w in many) for name, many in axes.items()}
    parameters = sum(prod(w) for many in sizes.values() for w in many)
    macs = sum(rule_for(node).macs(node, sizes[node.name]) for node in graph.nodes)
    return Size(parameters, 4 * parameters, macs, _peak(graph, gone))


def _peak(graph: Graph, dead: NDArray[np.bool_]) -> int:
    """Return the largest sum of tensors alive at once, in bytes."""
    shapes = {k: s for n in graph.nodes for k, s in zip(n.inputs, n.input_shapes, strict=True)}
    shapes |= {k: s for n in graph.nodes for k, s in zip(n.outputs, n.output_shapes, strict=True)}
    size = {k: 4 * prod(int(n or 1) for n in s[1:-1]) * int((~dead[graph.tensors[k]]).sum()) for k, s in shapes.items()}
    last = {k: i for i, n in enumerate(graph.nodes) for k in n.inputs}
    alive = set(graph.flat.inputs.values()) & set(size)
    peak = 0
    for i, node in enumerate(graph.nodes):
        alive |= set(node.outputs)
        peak = max(peak, sum(size[k] for k in alive))
        alive -= {k for k in alive if last.get(k, len(graph.nodes)) <= i}
    return peak

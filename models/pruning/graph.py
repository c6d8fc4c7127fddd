"""The dependency graph of a model: channels traced through every layer by the rules."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.channels import ChannelSpace, Ids
from models.pruning.dependency import Dependency, Role
from models.pruning.errors import PruningError
from models.pruning.group import Group
from models.pruning.node import Flow, Node
from models.pruning.rules import Call, Kept, rule_for
from models.pruning.unfold import Unfolded, unfold


@dataclass
class Graph:
    """
    A traced model. Build with `trace`; reading it never changes the model.

    Attributes
    ----------
    flat : Unfolded
        Nodes, inputs and outputs.
    space : ChannelSpace
        All channels.
    tensors : dict of int to ndarray
        Channel ids of the last axis of every tensor, by key.
    flows : list of Flow
        Ids of each node's inputs and outputs, parallel to ``flat.nodes``.
    dependencies : list of Dependency
        All weight axes that channels index.
    pooled : list of ndarray
        Channels over which a LayerNorm takes its statistics: cut, but not exactly.
    root : ndarray of int64
        Representative of every id.
    groups : tuple of Group
        What can be cut, in the order of the network.
    uncut : dict of str to str
        Reason by name of each layer whose channels cannot be cut.
    """

    flat: Unfolded
    space: ChannelSpace = field(default_factory=ChannelSpace)
    tensors: dict[int, Ids] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    pooled: list[tuple[str, Ids]] = field(default_factory=list)
    root: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    groups: tuple[Group, ...] = ()
    uncut: dict[str, str] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        """The calls of layers, in order."""
        return self.flat.nodes

    def layer(self, name: str) -> Any:
        """Return the layer of that name."""
        return self._layers()[name]

    def weights(self, name: str) -> list[NDArray[np.float32]]:
        """Return the weights of a layer as arrays, read once."""
        known = self.memo.setdefault("weights", {})
        if name not in known:
            known[name] = self.layer(name).get_weights()
        values: list[NDArray[np.float32]] = known[name]
        return values

    def group(self, name: str) -> Group:
        """
        Return a group by its name, or by the name of any layer that makes its channels.

        Raises
        ------
        PruningError
            If nothing of that name can be cut; the message says why, or lists what can.
        """
        for group in self.groups:
            if name == group.name or name in group.origins:
                return group
        if name in self.uncut:
            raise PruningError(f"channels of {name!r} cannot be cut: {self.uncut[name]}")
        raise PruningError(
            f"no layer named {name!r} has channels to cut; those that have: {', '.join(g.name for g in self.groups)}"
        )

    def dead(self, removed: Mapping[str, Iterable[int]]) -> NDArray[np.bool_]:
        """Return which ids go, given unit indices by group name; shape ``(len(space),)``."""
        gone = np.zeros(len(self.space), bool)
        for name, units in removed.items():
            gone[self.group(name).units[np.asarray(list(units), np.int64)]] = True
        return gone[self.root] if len(gone) else gone

    def kept_axes(self, dead: NDArray[np.bool_]) -> dict[str, tuple[tuple[Ids, ...], ...]]:
        """Return, by layer, the surviving positions along every axis of every weight."""
        axes = {
            name: [[np.arange(n, dtype=np.int64) for n in w.shape] for w in layer.weights]
            for name, layer in self._layers().items()
        }
        for d in self.dependencies:
            axes[d.layer][d.weight][d.axis] = np.flatnonzero(~dead[d.ids])
        return {name: tuple(tuple(a) for a in many) for name, many in axes.items()}

    def kept(self, index: int, dead: NDArray[np.bool_], axes: dict[str, tuple[tuple[Ids, ...], ...]]) -> Kept:
        """Return what survives of one node's inputs, outputs and weights."""
        flow, name = self.flows[index], self.nodes[index].name
        return Kept(
            tuple(np.flatnonzero(~dead[i]) for i in flow.inputs),
            tuple(np.flatnonzero(~dead[i]) for i in flow.outputs),
            axes[name],
        )

    def _layers(self) -> dict[str, Any]:
        layers: dict[str, Any] = self.memo.setdefault("layers", {n.name: n.layer for n in self.nodes})
        return layers


def trace(model: Any, exclude: Iterable[str] = ()) -> Graph:
    """
    Trace the channels of a functional tf_keras model.

    Parameters
    ----------
    model : tf_keras.Model
        Functional or Sequential, built. It is only read.
    exclude : iterable of str
        Names of layers whose channels must all be kept.

    Raises
    ------
    UnsupportedLayerError
        At the first layer for which there is no rule.
    PruningError
        If the model has no graph, or `exclude` names no layer of it.
    """
    return trace_flat(unfold(model), exclude)


def trace_flat(flat: Unfolded, exclude: Iterable[str] = (), cut_inputs: bool = False) -> Graph:
    """
    Trace a flat graph; see `trace`.

    With `cut_inputs` the channels of the model's inputs can be removed like any others.
    """
    graph = Graph(flat)
    for name, key in graph.flat.inputs.items():
        shape = graph.flat.input_layers[name].output_shape
        width = int((shape[0] if isinstance(shape, list) else shape)[-1] or 1)
        ids = graph.space.fresh(width, name)
        if not cut_inputs:
            graph.space.freeze(ids.tolist(), f"input of the model ({name!r})")
        graph.tensors[key] = ids
    for node in graph.nodes:
        _follow(graph, node)
    _freeze_ends(graph, tuple(exclude))
    graph.root = graph.space.roots()
    _form_groups(graph)
    return graph


def _follow(graph: Graph, node: Node) -> None:
    """Let the node's rule pass the channels on; tie the calls of a shared layer to one another."""
    call = Call(node, node.layer, graph.space, [graph.tensors[k] for k in node.inputs])
    rule = rule_for(node)
    if getattr(node.layer, "data_format", None) == "channels_first":
        outputs = call.uncut("channels_first is not cut")
    else:
        outputs = rule.flow(call)
    shared: dict[tuple[str, int, int], Ids] = graph.memo.setdefault("axes", {})
    for d in call.dependencies:
        first = shared.setdefault((d.layer, d.weight, d.axis), d.ids)
        if first is not d.ids:
            graph.space.union(first, d.ids)
    graph.dependencies.extend(call.dependencies)
    graph.pooled.extend((node.name, ids) for ids in call.pooled)
    graph.flows.append(Flow(tuple(call.inputs), tuple(outputs)))
    graph.tensors.update(zip(node.outputs, outputs, strict=True))


def _freeze_ends(graph: Graph, exclude: tuple[str, ...]) -> None:
    """Keep the channels of the model's outputs and of the excluded layers."""
    import tensorflow as tf

    for ref in tf.nest.flatten(graph.flat.output_structure):
        graph.space.freeze(graph.tensors[ref.key].tolist(), "output of the model")
    names = {n.name for n in graph.nodes}
    for name in exclude:
        if name not in names:
            raise PruningError(f"exclude names {name!r}, but the model has no such layer")
    for node in graph.nodes:
        if node.name in exclude:
            for key in node.outputs:
                graph.space.freeze(graph.tensors[key].tolist(), "excluded by the caller")
    for d in graph.dependencies:
        if d.layer in exclude and d.role is Role.MAKES:  # heads of an attention are no channels of its output
            graph.space.freeze(d.ids.tolist(), "excluded by the caller")


def _form_groups(graph: Graph) -> None:
    """Join the origins that share a unit into groups; sort out what is frozen."""
    root, origin = graph.root, graph.space.origin_of()
    joined = ChannelSpace()
    joined.fresh(len(graph.space.origins), "")
    joined.union(origin, origin[root])
    group_of = joined.roots()[origin]
    frozen_root = {int(root[i]): reason for i, reason in graph.space.frozen().items()}
    heads = root == np.arange(len(root))
    by_group: dict[int, list[Dependency]] = defaultdict(list)
    for d in graph.dependencies:
        for g in np.unique(group_of[d.ids]).tolist():
            by_group[g].append(d)
    groups = []
    for g in np.unique(group_of).tolist():
        units = np.flatnonzero(heads & (group_of == g))
        names = tuple(dict.fromkeys(graph.space.origins[o] for o in np.unique(origin[group_of == g])))
        prunable = np.array([int(u) not in frozen_root for u in units])
        if not prunable.any():
            graph.uncut.update(dict.fromkeys(names, frozen_root[int(units[0])]))
            continue
        groups.append(Group(names[0], names, units, prunable, tuple(by_group[g]), graph))
    graph.groups = tuple(groups)

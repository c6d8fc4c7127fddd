"""Removal of whole parts: layers, paths (one input of a merge with all that feeds only it), sensors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from models.pruning.bridge import bridged
from models.pruning.calibration import Calibration
from models.pruning.errors import PlanError, PruningError
from models.pruning.graph import Graph, trace_flat
from models.pruning.node import Node, Tap
from models.pruning.plan import fingerprint
from models.pruning.predict import predict_size
from models.pruning.rewrite import MERGES, node_named, with_tap, without_dead_ends, without_edge
from models.pruning.surgery import cut_graph, from_config, rebuild, silenced
from models.pruning.unfold import Unfolded, unfold


@dataclass(frozen=True)
class StructurePlan:
    """
    Whole parts to remove from one particular model.

    Attributes
    ----------
    model, fingerprint : str
        The model it was made for.
    layers : tuple of str
        Layers to delete; where shapes differ the gap is bridged.
    paths : tuple of (str, int)
        A merging layer and which of its inputs to cut.
    inputs : tuple of str
        Inputs of the model (sensors) to remove, with everything that serves only them.
    channels : dict of str to tuple of int
        Channels to remove from inputs that stay (a sensor that shares its input with others).
    why : str
        How they were chosen.
    """

    model: str
    fingerprint: str
    layers: tuple[str, ...] = ()
    paths: tuple[tuple[str, int], ...] = ()
    inputs: tuple[str, ...] = ()
    channels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    why: str = ""

    def to_json(self) -> str:
        """Return the plan as indented JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a plan; a `PlanError` says when it is none."""
        try:
            raw = json.loads(text)
            raw["layers"], raw["inputs"] = tuple(raw["layers"]), tuple(raw["inputs"])
            raw["paths"] = tuple((str(m), int(i)) for m, i in raw["paths"])
            raw["channels"] = {k: tuple(v) for k, v in raw["channels"].items()}
            return cls(**raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(f"this is not a structure plan: {error}") from error


def plan_structure(
    model: Any,
    *,
    layers: Sequence[str] = (),
    paths: Sequence[tuple[str, int]] = (),
    inputs: Sequence[str] = (),
    channels: Mapping[str, Sequence[int]] | None = None,
    why: str = "as asked",
) -> StructurePlan:
    """
    Plan the removal of named parts. Pure; names are checked when the plan is.

    See `rank_layers`, `rank_paths` and `rank_sensors` for what is cheapest to remove.
    """
    gone = {k: tuple(sorted(int(c) for c in v)) for k, v in (channels or {}).items()}
    return StructurePlan(
        model.name, fingerprint(model), tuple(layers), tuple((m, int(i)) for m, i in paths), tuple(inputs), gone, why
    )


def apply_structure(model: Any, plan: StructurePlan, data: Calibration | None = None) -> Any:
    """
    Return a new model without the planned parts.

    Parameters
    ----------
    model : tf_keras.Model
        Only read.
    plan : StructurePlan
    data : Calibration, optional
        Where a deleted layer changed the number of channels, the bridge (a pointwise layer) is fitted to these
        rows by least squares; without them it passes the first channels on.

    Raises
    ------
    PlanError
        If the plan was made for another model.
    PruningError
        If a part does not exist or cannot be removed; the message says why.
    """
    if plan.fingerprint != fingerprint(model):
        raise PlanError(f"the plan was made for model {plan.model!r}, not for this {model.name!r}; plan again")
    for name in plan.layers:
        model = bridged(model, name, data)
    flat = unfold(model)
    edges = [*plan.paths, *edges_of_inputs(flat, plan.inputs)]
    graph, taps, smaller = _cut_edges(flat, edges, cut_inputs=bool(plan.channels))
    dead = np.zeros(len(graph.space), bool)
    for tap in taps:
        dead |= np.isin(graph.root, graph.root[graph.tensors[tap.outputs[0]]])
    for name, channels in plan.channels.items():
        dead |= _input_channels(graph, name, channels)
    return cut_graph(graph, dead, smaller)


def mask_structure(model: Any, plan: StructurePlan) -> Any:
    """Return the masked twin of a plan of paths and inputs: same architecture, the parts silenced at the seam."""
    import tf_keras

    flat = unfold(model)
    taps: dict[str, str] = {}
    for merge, index in [*plan.paths, *edges_of_inputs(flat, plan.inputs)]:
        flat, tap = with_tap(flat, merge, index)
        taps[tap.name] = node_named(flat, merge).kind
    graph = trace_flat(flat)
    dead = np.zeros(len(graph.space), bool)
    for node in flat.nodes:
        if taps.get(node.name) == "Concatenate":
            dead |= np.isin(graph.root, graph.root[graph.tensors[node.outputs[0]]])

    def make(_: int, node: Node) -> Any:
        kind = taps.get(node.name)
        if kind is None or kind == "Concatenate":
            return from_config(node, node.layer.get_config())
        return tf_keras.layers.Rescaling(0.0, offset=float(kind == "Multiply"), name=node.name)

    return rebuild(flat, make, lambda name: silenced(graph, name, dead) if graph.layer(name).weights else [])


def edges_of_inputs(flat: Unfolded, inputs: Sequence[str]) -> list[tuple[str, int]]:
    """
    Return the edges into merging layers where the paths of some inputs meet the rest of the network.

    Raises
    ------
    PruningError
        If an input does not exist, all inputs would go, or a path reaches an output or a layer that cannot merge.
    """
    unknown = [n for n in inputs if n not in flat.inputs]
    if unknown or (inputs and len(set(inputs)) == len(flat.inputs)):
        raise PruningError(f"cannot remove inputs {list(inputs)} of a model with inputs {list(flat.inputs)}; leave one")
    only = {flat.inputs[n] for n in inputs}
    edges = []
    for node in flat.nodes:
        ours = [k in only for k in node.inputs]
        if all(ours):
            only |= set(node.outputs)
        elif any(ours):
            if node.kind not in MERGES:
                raise PruningError(
                    f"the path of {list(inputs)} ends in layer {node.name!r} ({node.kind}), which is no merge; "
                    f"paths can be cut at {', '.join(MERGES)}"
                )
            edges += [(node.name, i) for i, mine in enumerate(ours) if mine]
    import tensorflow as tf

    if only & {ref.key for ref in tf.nest.flatten(flat.output_structure)}:
        raise PruningError(f"inputs {list(inputs)} cannot go: an output depends on nothing else")
    return edges


def _cut_edges(flat: Unfolded, edges: Sequence[tuple[str, int]], cut_inputs: bool) -> tuple[Graph, list[Tap], Unfolded]:
    """Return the graph with seams, the seams whose channels disappear, and the smaller flat graph."""
    taps = []
    for merge, index in edges:
        node = node_named(flat, merge)
        if node.kind not in MERGES or not 0 <= index < len(node.inputs):
            raise PruningError(f"{merge!r} ({node.kind}) has no path {index} to cut; a path is one input of a merge")
        if node.kind == "Concatenate" and node.layer.axis % len(node.input_shapes[0]) == len(node.input_shapes[0]) - 1:
            flat, tap = with_tap(flat, merge, index)
            taps.append(tap)
    graph = trace_flat(flat, cut_inputs=cut_inputs)
    for tap in taps:
        _refuse_if_tied(graph, tap)
    smaller = flat
    for merge, index in sorted(edges, reverse=True):
        smaller = without_edge(smaller, merge, index)
    return graph, taps, without_dead_ends(smaller)


def _refuse_if_tied(graph: Graph, tap: Tap) -> None:
    """A path whose channels are later added to others cannot go: the addition would not fit."""
    roots = graph.root[graph.tensors[tap.outputs[0]]]
    frozen = {int(graph.root[i]): reason for i, reason in graph.space.frozen().items()}
    for root in roots.tolist():
        if root in frozen:
            raise PruningError(f"the path at {tap.name!r} cannot go: {frozen[root]}")
    tied = np.isin(graph.root, roots).sum() != len(roots)
    if tied:
        raise PruningError(f"the path at {tap.name!r} cannot go: its channels are added to others further on")


def _input_channels(graph: Graph, name: str, channels: Sequence[int]) -> Any:
    """Return which ids die with some channels of an input that stays."""
    group = graph.group(name)
    units = np.asarray(channels, np.int64)
    if len(units) >= len(graph.tensors[graph.flat.inputs[name]]) or (units < 0).any():
        raise PruningError(f"cannot remove channels {list(channels)} of input {name!r}: at least one must stay")
    roots = graph.root[graph.tensors[graph.flat.inputs[name]][units]]
    stuck = [u for u, root in zip(channels, roots, strict=True) if not group.prunable[list(group.units).index(root)]]
    if stuck:
        raise PruningError(f"channels {stuck} of input {name!r} reach a layer that cannot be cut")
    return np.isin(graph.root, roots)


def structure_size(model: Any) -> dict[str, int]:
    """Return parameters, weight bytes, MACs and peak activations of a model as it is."""
    return predict_size(trace_flat(unfold(model))).as_dict()

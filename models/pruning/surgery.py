"""Applying a plan: a new model with the channels gone, or its masked twin. The given model never changes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.check import check_plan
from models.pruning.dependency import Role
from models.pruning.graph import Graph
from models.pruning.node import Node, TensorRef
from models.pruning.plan import PruningPlan
from models.pruning.rules import rule_for
from models.pruning.unfold import Unfolded

Weights = list[NDArray[np.float32]]


def apply_plan(model: Any, plan: PruningPlan) -> Any:
    """
    Return a new model without the planned channels.

    Parameters
    ----------
    model : tf_keras.Model
        The model the plan was made for; it is only read.
    plan : PruningPlan

    Returns
    -------
    tf_keras.Model
        Functional, same inputs, outputs and layer names, nested models unfolded, not compiled. The same plan
        gives the same bytes each time.

    Raises
    ------
    PlanError
        If the plan does not fit (see `check_plan`).
    """
    graph = check_plan(model, plan)
    return cut_graph(graph, graph.dead(plan.removed))


def cut_graph(graph: Graph, dead: NDArray[np.bool_], flat: Unfolded | None = None) -> Any:
    """Return the model of `flat` (default: the graph's own; else the same nodes, fewer) without the dead channels."""
    axes = graph.kept_axes(dead)
    place = {node.name: index for index, node in reversed(list(enumerate(graph.nodes)))}

    def make(_: int, node: Node) -> Any:
        kept = graph.kept(place[node.name], dead, axes)
        return from_config(node, rule_for(node).resize(node.layer.get_config(), node, kept))

    def cut(name: str) -> Weights:
        return [
            np.ascontiguousarray(w[np.ix_(*a)]) if a else w
            for w, a in zip(graph.weights(name), axes[name], strict=True)
        ]

    widths = {name: int((~dead[graph.tensors[key]]).sum()) for name, key in graph.flat.inputs.items()}
    return rebuild(flat or graph.flat, make, cut, widths=widths)


def mask_plan(model: Any, plan: PruningPlan) -> Any:
    """
    Return the masked twin: the same architecture, with the planned channels silenced where they are read.

    Every kernel row that reads a planned channel is zero; a LayerNorm takes its statistics over the channels
    that stay. What `apply_plan` returns must answer exactly as this does.
    """
    graph = check_plan(model, plan)
    dead = graph.dead(plan.removed)
    pooled = {name: ~dead[ids] for name, ids in graph.pooled if dead[ids].any()}

    def make(_: int, node: Node) -> Any:
        config = node.layer.get_config()
        if node.name not in pooled:
            return from_config(node, config)
        from models.pruning.masked_norm import masked_layer_norm

        return masked_layer_norm(config | {"name": node.name.replace("/", "_")}, pooled[node.name])

    return rebuild(graph.flat, make, lambda name: silenced(graph, name, dead))


def silenced(graph: Graph, name: str, dead: NDArray[np.bool_]) -> Weights:
    """Return a layer's weights with zeros where it reads a dead channel."""
    weights = [w.copy() for w in graph.weights(name)]
    for d in graph.dependencies:
        if d.layer == name and d.role is Role.READS:
            np.moveaxis(weights[d.weight], d.axis, 0)[dead[d.ids]] = 0
    return weights


def copy_exposing(graph: Graph, keys: Sequence[int] | None = None) -> Any:
    """Return a copy of the graph's model, same weights; with `keys`, its outputs are those tensors, as a list."""
    from dataclasses import replace

    flat = graph.flat if keys is None else replace(graph.flat, output_structure=[TensorRef(k) for k in keys])
    return rebuild(flat, lambda _, node: from_config(node, node.layer.get_config()), graph.weights)


def from_config(node: Node, config: dict[str, Any]) -> Any:
    """Return a fresh layer of the node's class; names of unfolded inner layers get their prefix."""
    return type(node.layer).from_config(config | {"name": node.name.replace("/", "_")} if "/" in node.name else config)


def rebuild(
    flat: Unfolded,
    make: Callable[[int, Node], Any],
    weights: Callable[[str], Weights],
    widths: Mapping[str, int] | None = None,
) -> Any:
    """
    Return a new functional model with the graph of `flat`.

    Parameters
    ----------
    flat : Unfolded
    make : callable (index, node) -> layer
        Gives the new layer of each node; asked once per layer.
    weights : callable (layer name) -> list of ndarray
        Gives its weights.
    widths : mapping of str to int, optional
        Channels of the inputs that have been narrowed.
    """
    import tensorflow as tf
    import tf_keras

    tensors: dict[int, Any] = {}
    for input_name, key in flat.inputs.items():
        old = flat.input_layers[input_name].output
        shape = tuple(old.shape[1:])
        if widths and shape and shape[-1] is not None:
            shape = (*shape[:-1], widths[input_name])
        tensors[key] = tf_keras.Input(shape=shape, name=input_name, dtype=old.dtype)

    def deref(value: Any) -> Any:
        return tensors[value.key] if isinstance(value, TensorRef) else value

    layers: dict[str, Any] = {}
    for index, node in enumerate(flat.nodes):
        if node.name not in layers:
            layers[node.name] = make(index, node)
        args, kwargs = tf.nest.map_structure(deref, (node.args, node.kwargs))
        outputs = tf.nest.flatten(layers[node.name](*args, **kwargs))
        tensors.update(zip(node.outputs, outputs, strict=True))
    for layer_name, layer in layers.items():
        layer.set_weights(weights(layer_name))
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # Normalization computes with a copy of its weights
    inputs = tf.nest.map_structure(deref, flat.input_structure)
    outputs = tf.nest.map_structure(deref, flat.output_structure)
    return tf_keras.Model(inputs, outputs, name=flat.model.name)

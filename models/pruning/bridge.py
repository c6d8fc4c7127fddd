"""Deleting one layer and bridging the gap that its shapes leave."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.calibration import Calibration
from models.pruning.errors import PruningError
from models.pruning.graph import trace_flat
from models.pruning.node import Node, TensorRef
from models.pruning.rewrite import consumers, node_named, without_node
from models.pruning.surgery import copy_exposing, from_config, rebuild
from models.pruning.unfold import Unfolded, unfold

_TOLERATED = 1e-3  # ridge, relative to the mean square of the inputs: keeps the fit sane with few rows


def bridged(model: Any, name: str, data: Calibration | None = None) -> Any:
    """
    Return a new model without one layer (and the batch norm that reads only it).

    Equal shapes need no bridge. Where the layer strided, its input is average-pooled by the same factor; where it
    ended a sequence, averaged over time; where it changed the number of channels, a pointwise layer
    ``bridge_<name>`` stands in, fitted to the calibration rows by least squares.

    Raises
    ------
    PruningError
        If the layer has several inputs or outputs, or its shapes cannot be bridged.
    """
    flat = unfold(model)
    node = node_named(flat, name)
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        raise PruningError(f"layer {name!r} has several inputs or outputs and cannot be deleted; cut a path instead")
    last = _last_of_block(flat, node)
    bridge, weights = _bridge(model, flat, node, last, data)
    kept = [n for n in flat.nodes if n is not node and n is not last]
    if last is not node:
        flat = without_node(flat, last)
        node = node_named(flat, name)
    if not bridge:
        shorter = without_node(flat, node)
    else:
        place = flat.nodes.index(node)
        shorter = replace(flat, nodes=[*flat.nodes[:place], *bridge, *flat.nodes[place + 1 :]])
    old = {n.name: n.layer.get_weights() for n in kept}
    fresh = {n.name for n in bridge}
    return rebuild(
        shorter,
        lambda _, n: n.layer if n.name in fresh else from_config(n, n.layer.get_config()),
        lambda layer: weights.get(layer, []) if layer in fresh else old[layer],
    )


def _last_of_block(flat: Unfolded, node: Node) -> Node:
    """Return the batch norm that reads only this node, or the node: statistics of a deleted layer mean nothing."""
    readers = consumers(flat, node.outputs[0])
    is_norm = len(readers) == 1 and readers[0].kind == "BatchNormalization"
    return readers[0] if is_norm else node


def _bridge(
    model: Any, flat: Unfolded, node: Node, last: Node, data: Calibration | None
) -> tuple[list[Node], dict[str, list[NDArray[np.float32]]]]:
    """Return the nodes that stand in for a layer, and the weights of those that have some."""
    before, after = node.input_shapes[0], last.output_shapes[0]
    if None in (*before[1:], *after[1:]) and before != after:
        raise PruningError(f"layer {node.name!r} has a free dimension; build the model with fixed sizes to delete it")
    layers = _spatial(node.name, before, after)
    weights: dict[str, list[NDArray[np.float32]]] = {}
    if before[-1] != after[-1]:
        pointwise = _pointwise(node.name, after)
        layers.append(pointwise)
        weights[pointwise.name] = _fitted(model, node, last, layers[:-1], data)
    return _chained(layers, node, flat), weights


def _spatial(name: str, before: tuple[int | None, ...], after: tuple[int | None, ...]) -> list[Any]:
    """Return pooling layers that bring the positions of `before` to those of `after`."""
    import tf_keras

    layers = tf_keras.layers
    if len(before) == 3 and len(after) == 2:
        return [layers.GlobalAveragePooling1D(name=f"pool_{name}")]
    if len(before) != len(after):
        raise PruningError(f"layer {name!r} turns {before} into {after}, which no bridge spans; delete another")
    if before[1:-1] == after[1:-1]:
        return []
    factor = tuple(-(-int(b or 1) // int(a or 1)) for b, a in zip(before[1:-1], after[1:-1], strict=True))
    if tuple(-(-int(b or 1) // f) for b, f in zip(before[1:-1], factor, strict=True)) != after[1:-1]:
        raise PruningError(f"layer {name!r} turns {before} into {after}, which no pooling does; delete another")
    pool = layers.AveragePooling1D if len(factor) == 1 else layers.AveragePooling2D
    return [pool(factor, padding="same", name=f"pool_{name}")]


def _pointwise(name: str, after: tuple[int | None, ...]) -> Any:
    import tf_keras

    if len(after) == 4:
        return tf_keras.layers.Conv2D(after[-1], 1, name=f"bridge_{name}")
    return tf_keras.layers.Dense(after[-1], name=f"bridge_{name}")


def _fitted(
    model: Any, node: Node, last: Node, pools: list[Any], data: Calibration | None
) -> list[NDArray[np.float32]]:
    """Return kernel and bias by ridge regression from what went into the layer to what came out of it."""
    n_in, n_out = int(node.input_shapes[0][-1] or 1), int(last.output_shapes[0][-1] or 1)
    shape = (1, 1, n_in, n_out) if len(last.output_shapes[0]) == 4 else (n_in, n_out)
    if data is None:
        return [np.eye(n_in, n_out, dtype=np.float32).reshape(shape), np.zeros(n_out, np.float32)]
    probe = copy_exposing(trace_flat(unfold(model)), [node.inputs[0], last.outputs[0]])
    rows = data.rows_for(model)
    x, y = probe(rows if len(rows) > 1 else rows[0], training=False)
    for pool in pools:
        x = pool(x)
    x = np.asarray(x, np.float64).reshape(-1, n_in)
    y = np.asarray(y, np.float64).reshape(-1, n_out)
    mean_x, mean_y = x.mean(0), y.mean(0)
    centred = x - mean_x
    ridge = _TOLERATED * float((centred**2).mean() + 1e-12) * len(x) * np.eye(n_in)
    kernel = np.linalg.solve(centred.T @ centred + ridge, centred.T @ (y - mean_y))
    return [kernel.astype(np.float32).reshape(shape), (mean_y - mean_x @ kernel).astype(np.float32)]


def _chained(layers: list[Any], node: Node, flat: Unfolded) -> list[Node]:
    """Return the layers as nodes from the old node's input to its output."""
    key = 1 + max([*flat.inputs.values(), *(k for n in flat.nodes for k in n.outputs)])
    source, shape, nodes = node.inputs[0], node.input_shapes[0], []
    for i, layer in enumerate(layers):
        target = node.outputs[0] if i == len(layers) - 1 else key + i
        out = tuple(layer.compute_output_shape(shape))
        nodes.append(Node(layer.name, layer, (TensorRef(source),), {}, (source,), (target,), (shape,), (out,)))
        source, shape = target, out
    return nodes

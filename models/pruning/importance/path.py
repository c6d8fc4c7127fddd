"""Path importance: how much flows from inputs to outputs through the chains that a unit is part of."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.dependency import Role
from models.pruning.graph import Graph
from models.pruning.group import Group


@dataclass(frozen=True, eq=False)
class PathFlow:
    """
    Sum over all paths from input to output through a unit of the product of |w| along the path (synaptic flow).

    With every weight replaced by its absolute value, biases and offsets by zero and ones as input, the output R is
    the sum over paths; w dR/dw of a unit's weights is the share that passes through it. Needs no data.

    References
    ----------
    .. [1] Tanaka et al., Pruning neural networks without any data by iteratively conserving synaptic flow,
       NeurIPS 2020, arXiv:2006.05467. Departure: batch norm is kept as a gain gamma / sigma; gates of recurrent
       layers keep their nonlinearity, so that there it is flow at the point of the ones input.
    """

    comparable: bool = True
    name: str = "path"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return the flow through each unit, relative to the network's, shape ``(n_units,)``."""
        flows = _flows(group.graph)
        total = np.zeros(len(group))
        for d in group.with_role(Role.MAKES):
            flow = flows.get((d.layer, d.weight))
            if flow is not None:
                total += group.gather(d, flow.sum(axis=tuple(a for a in range(flow.ndim) if a != d.axis)))
        return total


def _flows(graph: Graph) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Return |w| dR/d|w| of every kernel, divided by R; computed once per graph."""
    known: dict[tuple[str, int], NDArray[np.float64]] = graph.memo.get("flows", {})
    if known:
        return known
    import tensorflow as tf

    from models.pruning.surgery import from_config, rebuild

    twin = rebuild(graph.flat, lambda _, n: from_config(n, n.layer.get_config()), lambda name: _absolute(graph, name))
    names = {name.replace("/", "_"): name for name in dict.fromkeys(n.name for n in graph.nodes)}
    keys = [(names[layer.name], i) for layer in twin.layers if layer.name in names for i in range(len(layer.weights))]
    variables = [twin.get_layer(n.replace("/", "_")).weights[i] for n, i in keys]
    ones = [tf.ones((1, *(int(n or 8) for n in t.shape[1:])), t.dtype) for t in twin.inputs]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        outputs = tf.nest.flatten(_linear_end(twin)(ones if len(ones) > 1 else ones[0], training=False))
        total = tf.add_n([tf.reduce_sum(o) for o in outputs])
    scale = max(abs(float(total)), 1e-30)
    found = tape.gradient(total, variables)
    flows = {
        k: np.abs(np.asarray(tf.convert_to_tensor(g), np.float64) * w.numpy()) / scale
        for k, g, w in zip(keys, found, variables, strict=True)
        if g is not None
    }
    graph.memo["flows"] = flows
    return flows


def _linear_end(model: Any) -> Any:
    """A softmax or sigmoid at the end would hide the flow: take it off (the twin is ours to change)."""
    import tf_keras

    for name in model.output_names:
        layer = model.get_layer(name)
        if getattr(layer, "activation", None) is not None:
            layer.activation = tf_keras.activations.linear
    return model


def _absolute(graph: Graph, name: str) -> list[NDArray[np.float32]]:
    """Return |w|; biases and means zero; a batch norm becomes the gain |gamma| / sigma."""
    values = []
    for variable, value in zip(graph.layer(name).weights, graph.weights(name), strict=True):
        end = variable.name.rsplit("/", 1)[-1]
        if "variance" in end or end.startswith("count"):
            values.append(value)
        elif any(word in end for word in ("bias", "beta", "mean")):
            values.append(np.zeros_like(value))
        else:
            values.append(np.abs(value))
    return values

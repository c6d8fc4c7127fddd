"""Rewriting a flat graph: nodes taken out, edges cut, seams put in. Pure: each function returns a new graph."""

from dataclasses import replace
from typing import Any

from models.pruning.errors import PruningError
from models.pruning.node import Node, Tap, TensorRef
from models.pruning.unfold import Unfolded

MERGES = ("Add", "Concatenate", "Multiply", "Average", "Maximum", "Minimum", "Subtract")


def node_named(flat: Unfolded, name: str) -> Node:
    """
    Return the one node of a layer.

    Raises
    ------
    PruningError
        If no layer has the name, or it is called more than once.
    """
    found = [n for n in flat.nodes if n.name == name]
    if len(found) != 1:
        what = "is called more than once" if found else "is not in the model"
        raise PruningError(f"layer {name!r} {what}; layers: {', '.join(dict.fromkeys(n.name for n in flat.nodes))}")
    return found[0]


def consumers(flat: Unfolded, key: int) -> list[Node]:
    """Return the nodes that read a tensor."""
    return [n for n in flat.nodes if key in n.inputs]


def aliased(flat: Unfolded, old: int, new: int) -> Unfolded:
    """Let everybody who read tensor `old` read `new`."""
    import tensorflow as tf

    def swap(value: Any) -> Any:
        return TensorRef(new) if value == TensorRef(old) else value

    def moved(node: Node) -> Node:
        args, kwargs = tf.nest.map_structure(swap, (node.args, node.kwargs))
        return replace(node, args=args, kwargs=kwargs, inputs=tuple(new if k == old else k for k in node.inputs))

    nodes = [moved(n) if old in n.inputs else n for n in flat.nodes]
    return replace(flat, nodes=nodes, output_structure=tf.nest.map_structure(swap, flat.output_structure))


def without_node(flat: Unfolded, node: Node) -> Unfolded:
    """Take out a node with one input and one output of equal meaning; its readers read its input."""
    rest = replace(flat, nodes=[n for n in flat.nodes if n is not node])
    return aliased(rest, node.outputs[0], node.inputs[0])


def without_edge(flat: Unfolded, merge: str, index: int) -> Unfolded:
    """Cut one input of a merging layer; a merge left with one input is taken out."""
    node = node_named(flat, merge)
    refs = list(node.args[0])
    del refs[index]
    keep = [i for i in range(len(node.inputs)) if i != index]
    smaller = replace(
        node,
        args=(refs, *node.args[1:]),
        inputs=tuple(node.inputs[i] for i in keep),
        input_shapes=tuple(node.input_shapes[i] for i in keep),
    )
    flat = replace(flat, nodes=[smaller if n is node else n for n in flat.nodes])
    return without_node(flat, smaller) if len(keep) == 1 else flat


def with_tap(flat: Unfolded, merge: str, index: int) -> tuple[Unfolded, Tap]:
    """Put a seam into one input edge of a merging layer."""
    import tf_keras

    node = node_named(flat, merge)
    key = 1 + max([*flat.inputs.values(), *(k for n in flat.nodes for k in n.outputs)])
    layer = tf_keras.layers.Activation("linear", name=f"{merge.replace('/', '_')}_seam_{index}")
    shape = node.input_shapes[index]
    tap = Tap(
        layer.name, layer, (TensorRef(node.inputs[index]),), {}, (node.inputs[index],), (key,), (shape,), (shape,)
    )
    refs = list(node.args[0])
    refs[index] = TensorRef(key)
    inputs = tuple(key if i == index else k for i, k in enumerate(node.inputs))
    joined = replace(node, args=(refs, *node.args[1:]), inputs=inputs)
    place = flat.nodes.index(node)
    return replace(flat, nodes=[*flat.nodes[:place], tap, joined, *flat.nodes[place + 1 :]]), tap


def without_dead_ends(flat: Unfolded) -> Unfolded:
    """Drop nodes and inputs that no output needs."""
    import tensorflow as tf

    needed = {ref.key for ref in tf.nest.flatten(flat.output_structure)}
    nodes: list[Node] = []
    for node in reversed(flat.nodes):
        if needed & set(node.outputs):
            needed |= set(node.inputs)
            nodes.append(node)
    inputs = {name: key for name, key in flat.inputs.items() if key in needed}
    if len(inputs) == len(flat.inputs):
        return replace(flat, nodes=nodes[::-1])
    kept = _kept_structure(flat.input_structure, set(inputs.values()))
    return replace(flat, nodes=nodes[::-1], inputs=inputs, input_structure=kept)


def _kept_structure(structure: Any, keys: set[int]) -> Any:
    """Drop the inputs that are gone from the model's input structure."""
    if isinstance(structure, dict):
        return {k: v for k, v in structure.items() if v.key in keys}
    left = [ref for ref in structure if ref.key in keys]
    return left[0] if len(left) == 1 else left

"""From a functional tf_keras model to a flat list of nodes: nested models unfolded, tensors keyed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from models.pruning.errors import PruningError
from models.pruning.node import Node, TensorRef


@dataclass
class Unfolded:
    """
    The flat form of a model.

    Attributes
    ----------
    nodes : list of Node
        In an order in which every input exists before it is read. Input layers are not among them.
    inputs : dict of str to int
        Tensor key by the name of the input layer, in the model's order.
    input_layers : dict of str to InputLayer
        The layer of each input.
    output_structure : Any
        The model's outputs (a tensor, list or dict) with `TensorRef` for tensors.
    input_structure : Any
        The model's inputs likewise.
    """

    model: Any
    nodes: list[Node] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)
    input_layers: dict[str, Any] = field(default_factory=dict)
    input_structure: Any = None
    output_structure: Any = None


def unfold(model: Any) -> Unfolded:
    """
    Return the flat graph of a functional or sequential tf_keras model.

    Raises
    ------
    PruningError
        If the model is not a functional tf_keras model with a built graph, or uses one layer name twice.
    """
    import tensorflow as tf
    import tf_keras

    if not isinstance(model, tf_keras.Model) or not getattr(model, "_is_graph_network", False):
        raise PruningError(
            f"pruning needs a built functional or Sequential tf_keras model, but got {type(model).__module__}."
            f"{type(model).__name__} {getattr(model, 'name', '')!r}; build it from tf_keras.Input (not tf.keras), "
            "or set TF_USE_LEGACY_KERAS=1 before the first TensorFlow import"
        )
    flat = Unfolded(model)
    keys: dict[int, int] = {}
    for tensor in model.inputs:
        history = tensor._keras_history.layer
        keys[id(tensor)] = len(keys)
        flat.inputs[history.name] = keys[id(tensor)]
        flat.input_layers[history.name] = history
    counter = iter(range(len(keys), 10**9))
    _walk(model, "", keys, counter, flat, {})

    def ref(value: Any) -> Any:
        return TensorRef(keys[id(value)])

    flat.input_structure = tf.nest.map_structure(ref, model._nested_inputs)
    flat.output_structure = tf.nest.map_structure(ref, model._nested_outputs)
    return flat


def _walk(
    model: Any, prefix: str, keys: dict[int, int], counter: Iterator[int], flat: Unfolded, names: dict[str, int]
) -> None:
    """Append the nodes of `model`; `keys` maps the id of each tensor to its key and grows."""
    import tensorflow as tf

    for depth in sorted(model._nodes_by_depth, reverse=True):
        for keras_node in model._nodes_by_depth[depth]:
            if keras_node.is_input:
                continue
            layer, name = keras_node.layer, prefix + keras_node.layer.name
            tensors = tf.nest.flatten(keras_node.keras_inputs)
            outputs = tf.nest.flatten(keras_node.outputs)
            if getattr(layer, "_is_graph_network", False):
                inner = dict(zip(map(id, layer.inputs), (keys[id(t)] for t in tensors), strict=True))
                _walk(layer, name + "/", inner, counter, flat, names)
                keys.update(zip(map(id, outputs), (inner[id(t)] for t in layer.outputs), strict=True))
                continue
            if names.setdefault(name, id(layer)) != id(layer):
                raise PruningError(f"two layers are named {name!r}; give every layer a name of its own")
            keys.update((id(t), next(counter)) for t in outputs)
            flat.nodes.append(_node(name, keras_node, tensors, outputs, keys))


def _node(name: str, keras_node: Any, tensors: list[Any], outputs: list[Any], keys: dict[int, int]) -> Node:
    """Freeze one Keras node, tensors replaced by references."""
    import tensorflow as tf

    known = {id(t) for t in tensors}

    def ref(value: Any) -> Any:
        return TensorRef(keys[id(value)]) if id(value) in known else value

    args, kwargs = tf.nest.map_structure(ref, (keras_node.call_args, keras_node.call_kwargs))
    return Node(
        name,
        keras_node.layer,
        args,
        kwargs,
        tuple(keys[id(t)] for t in tensors),
        tuple(keys[id(t)] for t in outputs),
        tuple(tuple(t.shape) for t in tensors),
        tuple(tuple(t.shape) for t in outputs),
    )

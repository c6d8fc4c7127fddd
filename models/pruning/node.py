"""A node: one call of one Keras layer, with nested models already unfolded."""

from dataclasses import dataclass
from typing import Any

from models.pruning.channels import Ids


@dataclass(frozen=True)
class TensorRef:
    """Stands in a call's arguments for the tensor of that key."""

    key: int


@dataclass(frozen=True)
class Node:
    """
    One call of one layer.

    Attributes
    ----------
    name : str
        The layer's name, unique in the graph; a nested layer is ``outer/inner``.
    layer : tf_keras.layers.Layer
        The layer of the model that was given; only ever read.
    args, kwargs : tuple, dict
        The arguments of the call, with `TensorRef` in place of tensors.
    inputs, outputs : tuple of int
        Keys of the tensors read and made, in the order in which they occur in the arguments.
    input_shapes, output_shapes : tuple of tuple
        Shapes including the batch axis, which is None.
    """

    name: str
    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    output_shapes: tuple[tuple[int | None, ...], ...]

    @property
    def kind(self) -> str:
        """Class name of the layer."""
        return type(self.layer).__name__


class Tap(Node):
    """A seam put into the graph: its output's channels are its own, so that what lies behind can be cut apart."""

    @property
    def kind(self) -> str:
        """Say that this is a tap, whatever layer stands in for it."""
        return "Tap"


@dataclass(frozen=True)
class Flow:
    """The channel ids of a node's inputs and outputs, one vector (last axis) per tensor."""

    inputs: tuple[Ids, ...]
    outputs: tuple[Ids, ...]

"""Layers with kernels: dense, convolution, transposed, depthwise, separable, embedding."""

from math import prod
from typing import Any

import numpy as np

from models.pruning.channels import Ids
from models.pruning.dependency import Role
from models.pruning.node import Node
from models.pruning.rules.base import Call, Kept, Rule, positions

_MIXING = {"softmax", "log_softmax"}


def freeze_if_mixing(call: Call, ids: Ids) -> None:
    """Freeze channels that an activation normalises against one another."""
    activation = getattr(call.layer, "activation", None)
    if getattr(activation, "__name__", "") in _MIXING:
        call.freeze(ids, "softmax compares channels with one another")


class DenseRule(Rule):
    """Kernel ``(in, units)``."""

    kinds = ("Dense",)

    def flow(self, call: Call) -> list[Ids]:
        layer, made = call.layer, call.fresh(call.width())
        call.depend(layer.kernel, 0, call.inputs[0], Role.READS)
        call.depend(layer.kernel, 1, made, Role.MAKES)
        call.depend(layer.bias, 0, made, Role.MAKES)
        freeze_if_mixing(call, made)
        return [made]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        return config | {"units": len(kept.outputs[0])}

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return prod(sizes[0]) * positions(node.output_shapes[0])


class ConvRule(Rule):
    """Kernel ``(..., in, filters)``; one group per channel is depthwise, other groups are passed through uncut."""

    kinds: tuple[str, ...] = ("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D")

    def flow(self, call: Call) -> list[Ids]:
        layer = call.layer
        if layer.groups == len(call.inputs[0]) > 1:
            return [self._depthwise(call)]
        if layer.groups > 1:
            return call.uncut("a grouped convolution needs equal groups")
        made = call.fresh(layer.filters)
        call.depend(layer.kernel, -2, call.inputs[0], Role.READS)
        call.depend(layer.kernel, -1, made, Role.MAKES)
        call.depend(layer.bias, 0, made, Role.MAKES)
        freeze_if_mixing(call, made)
        return [made]

    def _depthwise(self, call: Call) -> Ids:
        """One group per channel (ConvNeXt): every channel lives on, filters / channels times over."""
        passed = np.repeat(call.inputs[0], call.layer.filters // call.layer.groups)
        call.depend(call.layer.kernel, -1, passed, Role.CARRIES)
        call.depend(call.layer.bias, 0, passed, Role.CARRIES)
        return passed

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        new = config | {"filters": len(kept.outputs[0])}
        is_depthwise = config.get("groups", 1) == int(node.input_shapes[0][-1] or 0) > 1
        return new | {"groups": len(kept.inputs[0])} if is_depthwise else new

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return prod(sizes[0]) * positions(node.output_shapes[0])


class TransposedConvRule(ConvRule):
    """Kernel ``(..., filters, in)``: the two channel axes are exchanged."""

    kinds = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")

    def flow(self, call: Call) -> list[Ids]:
        layer, made = call.layer, call.fresh(call.layer.filters)
        call.depend(layer.kernel, -1, call.inputs[0], Role.READS)
        call.depend(layer.kernel, -2, made, Role.MAKES)
        call.depend(layer.bias, 0, made, Role.MAKES)
        freeze_if_mixing(call, made)
        return [made]

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return prod(sizes[0]) * positions(node.input_shapes[0])


class DepthwiseRule(Rule):
    """Kernel ``(..., in, multiplier)``: every channel lives on, `multiplier` times over."""

    kinds = ("DepthwiseConv1D", "DepthwiseConv2D")

    def flow(self, call: Call) -> list[Ids]:
        layer = call.layer
        passed = np.repeat(call.inputs[0], layer.depth_multiplier)
        call.depend(layer.depthwise_kernel, -2, call.inputs[0], Role.CARRIES)
        call.depend(layer.bias, 0, passed, Role.CARRIES)
        return [passed]

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return prod(sizes[0]) * positions(node.output_shapes[0])


class SeparableRule(Rule):
    """A depthwise kernel that carries and a pointwise kernel that reads and makes."""

    kinds = ("SeparableConv1D", "SeparableConv2D")

    def flow(self, call: Call) -> list[Ids]:
        layer, made = call.layer, call.fresh(call.layer.filters)
        call.depend(layer.depthwise_kernel, -2, call.inputs[0], Role.CARRIES)
        call.depend(layer.pointwise_kernel, -2, np.repeat(call.inputs[0], layer.depth_multiplier), Role.READS)
        call.depend(layer.pointwise_kernel, -1, made, Role.MAKES)
        call.depend(layer.bias, 0, made, Role.MAKES)
        freeze_if_mixing(call, made)
        return [made]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        return config | {"filters": len(kept.outputs[0])}

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return (prod(sizes[0]) + prod(sizes[1])) * positions(node.output_shapes[0])


class EmbeddingRule(Rule):
    """A table ``(vocabulary, width)``: the width can be cut, the vocabulary cannot."""

    kinds = ("Embedding",)

    def flow(self, call: Call) -> list[Ids]:
        call.freeze(call.inputs[0], "an embedding reads indices")
        made = call.fresh(call.width())
        call.depend(call.layer.embeddings, 1, made, Role.MAKES)
        return [made]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        return config | {"output_dim": len(kept.outputs[0])}


RULES: tuple[Rule, ...] = (
    DenseRule(),
    ConvRule(),
    TransposedConvRule(),
    DepthwiseRule(),
    SeparableRule(),
    EmbeddingRule(),
)

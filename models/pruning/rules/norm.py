"""Normalisation and layers with one number per channel."""

from typing import Any

from models.pruning.channels import Ids
from models.pruning.dependency import Role
from models.pruning.node import Node
from models.pruning.rules.base import Call, Kept, Rule


def _axes(layer: Any) -> list[int]:
    axis = () if layer.axis is None else layer.axis
    return [int(a) for a in axis] if isinstance(axis, list | tuple) else [int(axis)]


def _is_last(call: Call) -> bool:
    rank = len(call.node.input_shapes[0])
    return [a % rank for a in _axes(call.layer)] == [rank - 1]


class BatchNormRule(Rule):
    """Gamma, beta, mean and variance go with their channel."""

    kinds = ("BatchNormalization", "SyncBatchNormalization")

    def flow(self, call: Call) -> list[Ids]:
        layer, ids = call.layer, call.inputs[0]
        if not _is_last(call):
            call.freeze(ids, "normalised along another axis than the last")
            return [ids]
        for weight in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
            call.depend(weight, 0, ids, Role.CARRIES)
        return [ids]


class LayerNormRule(Rule):
    """
    The stated exception: statistics pool over the channels, so cutting some changes what the others become.

    The cut network equals the twin whose statistics run over the kept channels only; `mask_plan` builds that.
    """

    kinds = ("LayerNormalization",)

    def flow(self, call: Call) -> list[Ids]:
        layer, ids = call.layer, call.inputs[0]
        if not _is_last(call):
            call.freeze(ids, "normalised along another axis than the last")
            return [ids]
        call.pooled.append(ids)
        call.depend(layer.gamma, 0, ids, Role.CARRIES)
        call.depend(layer.beta, 0, ids, Role.CARRIES)
        return [ids]


class PReLURule(Rule):
    """One slope per channel, on the last axis."""

    kinds = ("PReLU",)

    def flow(self, call: Call) -> list[Ids]:
        if int(call.layer.alpha.shape[-1]) == len(call.inputs[0]):
            call.depend(call.layer.alpha, -1, call.inputs[0], Role.CARRIES)
        return [call.inputs[0]]


class LayerScaleRule(Rule):
    """ConvNeXt's learned gain per channel."""

    kinds = ("LayerScale",)

    def flow(self, call: Call) -> list[Ids]:
        call.depend(call.layer.gamma, 0, call.inputs[0], Role.CARRIES)
        return [call.inputs[0]]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        return config | {"projection_dim": len(kept.outputs[0])}


class FreezingRule(Rule):
    """Layers that mix channels without a kernel, or hold constants per channel: passed, but not cut."""

    kinds = ("GroupNormalization", "UnitNormalization", "Softmax")

    def flow(self, call: Call) -> list[Ids]:
        call.freeze(call.inputs[0], f"{call.node.kind} compares channels with one another")
        return [call.inputs[0]]


class NormalizationRule(Rule):
    """Adapted mean and variance per channel go with it; constants given by hand stay, and so do their channels."""

    kinds = ("Normalization",)

    def flow(self, call: Call) -> list[Ids]:
        layer, ids = call.layer, call.inputs[0]
        if not _is_last(call) or layer.input_mean is not None:
            call.freeze(ids, "normalised by constants that are not cut")
            return [ids]
        call.depend(layer.adapt_mean, 0, ids, Role.CARRIES)
        call.depend(layer.adapt_variance, 0, ids, Role.CARRIES)
        return [ids]


RULES: tuple[Rule, ...] = (
    NormalizationRule(),
    BatchNormRule(),
    LayerNormRule(),
    PReLURule(),
    LayerScaleRule(),
    FreezingRule(),
)

"""Layers through which channels pass, and layers that merge tensors."""

import numpy as np

from models.pruning.channels import Ids
from models.pruning.rules.base import Call, Rule


def merge(call: Call, many: list[Ids]) -> Ids:
    """Unify the channels of tensors that are combined element by element; width 1 broadcasts."""
    wide = max(many, key=len)
    for ids in many:
        if len(ids) == len(wide):
            if ids is not wide:
                call.space.union(wide, ids)
        elif len(ids) == 1:
            call.freeze(ids, "broadcast over all channels")
        else:
            call.freeze(ids, "broadcast in an undecidable way")
            call.freeze(wide, "broadcast in an undecidable way")
    return wide


class PassRule(Rule):
    """Element-wise, pooling, padding and regularising layers: the last axis passes unchanged."""

    kinds = (
        "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Dropout", "SpatialDropout1D", "SpatialDropout2D",
        "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization", "StochasticDepth",
        "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D",
        "AveragePooling3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D",
        "GlobalMaxPooling2D", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D",
        "UpSampling2D", "RepeatVector", "Masking", "Resizing", "CenterCrop", "Identity",
    )  # fmt: skip


class ActivationRule(Rule):
    """Activations pass, except those that normalise over the channels."""

    kinds = ("Activation",)

    def flow(self, call: Call) -> list[Ids]:
        if getattr(call.layer.activation, "__name__", "") in {"softmax", "log_softmax"}:
            call.freeze(call.inputs[0], "softmax compares channels with one another")
        return [call.inputs[0]]


class RescalingRule(Rule):
    """A scalar scale passes; one per channel holds constants that are not cut."""

    kinds = ("Rescaling",)

    def flow(self, call: Call) -> list[Ids]:
        if np.size(call.layer.scale) > 1 or np.size(call.layer.offset) > 1:
            call.freeze(call.inputs[0], "rescaled by one constant per channel")
        return [call.inputs[0]]


class MergeRule(Rule):
    """Residual additions, gates and the like: what meets must be cut together (CustomScaleLayer: Inception-ResNet)."""

    kinds = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "CustomScaleLayer")

    def flow(self, call: Call) -> list[Ids]:
        return [merge(call, call.inputs)]


class ConcatenateRule(Rule):
    """Channels side by side; along any other axis the inputs must agree."""

    kinds = ("Concatenate",)

    def flow(self, call: Call) -> list[Ids]:
        rank = len(call.node.input_shapes[0])
        if call.layer.axis % rank == rank - 1:
            return [np.concatenate(call.inputs)]
        return [merge(call, call.inputs)]


class DotRule(Rule):
    """A product of tensors contracts over axes; its inputs are not cut."""

    kinds = ("Dot",)

    def flow(self, call: Call) -> list[Ids]:
        return call.uncut("contracted by a dot product")


class TapRule(Rule):
    """A seam: new channels from here on, tied to nothing before."""

    kinds = ("Tap",)

    def flow(self, call: Call) -> list[Ids]:
        return [call.fresh(call.width())]


RULES: tuple[Rule, ...] = (
    PassRule(), ActivationRule(), RescalingRule(), MergeRule(), ConcatenateRule(), DotRule(), TapRule(),
)  # fmt: skip

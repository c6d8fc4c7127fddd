"""Layers that rearrange axes: decided by moving the ids themselves the way the data moves."""

from typing import Any

import numpy as np

from models.pruning.channels import Ids
from models.pruning.node import Node
from models.pruning.rules.base import Call, Kept, Rule

_MOST = 4_000_000  # elements of an id tensor worth moving; larger ones are left uncut


def rearranged(ids: Ids, shape: tuple[int | None, ...], target: tuple[int | None, ...]) -> Ids | None:
    """
    Return the ids of the last axis after a reshape, or None when one position would mix channels.

    The ids are broadcast to the full tensor and reshaped like the data; the new last axis is decidable when
    each of its positions holds one and the same id everywhere.
    """
    if None in shape[1:] or None in target[1:]:
        keeps_last = shape[-1] == target[-1] and shape[-1] is not None
        return ids if keeps_last else None
    full = tuple(int(n or 1) for n in shape[1:])
    new = tuple(int(n or 1) for n in target[1:])
    if np.prod(full, dtype=np.int64) > _MOST:
        return None
    moved = np.broadcast_to(ids, full).reshape(-1, new[-1])
    return moved[0].copy() if bool((moved == moved[0]).all()) else None


class ReshapeRule(Rule):
    """Flatten and Reshape."""

    kinds = ("Flatten", "Reshape")

    def flow(self, call: Call) -> list[Ids]:
        node = call.node
        moved = rearranged(call.inputs[0], node.input_shapes[0], node.output_shapes[0])
        if moved is None:
            call.freeze(call.inputs[0], "reshaped in a way that mixes channels")
            return [call.fixed(call.width(), "reshaped in a way that mixes channels")]
        return [moved]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        if "target_shape" not in config:
            return config
        inner = [int(n or -1) for n in node.output_shapes[0][1:-1]]
        return config | {"target_shape": (*inner, len(kept.outputs[0]))}


class PermuteRule(Rule):
    """Permute keeps the last axis, or the channels on it are not cut."""

    kinds = ("Permute",)

    def flow(self, call: Call) -> list[Ids]:
        dims = tuple(call.layer.dims)
        if dims[-1] == len(dims):
            return [call.inputs[0]]
        call.freeze(call.inputs[0], "the channel axis is moved")
        return [call.fixed(call.width(), "the channel axis is moved")]


RULES: tuple[Rule, ...] = (ReshapeRule(), PermuteRule())

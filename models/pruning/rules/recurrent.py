"""Recurrent layers: gate blocks of columns, rows of the recurrent kernel, rows of the consumers."""

from math import prod
from typing import Any

import numpy as np

from models.pruning.channels import Ids
from models.pruning.dependency import Role
from models.pruning.node import Node
from models.pruning.rules.base import Call, Kept, Rule, positions, tiled
from models.pruning.rules.elementwise import merge

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def unit_ids(call: Call, layer: Any, read: Ids, part: str = "") -> Ids:
    """Note the dependencies of one recurrent layer and return the ids of its units."""
    gates, made = GATES[type(layer).__name__], call.fresh(layer.units, part)
    cell = layer.cell
    call.depend(cell.kernel, 0, read, Role.READS)
    call.depend(cell.kernel, 1, tiled(made, gates), Role.MAKES)
    call.depend(cell.recurrent_kernel, 0, made, Role.READS)
    call.depend(cell.recurrent_kernel, 1, tiled(made, gates), Role.MAKES)
    call.depend(cell.bias, -1, tiled(made, gates), Role.MAKES)
    return made


def cell_macs(node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
    """Return steps x (kernel + recurrent kernel); biases do not multiply."""
    steps = int(node.input_shapes[0][1] or 1)
    return steps * sum(s[0] * s[1] for i, s in enumerate(sizes) if len(s) == 2 and not _is_bias(node, i))


def _is_bias(node: Node, weight: int) -> bool:
    """Tell a GRU's two-row bias from its kernels."""
    return "bias" in node.layer.weights[weight].name.rsplit("/", 1)[-1]


class RecurrentRule(Rule):
    """LSTM, GRU and SimpleRNN, with or without sequences, states and initial states."""

    kinds = tuple(GATES)

    def flow(self, call: Call) -> list[Ids]:
        made = unit_ids(call, call.layer, call.inputs[0])
        for state in call.inputs[1:]:
            call.space.union(made, state)
        return [made for _ in call.node.outputs]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        return config | {"units": len(kept.outputs[0])}

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return cell_macs(node, sizes)


class BidirectionalRule(Rule):
    """Both directions; concatenated ones are cut apart, merged ones together."""

    kinds = ("Bidirectional",)

    def flow(self, call: Call) -> list[Ids]:
        wrapper = call.layer
        if len(call.inputs) > 1 or getattr(wrapper, "return_state", False):
            return call.uncut("a bidirectional layer with explicit states is not cut")
        forward = unit_ids(call, wrapper.forward_layer, call.inputs[0], ".forward")
        backward = unit_ids(call, wrapper.backward_layer, call.inputs[0], ".backward")
        if wrapper.merge_mode is None:
            return [forward, backward]
        if wrapper.merge_mode == "concat":
            return [np.concatenate([forward, backward])]
        return [merge(call, [forward, backward])]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        # The backward layer is stored only if the user gave one; unequal widths need it stored.
        backward = _serialised(node.layer.backward_layer)
        units = [_units(node, layer, kept) for layer in (node.layer.forward_layer, node.layer.backward_layer)]
        forward_config = dict(config["layer"]["config"]) | {"units": units[0]}
        backward_config = dict(backward["config"]) | {"units": units[1]}
        return config | {
            "layer": config["layer"] | {"config": forward_config},
            "backward_layer": backward | {"config": backward_config},
        }

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return cell_macs(node, sizes)


def _units(node: Node, layer: Any, kept: Kept) -> int:
    """Return how many rows of one direction's recurrent kernel survive."""
    index = next(i for i, w in enumerate(node.layer.weights) if w is layer.cell.recurrent_kernel)
    return len(kept.weights[index][0])


def _serialised(layer: Any) -> dict[str, Any]:
    import tf_keras

    config: dict[str, Any] = tf_keras.saving.serialize_keras_object(layer)
    return config


class ConvRecurrentRule(Rule):
    """ConvLSTM: the gate blocks of an LSTM in the last axis of convolution kernels."""

    kinds = ("ConvLSTM1D", "ConvLSTM2D")

    def flow(self, call: Call) -> list[Ids]:
        cell, made = call.layer.cell, call.fresh(call.layer.filters)
        if len(call.inputs) > 1:
            return call.uncut("a ConvLSTM with explicit states is not cut")
        call.depend(cell.kernel, -2, call.inputs[0], Role.READS)
        call.depend(cell.kernel, -1, tiled(made, 4), Role.MAKES)
        call.depend(cell.recurrent_kernel, -2, made, Role.READS)
        call.depend(cell.recurrent_kernel, -1, tiled(made, 4), Role.MAKES)
        call.depend(cell.bias, 0, tiled(made, 4), Role.MAKES)
        return [made for _ in call.node.outputs]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        return config | {"filters": len(kept.outputs[0])}

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        steps, inner = int(node.input_shapes[0][1] or 1), positions(node.output_shapes[0])
        per_frame = inner // steps if node.layer.return_sequences else inner
        return steps * per_frame * sum(prod(s) for s in sizes if len(s) > 2)


RULES: tuple[Rule, ...] = (RecurrentRule(), BidirectionalRule(), ConvRecurrentRule())

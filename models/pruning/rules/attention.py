"""Multi-head attention: its inputs, its output and its heads are cut."""

from math import prod
from typing import Any

from models.pruning.channels import Ids
from models.pruning.dependency import Role
from models.pruning.node import Node
from models.pruning.rules.base import Call, Kept, Rule, positions


class MultiHeadAttentionRule(Rule):
    """
    Query, key and value kernels ``(in, heads, dim)`` read; the output kernel ``(heads, dim, out)`` makes.

    Heads are a group of their own, ``<layer>/heads``: made by the first three, read by the output kernel, seen by
    nobody else. A head whose output rows are zero adds nothing, so removal is exact.
    """

    kinds = ("MultiHeadAttention",)

    def flow(self, call: Call) -> list[Ids]:
        layer = call.layer
        query, value = call.inputs[0], call.inputs[1] if len(call.inputs) > 1 else call.inputs[0]
        key = call.inputs[2] if len(call.inputs) > 2 else value
        readers = ((layer._query_dense, query), (layer._key_dense, key), (layer._value_dense, value))
        for dense, ids in readers:
            call.depend(dense.kernel, 0, ids, Role.READS)
        heads = call.fresh(int(layer._num_heads), "/heads")
        for dense, _ in readers:
            call.depend(dense.kernel, 1, heads, Role.MAKES)
            call.depend(dense.bias, 0, heads, Role.MAKES)
        call.depend(layer._output_dense.kernel, 0, heads, Role.READS)
        if len(call.node.outputs) > 1:
            call.freeze(heads, "attention scores are asked for by head")
        made = call.fresh(call.width())
        call.depend(layer._output_dense.kernel, -1, made, Role.MAKES)
        call.depend(layer._output_dense.bias, 0, made, Role.MAKES)
        scores = [call.fixed(call.width(i), "attention scores") for i in range(1, len(call.node.outputs))]
        return [made, *scores]

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        # The stored input shapes would build the old widths.
        query, value = kept.inputs[0], kept.inputs[min(1, len(kept.inputs) - 1)]
        key = kept.inputs[2] if len(kept.inputs) > 2 else value
        shapes = {
            name: [*list(config[name])[:-1], len(ids)]
            for name, ids in (("query_shape", query), ("key_shape", key), ("value_shape", value))
        }
        heads = len(kept.weights[0][1])  # the query kernel comes first: (in, heads, dim)
        return config | shapes | {"output_shape": (len(kept.outputs[0]),), "num_heads": heads}

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        steps = positions(node.input_shapes[0])
        kernels = sum(prod(s) for s in sizes if len(s) == 3)
        return steps * kernels + 2 * steps * steps * sizes[0][1] * int(node.layer._key_dim)


class AttentionRule(Rule):
    """Dot-product and additive attention without kernels: values pass; queries and keys are compared, so kept."""

    kinds = ("Attention", "AdditiveAttention")

    def flow(self, call: Call) -> list[Ids]:
        query, value = call.inputs[0], call.inputs[1]
        key = call.inputs[2] if len(call.inputs) > 2 else value
        for ids in (query, key):
            call.freeze(ids, "queries and keys are compared over all channels")
        return [value for _ in call.node.outputs[:1]] + [
            call.fixed(call.width(i), "attention scores") for i in range(1, len(call.node.outputs))
        ]


RULES: tuple[Rule, ...] = (MultiHeadAttentionRule(), AttentionRule())

"""Wrappers that hand every call to the layer inside."""

from dataclasses import replace
from typing import Any

from models.pruning.channels import Ids
from models.pruning.errors import UnsupportedLayerError
from models.pruning.node import Node
from models.pruning.rules import attention, dense_conv, elementwise, norm
from models.pruning.rules.base import Call, Kept, Rule

_INNER = {
    kind: rule
    for table in (dense_conv.RULES, norm.RULES, elementwise.RULES, attention.RULES)
    for rule in table
    for kind in rule.kinds
}


class TimeDistributedRule(Rule):
    """The wrapped layer's rule, applied to every step."""

    kinds = ("TimeDistributed",)

    def flow(self, call: Call) -> list[Ids]:
        return self._inner(call.node).flow(replace(call, layer=call.layer.layer))

    def resize(self, config: dict[str, Any], node: Node, kept: Kept) -> dict[str, Any]:
        inner = self._inner(node).resize(dict(config["layer"]["config"]), node, kept)
        return config | {"layer": config["layer"] | {"config": inner}}

    def macs(self, node: Node, sizes: tuple[tuple[int, ...], ...]) -> int:
        return self._inner(node).macs(node, sizes)

    def _inner(self, node: Node) -> Rule:
        kind = type(node.layer.layer).__name__
        if kind not in _INNER:
            raise UnsupportedLayerError(
                f"layer {node.name!r} distributes {kind!r} over time, which pruning does not know; "
                f"known inside TimeDistributed: {', '.join(sorted(_INNER))}"
            )
        return _INNER[kind]


RULES: tuple[Rule, ...] = (TimeDistributedRule(),)

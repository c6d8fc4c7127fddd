"""Knowledge of layers, one small class per kind, in one table."""

from models.pruning.errors import UnsupportedLayerError
from models.pruning.node import Node
from models.pruning.rules import (
    attention,
    dense_conv,
    elementwise,
    norm,
    operations,
    recurrent,
    shape,
    wrappers,
)
from models.pruning.rules.base import Call, Kept, Rule

RULES: dict[str, Rule] = {
    kind: rule
    for module in (dense_conv, norm, elementwise, shape, recurrent, attention, operations, wrappers)
    for rule in module.RULES
    for kind in rule.kinds
}


def rule_for(node: Node) -> Rule:
    """
    Return the rule of a node's layer.

    Raises
    ------
    UnsupportedLayerError
        If no rule knows the layer's class; the message names the layer and the known ones.
    """
    if node.kind not in RULES:
        raise UnsupportedLayerError(
            f"layer {node.name!r} is a {node.kind!r}, for which pruning has no rule; "
            f"known layers: {', '.join(sorted(RULES))}"
        )
    return RULES[node.kind]


__all__ = ["RULES", "Call", "Kept", "Rule", "rule_for"]

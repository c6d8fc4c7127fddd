"""TensorFlow operations written with operators (``x + 3.0``, ``tf.nn.relu(x)``): TFOpLambda layers."""

from typing import ClassVar

from models.pruning.channels import Ids
from models.pruning.errors import UnsupportedLayerError
from models.pruning.rules.base import Call, Rule
from models.pruning.rules.elementwise import merge


class OperationRule(Rule):
    """The element-wise part of TensorFlow's vocabulary; anything else is refused by name."""

    kinds = ("TFOpLambda",)
    binary: ClassVar[tuple[str, ...]] = (
        "__operators__.add", "math.add", "__operators__.radd", "math.subtract", "math.multiply",
        "math.truediv", "math.divide", "math.maximum", "math.minimum", "__operators__.mul",
    )  # fmt: skip
    unary: ClassVar[tuple[str, ...]] = (
        "nn.relu", "nn.relu6", "nn.silu", "nn.swish", "nn.gelu", "nn.sigmoid", "math.sigmoid", "nn.tanh",
        "math.tanh", "nn.leaky_relu", "nn.elu", "math.abs", "math.square", "math.negative", "identity",
        "cast", "stop_gradient", "clip_by_value", "nn.dropout",
    )  # fmt: skip

    def flow(self, call: Call) -> list[Ids]:
        symbol = str(call.layer.symbol)
        if symbol in self.unary:
            return [call.inputs[0]]
        if symbol in self.binary:
            self._freeze_constants(call)
            return [merge(call, call.inputs)]
        raise UnsupportedLayerError(
            f"layer {call.node.name!r} is the TensorFlow operation {symbol!r}, for which pruning has no rule; "
            f"write it as a Keras layer, or use one of: {', '.join(sorted(self.binary + self.unary))}"
        )

    def _freeze_constants(self, call: Call) -> None:
        """A constant with one number per channel cannot be cut: keep its channels."""
        import numpy as np

        values = [*call.node.args, *call.node.kwargs.values()]
        arrays = [np.shape(v) for v in values if not isinstance(v, str | type(None)) and hasattr(v, "shape")]
        if any(shape and shape[-1] > 1 for shape in arrays):
            for ids in call.inputs:
                call.freeze(ids, "combined with a constant per channel")


RULES: tuple[Rule, ...] = (OperationRule(),)

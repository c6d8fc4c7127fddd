"""TensorFlow operations written with operators (``x + 3.0``, ``x[:, -1]``): TFOpLambda and SlicingOpLambda layers."""

from typing import Any, ClassVar

import numpy as np

from models.pruning.channels import Ids
from models.pruning.errors import UnsupportedLayerError
from models.pruning.node import TensorRef
from models.pruning.rules.base import Call, Rule
from models.pruning.rules.elementwise import merge


class OperationRule(Rule):
    """The part of TensorFlow's vocabulary in which channels can be followed; anything else is refused by name."""

    kinds = ("TFOpLambda",)
    binary: ClassVar[tuple[str, ...]] = (
        "__operators__.add", "math.add", "__operators__.radd", "math.subtract", "math.multiply",
        "math.truediv", "math.divide", "math.maximum", "math.minimum", "__operators__.mul",
    )  # fmt: skip
    unary: ClassVar[tuple[str, ...]] = (
        "nn.relu", "nn.relu6", "nn.silu", "nn.swish", "nn.gelu", "nn.sigmoid", "math.sigmoid", "nn.tanh",
        "math.tanh", "nn.leaky_relu", "nn.elu", "math.abs", "math.square", "math.sqrt", "math.negative",
        "identity", "cast", "stop_gradient", "clip_by_value", "nn.dropout",
    )  # fmt: skip
    reductions: ClassVar[tuple[str, ...]] = (
        "math.reduce_mean",
        "math.reduce_max",
        "math.reduce_sum",
        "math.reduce_min",
    )
    rearranging: ClassVar[tuple[str, ...]] = ("expand_dims", "squeeze", "compat.v1.squeeze")

    def flow(self, call: Call) -> list[Ids]:
        symbol = str(call.layer.symbol)
        if symbol in self.unary:
            return [call.inputs[0]]
        if symbol in self.binary:
            self._freeze_constants(call)
            return [merge(call, call.inputs)]
        if symbol in self.reductions:
            return self._reduce(call)
        if symbol in self.rearranging:
            return self._keep_last(call)
        if symbol == "concat":
            return self._concatenate(call)
        known = sorted((*self.binary, *self.unary, *self.reductions, *self.rearranging, "concat"))
        raise UnsupportedLayerError(
            f"layer {call.node.name!r} is the TensorFlow operation {symbol!r}, for which pruning has no rule; "
            f"write it as a Keras layer, or use one of: {', '.join(known)}"
        )

    def _freeze_constants(self, call: Call) -> None:
        """A constant with one number per channel cannot be cut: keep its channels."""
        values = [*call.node.args, *call.node.kwargs.values()]
        arrays = [np.shape(v) for v in values if not isinstance(v, str | type(None) | TensorRef) and np.ndim(v)]
        if any(shape[-1] > 1 for shape in arrays):
            for ids in call.inputs:
                call.freeze(ids, "combined with a constant per channel")

    def _reduce(self, call: Call) -> list[Ids]:
        axis = _argument(call, 1, "axis")
        rank = len(call.node.input_shapes[0])
        axes = [] if axis is None else [int(a) % rank for a in np.atleast_1d(axis)]
        if axes and rank - 1 not in axes:
            return [call.inputs[0]]
        return call.uncut("reduced over the channels")

    def _keep_last(self, call: Call) -> list[Ids]:
        axis = _argument(call, 1, "axis")
        rank = len(call.node.input_shapes[0])
        grows = "expand" in str(call.layer.symbol)
        places = [] if axis is None else [int(a) % (rank + grows) for a in np.atleast_1d(axis)]
        last = rank if grows else rank - 1
        return [call.inputs[0]] if places and last not in places else call.uncut("the channel axis is moved")

    def _concatenate(self, call: Call) -> list[Ids]:
        axis, rank = int(_argument(call, 1, "axis")), len(call.node.input_shapes[0])
        return [np.concatenate(call.inputs) if axis % rank == rank - 1 else merge(call, call.inputs)]


class SliceRule(Rule):
    """``x[:, -1]`` takes steps and leaves channels alone; a slice of the channels themselves is not cut."""

    kinds = ("SlicingOpLambda",)

    def flow(self, call: Call) -> list[Ids]:
        raw = _argument(call, 1, "slice_spec")
        spec = list(raw) if isinstance(raw, list | tuple) else [raw]
        rank = len(call.node.input_shapes[0])
        if any(part is None for part in spec):
            return call.uncut("sliced with a new axis")
        reaches_last = any(part is Ellipsis for part in spec) or len(spec) == rank
        if reaches_last and spec[-1] is not Ellipsis and not _is_everything(spec[-1]):
            return call.uncut("the channels are sliced")
        return [call.inputs[0]]


def _is_everything(part: Any) -> bool:
    return isinstance(part, dict) and all(part.get(k) is None for k in ("start", "stop", "step"))


def _argument(call: Call, place: int, name: str) -> Any:
    """Return an argument of the operation by place or name."""
    return call.node.args[place] if len(call.node.args) > place else call.node.kwargs.get(name)


RULES: tuple[Rule, ...] = (OperationRule(), SliceRule())

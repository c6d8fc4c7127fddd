"""Removing channels that nobody reads must change nothing, whatever the architecture."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

tf_keras = pytest.importorskip("tf_keras")

from models.pruning import PruningPlan, Random, apply_plan, mask_plan, plan_pruning  # noqa: E402
from tests.models.pruning.nets import answer, inputs_for, randomise  # noqa: E402

L = tf_keras.layers

BLOCKS = ("conv", "residual", "dense_block", "gate", "depthwise", "separable", "pool", "norm", "transposed")
HEADS = ("average", "flatten", "lstm", "gru", "both", "summed", "attention")


def block(kind: str, x: Any, k: int, width: int) -> Any:
    """Append one block; `k` makes names unique."""
    same, shape = {"padding": "same"}, x.shape
    if kind == "conv":
        return L.Conv1D(width, 3, activation="relu", name=f"conv{k}", **same)(x)
    if kind == "residual":
        y = L.Conv1D(width, 3, name=f"in{k}", **same)(x)
        y = L.BatchNormalization(name=f"bn{k}")(y)
        y = L.Conv1D(shape[-1], 1, name=f"out{k}")(L.Activation("swish", name=f"act{k}")(y))
        return L.Add(name=f"add{k}")([x, y])
    if kind == "dense_block":
        return L.Concatenate(name=f"cat{k}")([x, L.Conv1D(width, 3, name=f"grow{k}", **same)(x)])
    if kind == "gate":
        y = L.GlobalAveragePooling1D(keepdims=True, name=f"squeeze{k}")(x)
        return L.Multiply(name=f"mul{k}")([x, L.Dense(shape[-1], activation="sigmoid", name=f"gate{k}")(y)])
    if kind == "depthwise":
        return L.DepthwiseConv1D(3, depth_multiplier=1 + width % 2, name=f"dw{k}", **same)(x)
    if kind == "separable":
        return L.SeparableConv1D(width, 3, name=f"sep{k}", **same)(x)
    if kind == "pool":
        return L.ZeroPadding1D(1, name=f"pad{k}")(L.MaxPooling1D(2, padding="same", name=f"pool{k}")(x))
    if kind == "norm":
        return L.BatchNormalization(name=f"norm{k}")(x)
    return L.Conv1DTranspose(width, 3, name=f"up{k}", **same)(x)


def head(kind: str, x: Any, width: int) -> Any:
    """Append the part that ends the sequence."""
    if kind == "average":
        return L.GlobalAveragePooling1D(name="average")(x)
    if kind == "flatten":
        return L.Dense(width, activation="relu", name="hidden")(L.Flatten(name="flatten")(x))
    if kind == "attention":
        return L.GlobalMaxPooling1D(name="max")(L.MultiHeadAttention(2, 3, name="attention")(x, x))
    if kind == "gru":
        return L.GRU(width, name="gru")(x)
    if kind == "lstm":
        return L.LSTM(width, name="last")(L.LSTM(width + 1, return_sequences=True, name="first")(x))
    return L.Bidirectional(L.LSTM(width), merge_mode="sum" if kind == "summed" else "concat", name="both")(x)


WIDTH = st.integers(2, 6)


@dataclass(frozen=True)
class Design:
    """A network of one to four blocks behind one or two inputs, with one or two outputs."""

    stems: list[int]
    blocks: list[tuple[str, int]]
    head: tuple[str, int]
    outputs: list[int]

    def build(self) -> Any:
        inputs = [L.Input((8, n), name=f"sensor{n}_{i}") for i, n in enumerate(self.stems)]
        paths = [L.Conv1D(7 - i, 3, padding="same", name=f"stem{i}")(x) for i, x in enumerate(inputs)]
        x = L.Concatenate(name="fuse")(paths) if len(paths) > 1 else paths[0]
        for k, (kind, width) in enumerate(self.blocks):
            x = block(kind, x, k, width)
        x = head(self.head[0], x, self.head[1])
        outputs = [L.Dense(n, name=f"answer{i}")(x) for i, n in enumerate(self.outputs)]
        return randomise(tf_keras.Model(inputs, outputs, name="random"))


DESIGNS = st.builds(
    Design,
    st.lists(WIDTH, min_size=1, max_size=2),
    st.lists(st.tuples(st.sampled_from(BLOCKS), WIDTH), min_size=1, max_size=4),
    st.tuples(st.sampled_from(HEADS), WIDTH),
    st.lists(st.integers(1, 3), min_size=1, max_size=2),
)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(DESIGNS, st.floats(0, 0.95), st.sampled_from(["local", "global"]), st.sampled_from([None, 2]))
def test_any_cut_of_any_network_equals_its_masked_twin(
    design: Design, ratio: float, scope: Any, round_to: int | None
) -> None:
    tf_keras.backend.clear_session()
    model = design.build()
    plan = plan_pruning(model, Random(1), ratio=ratio, scope=scope, round_to=round_to)
    plan = PruningPlan.from_json(plan.to_json())
    pruned, masked = apply_plan(model, plan), mask_plan(model, plan)
    batch = inputs_for(model)

    for cut, twin in zip(answer(pruned, batch), answer(masked, batch), strict=True):
        scale = max(1.0, float(np.abs(twin).max()))
        np.testing.assert_allclose(cut / scale, twin / scale, atol=1e-5)
    assert pruned.count_params() == plan.after["parameters"]
    assert all(0 not in w.shape for w in pruned.get_weights())

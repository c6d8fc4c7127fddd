"""The families of tf_keras.applications as a proving ground: networks that nobody here designed."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.pruning.errors import PruningError
from models.pruning.importance import L2Norm
from models.pruning.planner import plan_pruning
from models.pruning.surgery import apply_plan, mask_plan

# Name and the smallest sensible input edge in pixels.
FAMILIES: dict[str, int] = {
    "VGG16": 32,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "ResNetRS50": 64,
    "RegNetX002": 64,
    "RegNetY002": 64,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "MobileNetV3Large": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "Xception": 71,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "NASNetMobile": 64,
    "ConvNeXtTiny": 64,
}
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Outcome:
    """
    What happened to one family.

    `error` is max |pruned - masked| over max |masked| on logits; `seconds` covers planning, cutting and the
    masked twin; `reason` is empty when it works.
    """

    name: str
    works: bool
    seconds: float
    parameters_before: int = 0
    parameters_after: int = 0
    cuttable: float = 0.0
    error: float = float("nan")
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values by name."""
        return asdict(self)


def try_family(name: str, ratio: float = 0.5, seed: int = 0) -> Outcome:
    """
    Halve every cuttable layer of one network and compare it with its masked twin; run forward and backward.

    Parameters
    ----------
    name : str
        Key of `FAMILIES`.
    ratio : float, default=0.5
        Share of the channels to remove from every group.
    seed : int, default=0
        Of weights and input.
    """
    import tf_keras

    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(seed)
    edge = FAMILIES[name]
    build = getattr(tf_keras.applications, name, None) or _deeper(name)
    model = build(weights=None, input_shape=(edge, edge, 3), classes=10, classifier_activation=None)
    batch = np.random.default_rng(seed).uniform(0, 255, (2, edge, edge, 3)).astype(np.float32)
    _settle(model, batch)
    start = time.perf_counter()
    try:
        plan = plan_pruning(model, L2Norm(), ratio=ratio)
        pruned, masked = apply_plan(model, plan), mask_plan(model, plan)
    except PruningError as error:
        return Outcome(name, False, time.perf_counter() - start, model.count_params(), reason=str(error))
    seconds = time.perf_counter() - start
    cut, twin = np.asarray(pruned(batch)), np.asarray(masked(batch))
    off = float(np.abs(cut - twin).max() / np.abs(twin).max())
    reasons = [f"differs from the masked network by {off:.1e}"] if not off <= TOLERANCE else []
    if np.abs(twin - np.asarray(model(batch))).max() < 0.01 * np.abs(twin).max():
        reasons.append("the comparison proves nothing: masking half of the network did not move the output")
    reasons += [] if _gradients_are_finite(pruned, batch) else ["gradients are not finite"]
    channels = sum(c.n_units for c in plan.cuts)
    share = sum(len(c.remove) for c in plan.cuts) / channels
    return Outcome(
        name, not reasons, round(seconds, 2), plan.before["parameters"], plan.after["parameters"],
        round(share, 3), off, "; ".join(reasons),
    )  # fmt: skip


def _settle(model: Any, batch: Any) -> None:
    """
    Let every batch norm take the statistics of the batch.

    Untrained statistics (mean 0, variance 1) let the signal die or explode within a few blocks, and two dead
    networks are trivially equal.
    """
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(batch, training=True)
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum


def _deeper(name: str) -> Any:
    """Find a constructor that tf_keras.applications keeps one level down."""
    import tf_keras

    for module in (tf_keras.applications.regnet, tf_keras.applications.resnet_rs):
        if hasattr(module, name):
            return getattr(module, name)
    raise PruningError(f"tf_keras.applications has no {name!r}; known here: {', '.join(FAMILIES)}")


def _gradients_are_finite(model: Any, batch: Any) -> bool:
    """Run one backward pass."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(batch, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    return all(g is not None and bool(tf.reduce_all(tf.math.is_finite(g))) for g in gradients)

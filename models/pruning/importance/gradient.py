"""Importance from gradients of the loss: Taylor, Fisher, and the size of the gradient itself."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.calibration import Calibration
from models.pruning.dependency import Dependency, Role
from models.pruning.errors import CalibrationError
from models.pruning.graph import Graph
from models.pruning.group import Group

_MOST_BATCHES = 32


@dataclass
class GradientSums:
    """
    Sums over batches, per unit of each group, of what the gradient importances are made of.

    `taylor` is sum |sum w g|, `fisher` sum (sum w g)^2, `l1` sum of |g| and `l2` of g^2 over the unit's weights.
    """

    n: int = 0
    taylor: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    fisher: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    l1: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    l2: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, group: Group, gradients: dict[tuple[str, int], NDArray[np.float64]]) -> None:
        """Add one batch's gradients for one group."""
        product, size, square = (np.zeros(len(group)) for _ in range(3))
        for d in group.with_role(Role.MAKES) or group.dependencies:
            g = gradients.get((d.layer, d.weight))
            if g is None:
                continue
            product += group.gather(d, _per_position(d, g * group.weight(d)))
            size += group.gather(d, _per_position(d, np.abs(g)))
            square += group.gather(d, _per_position(d, g**2))
        rows = ((self.taylor, np.abs(product)), (self.fisher, product**2), (self.l1, size), (self.l2, square))
        for table, value in rows:
            table[group.name] = table.get(group.name, np.zeros(len(group))) + value


def _per_position(d: Dependency, value: NDArray[np.float64]) -> NDArray[np.float64]:
    summed: NDArray[np.float64] = value.sum(axis=tuple(a for a in range(value.ndim) if a != d.axis))
    return summed


def gradient_sums(graph: Graph, data: Calibration) -> GradientSums:
    """
    Run the calibration data once (at most 32 batches) and sum gradients per unit; kept with the graph.

    Raises
    ------
    CalibrationError
        If a gradient is NaN or infinite: the message names the layer.
    """
    known: dict[int, GradientSums] = graph.memo.setdefault("gradients", {})
    if id(data) not in known:
        sums = GradientSums()
        for gradients in weight_gradients(graph, data):
            sums.n += 1
            for group in graph.groups:
                sums.add(group, gradients)
        known[id(data)] = sums
    return known[id(data)]


def weight_gradients(graph: Graph, data: Calibration) -> Any:
    """Yield, for each batch, the loss gradient of every trainable weight by (layer name, weight index)."""
    import tensorflow as tf

    model = graph.flat.model
    keys = [
        (name, i)
        for name in dict.fromkeys(n.name for n in graph.nodes)
        for i, w in enumerate(graph.layer(name).weights)
        if not any(s in w.name for s in ("moving_mean", "moving_variance", "seed_generator"))
    ]
    variables = [graph.layer(name).weights[i] for name, i in keys]

    def gradients_of(x: Any, y: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = data.loss_tensor(model, x, y)
        return tape.gradient(loss, variables)

    step = tf.function(gradients_of, reduce_retracing=True, autograph=False)
    for batch, (x, y) in enumerate(data.batches(model)):
        if batch == _MOST_BATCHES:
            return
        found = step([tf.constant(a) for a in x], [tf.constant(a) for a in y])
        arrays = {
            k: np.asarray(tf.convert_to_tensor(g), np.float64)
            for k, g in zip(keys, found, strict=True)
            if g is not None
        }
        for (name, _), g in arrays.items():
            if not np.isfinite(g).all():
                raise CalibrationError(
                    f"the gradient of layer {name!r} is NaN or infinite; check the calibration data and that the "
                    f"loss {data.loss!r} fits the outputs"
                )
        yield arrays


@dataclass(frozen=True, eq=False)
class Taylor:
    """
    First-order Taylor: mean over batches of |sum of w g| over a unit's weights, the loss it would cost to zero it.

    References
    ----------
    .. [1] Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019,
       doi:10.1109/CVPR.2019.01152. Departure: absolute value instead of square, batches instead of samples.
    """

    data: Calibration
    comparable: bool = True
    name: str = "taylor"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return one non-negative number per unit, shape ``(n_units,)``."""
        sums = gradient_sums(group.graph, self.data)
        return sums.taylor[group.name] / sums.n


@dataclass(frozen=True, eq=False)
class Fisher:
    """
    Fisher information: half the mean square of sum w g over a unit's weights.

    References
    ----------
    .. [1] Theis et al., Faster gaze prediction with dense networks and Fisher pruning, arXiv:1801.05787.
    """

    data: Calibration
    comparable: bool = True
    name: str = "fisher"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return one non-negative number per unit, shape ``(n_units,)``."""
        sums = gradient_sums(group.graph, self.data)
        return sums.fisher[group.name] / (2 * sums.n)


@dataclass(frozen=True, eq=False)
class GradientNorm:
    """
    Accumulated gradient size of a unit's weights: L1 (sum of |g|) or L2 (root of the sum of squares).

    It tells how much the loss moves when the unit moves, not what it costs to lose it; kept for comparison.
    """

    data: Calibration
    p: int = 2
    comparable: bool = False

    @property
    def name(self) -> str:
        """gradient-l1 or gradient-l2."""
        return f"gradient-l{self.p}"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return one non-negative number per unit, shape ``(n_units,)``."""
        sums = gradient_sums(group.graph, self.data)
        value = sums.l1[group.name] / sums.n if self.p == 1 else np.sqrt(sums.l2[group.name] / sums.n)
        return np.asarray(value, np.float64)

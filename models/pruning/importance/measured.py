"""Importance by watching the network run: how often a unit fires, and what is lost when it is silenced."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.calibration import Calibration
from models.pruning.dependency import Role
from models.pruning.graph import Graph
from models.pruning.group import Group
from models.pruning.node import Node

_RELU = {"relu", "relu6"}
_QUIET = 0.05  # share of the layer's largest |activation| below which a unit without ReLU counts as silent


@dataclass(frozen=True, eq=False)
class APoZ:
    """
    Share of positions and rows in which a unit is not zero (one minus the average percentage of zeros).

    Measured behind the last ReLU the unit passes; where there is none (tanh, LSTM), activations below 5 % of the
    layer's largest count as zero.

    References
    ----------
    .. [1] Hu et al., Network Trimming, arXiv:1607.03250.
    """

    data: Calibration
    comparable: bool = False
    name: str = "apoz"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return a share in [0, 1] per unit, shape ``(n_units,)``."""
        rates = firing_rates(group.graph, self.data)
        total, count = np.zeros(len(group)), np.zeros(len(group))
        watched = [k for k in rates if rates[k][1] and self._speaks_of(group, k)] or [
            k for k in rates if self._speaks_of(group, k)
        ]
        for key in watched:
            roots = group.graph.root[group.graph.tensors[key]]
            for unit, root in enumerate(group.units):
                hits = roots == root
                total[unit] += rates[key][0][hits].sum()
                count[unit] += hits.sum()
        # What no tensor shows (the heads of an attention) cannot be seen to rest: it counts as firing.
        return np.where(count > 0, total / np.maximum(count, 1), 1.0)

    def _speaks_of(self, group: Group, key: int) -> bool:
        return bool(np.isin(group.graph.root[group.graph.tensors[key]], group.units).any())


def firing_rates(graph: Graph, data: Calibration) -> dict[int, tuple[NDArray[np.float64], bool]]:
    """Return, by tensor key, the share of non-zero activations per channel and whether a ReLU made the zeros."""
    known: dict[int, Any] = graph.memo.setdefault("rates", {})
    if id(data) not in known:
        from models.pruning.surgery import copy_exposing

        keys = [(k, _is_relu(n)) for n in graph.nodes for k in n.outputs]
        probe = copy_exposing(graph, [k for k, _ in keys])
        rows = data.rows_for(graph.flat.model)
        found = probe(rows if len(rows) > 1 else rows[0], training=False)
        known[id(data)] = {k: (_rate(np.asarray(t), relu), relu) for (k, relu), t in zip(keys, found, strict=True)}
    rates: dict[int, tuple[NDArray[np.float64], bool]] = known[id(data)]
    return rates


def _rate(activation: NDArray[np.float32], relu: bool) -> NDArray[np.float64]:
    flat = np.abs(activation.reshape(-1, activation.shape[-1]))
    threshold = 0.0 if relu else _QUIET * float(flat.max(initial=0.0))
    rate: NDArray[np.float64] = (flat > threshold).mean(axis=0)
    return rate


def _is_relu(node: Node) -> bool:
    activation = getattr(getattr(node.layer, "activation", None), "__name__", "")
    return (
        node.kind == "ReLU" or activation in _RELU or str(getattr(node.layer, "symbol", "")) in {"nn.relu", "nn.relu6"}
    )


@dataclass(frozen=True, eq=False)
class Ablation:
    """
    Rise of the loss when a unit alone is silenced: measured, one forward pass over the data per unit.

    The honest yardstick of the cheaper importances. A LayerNorm in between keeps its statistics over all channels.
    """

    data: Calibration
    comparable: bool = True
    name: str = "ablation"

    def __call__(self, group: Group) -> NDArray[np.float64]:
        """Return the rise of the loss per unit (negative where silence helps), shape ``(n_units,)``."""
        probe = _Probe.of(group.graph, self.data)
        return np.array([probe.rise(group, unit) if group.prunable[unit] else np.inf for unit in range(len(group))])


class _Probe:
    """A copy of the model in which units are silenced in turn."""

    def __init__(self, graph: Graph, data: Calibration) -> None:
        import tensorflow as tf

        from models.pruning.surgery import copy_exposing

        self.twin = copy_exposing(graph)
        run: Any = tf.function(lambda x, y: data.loss_tensor(self.twin, x, y), reduce_retracing=True)
        batches = [
            ([tf.constant(a) for a in x], [tf.constant(a) for a in y]) for x, y in data.batches(graph.flat.model)
        ]
        self._run, self._batches, self._rows = run, batches, len(data)
        self.base = self.loss()

    def loss(self) -> float:
        return sum(float(self._run(x, y)) * len(x[0]) for x, y in self._batches) / self._rows

    @classmethod
    def of(cls, graph: Graph, data: Calibration) -> "_Probe":
        probes: dict[int, _Probe] = graph.memo.setdefault("probes", {})
        if id(data) not in probes:
            probes[id(data)] = cls(graph, data)
        return probes[id(data)]

    def rise(self, group: Group, unit: int) -> float:
        from models.pruning.surgery import silenced

        graph = group.graph
        dead = graph.root == group.units[unit]
        names = {d.layer for d in group.with_role(Role.READS) if dead[d.ids].any()}
        for name in names:
            self.twin.get_layer(name.replace("/", "_")).set_weights(silenced(graph, name, dead))
        loss = self.loss()
        for name in names:
            self.twin.get_layer(name.replace("/", "_")).set_weights(graph.weights(name))
        return loss - self.base

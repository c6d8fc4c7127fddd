"""What is cheapest to remove whole: layers, paths, sensors. Measured on calibration data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from models.pruning.calibration import Calibration
from models.pruning.errors import PruningError
from models.pruning.rewrite import MERGES
from models.pruning.structure import StructurePlan, apply_structure, plan_structure, structure_size
from models.pruning.unfold import unfold

# Layers that shape or end the computation; deleting them is not a saving.
_NOT_WORTH = frozenset(
    {"InputLayer", "Flatten", "Reshape", "Permute", "Dropout", "ReLU", "Activation", "BatchNormalization",
     "ZeroPadding1D", "ZeroPadding2D", *MERGES}
)  # fmt: skip

FineTune = Callable[[Any], None]


@dataclass(frozen=True)
class PartCost:
    """
    What the removal of one part costs and saves.

    Attributes
    ----------
    part : str
        Layer name, ``merge[index]``, or the names of the sensors that stay.
    plan : StructurePlan
        The plan that removes it.
    loss_rise : float
        Loss after minus loss before, without (unless fine-tuned) recovery.
    saved_parameters, saved_macs : int
    """

    part: str
    plan: StructurePlan
    loss_rise: float
    saved_parameters: int
    saved_macs: int


def _cost(
    model: Any, part: str, plan: StructurePlan, data: Calibration, before: tuple[float, dict[str, int]]
) -> PartCost:
    smaller = apply_structure(model, plan, data)
    size = structure_size(smaller)
    loss, dense = before
    return PartCost(
        part,
        plan,
        data.loss_of(smaller) - loss,
        dense["parameters"] - size["parameters"],
        dense["macs"] - size["macs"],
    )


def rank_layers(model: Any, data: Calibration) -> list[PartCost]:
    """Return every layer that can be deleted with its cost, the cheapest first."""
    before = data.loss_of(model), structure_size(model)
    costs = []
    flat = unfold(model)
    ends = {ref.key for ref in _refs(flat.output_structure)}
    for node in flat.nodes:
        if node.kind in _NOT_WORTH or ends & set(node.outputs):
            continue
        try:
            costs.append(_cost(model, node.name, plan_structure(model, layers=[node.name]), data, before))
        except PruningError:
            continue  # cannot be bridged: not a candidate
    return sorted((c for c in costs if c.saved_parameters > 0 or c.saved_macs > 0), key=lambda c: c.loss_rise)


def plan_layers(model: Any, data: Calibration, n: int = 1) -> StructurePlan:
    """
    Return the plan that deletes the `n` layers that cost least, chosen one after the other.

    Raises
    ------
    PruningError
        If fewer than `n` layers can be deleted.
    """
    chosen: list[str] = []
    current = model
    for _ in range(n):
        costs = [c for c in rank_layers(current, data) if not c.part.startswith("bridge_") and c.saved_parameters >= 0]
        if not costs:
            raise PruningError(f"only {len(chosen)} layers of {model.name!r} can be deleted, not {n}")
        chosen.append(costs[0].part)
        current = apply_structure(model, plan_structure(model, layers=chosen), data)
    return plan_structure(model, layers=chosen, why="layers whose deletion raised the loss least")


def rank_paths(model: Any, data: Calibration) -> list[PartCost]:
    """Return every path (one input of a merge) that can be cut with its cost, the cheapest first."""
    before = data.loss_of(model), structure_size(model)
    costs = []
    for node in unfold(model).nodes:
        for index in range(len(node.inputs)) if node.kind in MERGES else ():
            try:
                plan = plan_structure(model, paths=[(node.name, index)], why="path")
                costs.append(_cost(model, f"{node.name}[{index}]", plan, data, before))
            except PruningError:
                continue
    return sorted((c for c in costs if c.saved_parameters or c.saved_macs), key=lambda c: c.loss_rise)


@dataclass(frozen=True)
class SensorVariant:
    """
    The network for one set of sensors.

    Attributes
    ----------
    sensors : tuple of str
        Inputs (or named parts of inputs) that stay.
    loss : float
        Of the variant, on the calibration data.
    parameters, macs : int
    power_uw : float
        Sum over the sensors that stay, microwatts, of the table given; nan where a sensor is not in it.
    model : tf_keras.Model
    """

    sensors: tuple[str, ...]
    loss: float
    parameters: int
    macs: int
    power_uw: float
    model: Any


def sensor_variants(
    model: Any,
    data: Calibration,
    *,
    sensors: Mapping[str, tuple[str, tuple[int, ...]]] | None = None,
    power_uw: Mapping[str, float] | None = None,
    required: tuple[str, ...] = (),
    fine_tune: FineTune | None = None,
) -> list[SensorVariant]:
    """
    Return the network for every set of sensors that holds the required ones, the best first.

    Parameters
    ----------
    model : tf_keras.Model
    data : Calibration
        With all sensors; each variant is measured on its own part of it.
    sensors : mapping of str to (input name, channels), optional
        Sensors that share an input, by name; default: every input of the model is a sensor.
    power_uw : mapping of str to float, optional
        What each sensor draws, microwatts.
    required : tuple of str
        Sensors that no variant goes without.
    fine_tune : callable (model) -> None, optional
        Trains a variant in place before it is measured. Its inputs are those of the variant only.
    """
    table = dict(sensors) if sensors else {name: (name, ()) for name in model.input_names}
    variants = []
    for size in range(len(table), 0, -1):
        for kept in combinations(table, size):
            if not set(required) <= set(kept):
                continue
            plan = plan_sensors(model, table, kept)
            small = apply_structure(model, plan, data)
            if fine_tune is not None and small.count_params() != model.count_params():
                fine_tune(small)
            rows = narrowed(data, model, plan)
            sizes = structure_size(small)
            power = sum((power_uw or {}).get(s, float("nan")) for s in kept)
            variants.append(SensorVariant(kept, rows.loss_of(small), sizes["parameters"], sizes["macs"], power, small))
    return sorted(variants, key=lambda v: v.loss)


def plan_sensors(model: Any, table: Mapping[str, tuple[str, tuple[int, ...]]], kept: tuple[str, ...]) -> StructurePlan:
    """Return the plan that leaves only the kept sensors of a table (input name, channels; none: the whole input)."""
    stay: dict[str, set[int]] = {}
    gone: dict[str, set[int]] = {}
    for name, (source, channels) in table.items():
        (stay if name in kept else gone).setdefault(source, set()).update(channels)
    whole = [source for source in gone if source not in stay]
    part = {source: tuple(sorted(gone[source] - stay[source])) for source in gone if source in stay}
    return plan_structure(model, inputs=whole, channels=part, why=f"sensors kept: {', '.join(kept)}")


def narrowed(data: Calibration, model: Any, plan: StructurePlan) -> Calibration:
    """Return the calibration data as the variant of a plan wants it: inputs and channels that are left."""
    import numpy as np

    inputs = dict(zip(model.input_names, data.rows_for(model), strict=True))
    left = {}
    for name, rows in inputs.items():
        if name in plan.inputs:
            continue
        gone = list(plan.channels.get(name, ()))
        left[name] = np.delete(rows, gone, axis=-1) if gone else rows
    return Calibration(left, data.targets, data.loss, data.batch)


def _refs(structure: Any) -> list[Any]:
    import tensorflow as tf

    found: list[Any] = tf.nest.flatten(structure)
    return found

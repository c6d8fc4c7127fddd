"""A bundle for every set of sensors, so that a watch can switch one off: trained, pruned, judged, compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import RecordingError, WristwiseError
from data.recording import Recording
from models.bundle import Bundle
from models.run import stages
from models.runtime import REVERSED, Model
from models.training.recipe import Examples, KerasModel, Progress, Recipe
from pipelines.task import Task

Columns = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class SensorSet:
    """
    One set of sensors and what its bundle costs and gives.

    Attributes
    ----------
    sensors : tuple of str
    figure : float
        The task's main figure on recordings of other people, from which all other channels were taken away.
    bytes, latency_us, m4f_us, m4f_uj : float
        File; LiteRT on this machine; a Cortex-M4F, predicted, one inference.
    power_uw : float
        Of the sensors, as given; nan where one was not.
    why_not : str
        Why there is no bundle: the task cannot do without what is missing.
    """

    sensors: tuple[str, ...]
    figure: float = float("nan")
    bytes: float = float("nan")
    latency_us: float = float("nan")
    m4f_us: float = float("nan")
    m4f_uj: float = float("nan")
    power_uw: float = float("nan")
    why_not: str = ""


def sensors_of(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Return the channels of each sensor: as the recipe says (`sensors`), else those of one prefix are one sensor."""
    told: Mapping[str, tuple[str, ...]] | None = getattr(recipe, "sensors", None)
    if told is not None:
        return dict(told)
    found: dict[str, tuple[str, ...]] = {}
    for channel in recipe.task.channels:
        name = channel.name.split("_")[0]
        found[name] = (*found.get(name, ()), channel.name)
    return found


def sensor_bundles(
    recipe: Recipe, dense: KerasModel, train: Sequence[Recording], held: Sequence[Recording], out: Path, *, seed: int,
    epochs: int, power_uw: Mapping[str, float] | None = None, card: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[SensorSet]:  # fmt: skip
    """
    Write ``<out>/<sensor+sensor>/``, a bundle for every set of sensors, and ``sensors.json`` and ``sensors.md``.

    Each network starts from the dense parent, learns on the training recordings without the missing channels, is
    pruned as the recipe says, and loses the columns of its input that the missing sensors filled. The bundle opens
    like any other: it takes the task's windows and picks its columns.

    Parameters
    ----------
    dense : tf_keras.Model
        Parent with all sensors; not changed.
    train, held : sequence of Recording
        Of different people.
    epochs : int
        Of learning without the missing sensors, and as many of recovery after pruning.
    power_uw : mapping of str to float, optional
        What each sensor draws, microwatts: yours to give, it belongs to the part.

    Returns
    -------
    list of SensorSet
        All sensors first.
    """
    table = sensors_of(recipe)
    found = []
    for kept in _sets(table):
        power = sum((power_uw or {}).get(name, float("nan")) for name in kept)
        names = [channel for sensor in kept for channel in table[sensor]]
        try:
            inside, outside = _only(train, names, recipe.task), _only(held, names, recipe.task)
        except WristwiseError as error:
            found.append(SensorSet(kept, power_uw=power, why_not=str(error)))
            continue
        folder = out / "+".join(kept)
        bundle = _bundle(recipe, dense, inside, folder, seed, epochs, {**(card or {}), "sensors": kept}, progress)
        found.append(_judged(recipe.task, bundle, outside, kept, power))
    _write(found, recipe.task, out)
    return found


def _sets(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for size in range(len(table), 0, -1):
        yield from combinations(table, size)


def _only(recordings: Sequence[Recording], names: Sequence[str], task: Task) -> list[Recording]:
    """Return the recordings with those channels only, where the task can do with them."""
    left = []
    problem: WristwiseError | None = None
    for recording in recordings:
        one = recording.select(list(names))
        try:
            for spec in task.channels:
                if spec.required:
                    one.require(spec.name)
            if len(task.prepare(one)):
                left.append(one)
        except WristwiseError as error:
            problem = error
    if not left:
        raise problem or RecordingError(f"no recording has {', '.join(names)}")
    return left


def _bundle(
    recipe: Recipe, dense: KerasModel, recordings: list[Recording], folder: Path, seed: int, epochs: int,
    card: dict[str, Any], progress: Progress | None,
) -> Bundle:  # fmt: skip
    from models.pruning.recovery import copied
    from models.pruning.structure import apply_structure, plan_structure

    silent = silent_columns(recipe.task, recordings)
    examples = without_columns(recipe.examples(recordings, seed=seed), silent)
    model = copied(dense)
    recipe.fit(model, examples, epochs=epochs, seed=seed, progress=progress)
    pruned, method = stages.prune(recipe, model, examples, seed=seed, epochs=epochs, progress=progress)
    gone = {name: columns for name in pruned.input_names if (columns := silent.get(name.removesuffix(REVERSED)))}
    small = (
        apply_structure(pruned, plan_structure(pruned, channels=gone, why="sensors switched off")) if gone else pruned
    )
    width = {i.name: int(i.shape[-1]) for i in pruned.inputs}
    kept = {n: tuple(c for c in range(width[n]) if c not in set(gone[n])) for n in gone}
    tflite = stages.export(recipe, small, examples, columns=kept)
    return stages.bundle(
        recipe, tflite, examples, recordings, folder, {**card, "method": method}, columns=kept
    )  # fmt: skip


def silent_columns(task: Task, recordings: Sequence[Recording]) -> dict[str, tuple[int, ...]]:
    """Return, by input, the columns (last axis) that hold one and the same value in all windows of all recordings."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    settle = getattr(task, "settle", lambda windows: windows)
    for recording in recordings:
        windows = task.prepare(recording)
        for view in (windows, settle(windows)):
            for name, rows in view.inputs.items():
                flat = rows.reshape(-1, rows.shape[-1])
                if len(flat):
                    low[name] = np.minimum(low.get(name, np.inf), flat.min(0))
                    high[name] = np.maximum(high.get(name, -np.inf), flat.max(0))
    columns = {name: np.flatnonzero(low[name] == high[name]) for name in low}
    return {n: tuple(int(c) for c in cols) for n, cols in columns.items() if 0 < cols.size < low[n].size}


def without_columns(examples: Examples, silent: Columns) -> Examples:
    """Return examples with zeros in the columns that are to go, so that the network learns to do without."""
    inputs = dict(examples.inputs)
    for name, columns in silent.items():
        for key in [k for k in inputs if k.startswith(name)]:
            inputs[key] = inputs[key].copy()
            inputs[key][..., list(columns)] = 0.0
    return Examples(inputs, examples.targets, examples.weight, examples.subject, examples.recording)


def _judged(
    task: Task, bundle: Bundle, recordings: Sequence[Recording], kept: tuple[str, ...], power: float
) -> SensorSet:
    from models.evaluate import evaluate
    from models.export.cost import CORTEX_M4F, cost
    from models.export.measure import latency_us

    figure = evaluate(task, recordings, Model(bundle))["metrics"][task.metric]
    core = cost(bundle.model, CORTEX_M4F)
    here = latency_us(bundle.model)
    return SensorSet(
        kept,
        float(figure),
        len(bundle.model),
        round(here, 2),
        round(core.latency_us, 1),
        round(core.energy_uj, 2),
        power,
    )


def _write(found: Sequence[SensorSet], task: Task, out: Path) -> None:
    """Write the trade as JSON and as a table."""
    from models.pruning.report import number, without_nan

    out.mkdir(parents=True, exist_ok=True)
    entry = {"task": task.name, "figure": task.metric, "sets": [asdict(one) for one in found]}
    (out / "sensors.json").write_text(json.dumps(without_nan(entry), indent=1) + "\n", encoding="utf-8")
    lines = [
        f"# {task.title}: one bundle for every set of sensors",
        "",
        f"| sensors | {task.metric}, other people | bytes | us here | M4F us | M4F uJ | sensors uW |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        cells = (one.figure, one.bytes, one.latency_us, one.m4f_us, one.m4f_uj, one.power_uw)
        told = f" {one.why_not} |" + " |" * 5 if one.why_not else " " + " | ".join(number(c) for c in cells) + " |"
        lines.append(f"| {' + '.join(one.sensors)} |{told}")
    (out / "sensors.md").write_text("\n".join(lines) + "\n", encoding="utf-8")

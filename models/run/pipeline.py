"""`run`: the whole way from data to a gated, scored, reported bundle; saves as it goes and resumes."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import RecordingError
from data.recording import Recording
from models.bundle import Bundle
from models.evaluate import evaluate
from models.run import stages
from models.run.loading import licences
from models.runtime import Model
from models.training.folds import subject_folds
from models.training.recipe import Examples, Recipe, strata_of

Say = Callable[[float | None, str], None]


@dataclass(frozen=True)
class RunConfig:
    """
    What is asked of a run; stands on the card, so that the run can be repeated from it.

    Parameters
    ----------
    seed : int
    folds : int
        Folds by subject from which the figures come; 0 trains the shipped bundle only, without figures.
    quick : bool
        Few epochs on a small slice: proves the line, not the model.
    open_data : bool
        Leave out data sets without an open licence.
    """

    seed: int = 0
    folds: int = 4
    quick: bool = False
    open_data: bool = False


def run(recipe: Recipe, recordings: Sequence[Recording], config: RunConfig, out: Path, say: Say) -> Bundle:
    """
    Train, prune, export, gate and bundle on all `recordings`; score on folds by subject; write a report.

    Each fold's result is kept in `out`, so an interrupted run goes on where it was.

    Returns
    -------
    Bundle
        In `out` / bundle, trained on all subjects and said to be; its metrics come from the folds.
    """
    out.mkdir(parents=True, exist_ok=True)
    _same_run(out, recipe, recordings, config)
    say(None, "preparing windows")
    examples = recipe.examples(recordings, seed=config.seed)
    folds = [_fold(recipe, recordings, examples, k, config, out, say) for k in range(_n_folds(recordings, config))]
    say(None, "training the shipped bundle on all subjects")
    card = _card(recipe, recordings, config)
    if folds:
        card["metrics"] = _metrics(recipe, folds)
    return _make(recipe, recordings, examples, config, out / "bundle", card, say)


def _n_folds(recordings: Sequence[Recording], config: RunConfig) -> int:
    return min(config.folds, len({r.subject for r in recordings}))


def _fold(
    recipe: Recipe, recordings: Sequence[Recording], examples: Examples, k: int, config: RunConfig, out: Path, say: Say
) -> dict[str, Any]:
    kept = out / f"fold_{k}.json"
    if kept.is_file():
        result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return result
    n = _n_folds(recordings, config)
    say(k / (n + 1), f"fold {k + 1} of {n}")
    train, test = list(subject_folds([r.subject for r in recordings], n, config.seed, strata_of(recipe, recordings)))[k]
    inside = [r for r, use in zip(recordings, train, strict=True) if use]
    outside = [r for r, use in zip(recordings, test, strict=True) if use]
    own = examples.take(np.isin(examples.subject, [r.subject for r in inside]))
    bundle = _make(recipe, inside, own, config, out / f"fold_{k}", _card(recipe, inside, config), say)
    result = evaluate(recipe.task, outside, Model(bundle))
    kept.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def _make(
    recipe: Recipe, recordings: Sequence[Recording], examples: Examples, config: RunConfig, folder: Path,
    card: dict[str, Any], say: Say,
) -> Bundle:  # fmt: skip
    epochs = recipe.quick_epochs if config.quick else recipe.epochs
    recover = 1 if config.quick else recipe.prune_target.recover_epochs
    dense = stages.train(recipe, examples, seed=config.seed, epochs=epochs, progress=say)
    pruned, method = stages.prune(recipe, dense, examples, seed=config.seed, epochs=recover, progress=say)
    folder.mkdir(parents=True, exist_ok=True)
    dense.save(folder / "dense.keras")
    pruned.save(folder / "pruned.keras")
    parent = stages.dense_bytes(recipe, dense, examples)
    tflite = stages.export(recipe, pruned, examples)
    card = {**card, "method": {**method, "export": recipe.export_mode}, "parent": {"tflite_bytes": len(parent)}}
    return stages.bundle(recipe, tflite, examples, recordings, folder, card)


def _card(recipe: Recipe, recordings: Sequence[Recording], config: RunConfig) -> dict[str, Any]:
    packages = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "ai-edge-litert", "numpy", "scipy")
    return {
        "training": {
            "command": f"wristwise run {name_of(recipe)}" + "".join(_flags(config)),
            "config": asdict(config),
            "data_sets": licences(recordings),
            "subjects": sorted({f"{r.dataset}/{r.subject}" for r in recordings}),
            "versions": {p: version(p) for p in packages},
            "machine": platform.machine(),
        }
    }


def name_of(recipe: Recipe) -> str:
    """Return the recipe's name: its task's, but for a variant of another size."""
    return str(getattr(recipe, "name", recipe.task.name))


def _flags(config: RunConfig) -> list[str]:
    flags = [f" --seed {config.seed}", f" --folds {config.folds}"]
    return flags + [" --quick"] * config.quick + [" --open-data"] * config.open_data


def _metrics(recipe: Recipe, folds: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for fold in folds for row in fold["per_recording"]]
    return {
        "how": f"{len(folds)} folds by subject: no scored subject was trained on; the shipped file is trained on all",
        "n_recordings": len(rows),
        **recipe.task.summarise(rows),
    }


def _same_run(out: Path, recipe: Recipe, recordings: Sequence[Recording], config: RunConfig) -> None:
    """Refuse to resume a run that was asked for differently: its folds would be mixed up."""
    asked = {
        "task": name_of(recipe),
        "version": recipe.task.version,
        "ids": sorted(r.id for r in recordings),
        **asdict(config),
    }
    path = out / "run.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != asked:
        raise RecordingError(f"{out} holds another run (see {path.name}); give another --out, or remove the folder")
    path.write_text(json.dumps(asked, indent=1), encoding="utf-8")

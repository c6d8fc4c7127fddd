"""Folds by subject of a task's own run: resumed where they stand, trained where they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.location import data_root
from data.recording import Recording
from models.bundle import Bundle
from models.evaluate import evaluate
from models.networks.registry import recipe
from models.progress import bar
from models.run.loading import load
from models.run.pipeline import RunConfig, run
from models.runtime import Model
from models.tensorflow_setup import quiet
from models.training.folds import subject_folds
from models.training.recipe import strata_of


class Folds:
    """
    A task's run with folds, in `out`.

    Parameters
    ----------
    task : str
    n : int
        Folds by subject.
    out : Path
        Folder of the run; what is there is not trained again.
    seed : int, default=0
        Of the folds and the networks.
    """

    def __init__(self, task: str, n: int, out: Path, seed: int = 0) -> None:
        quiet()
        self.recipe, self.n, self.out, self.seed = recipe(task), n, out, seed
        self.recordings = load(self.recipe, data_root())
        if not all((out / f"fold_{k}.json").is_file() for k in range(n)):
            with bar(f"{task}, {n} folds") as advance:
                run(self.recipe, self.recordings, RunConfig(seed=seed, folds=n), out, advance)

    def rows(self) -> list[dict[str, Any]]:
        """Return every recording's score by the fold that had not seen its subject."""
        return [
            row for k in range(self.n)
            for row in json.loads((self.out / f"fold_{k}.json").read_text(encoding="utf-8"))["per_recording"]
        ]  # fmt: skip

    def outside(self) -> list[tuple[Bundle, list[Recording]]]:
        """Return each fold's bundle with the recordings of the subjects that it had not seen."""
        strata = strata_of(self.recipe, self.recordings)
        masks = subject_folds([r.subject for r in self.recordings], self.n, self.seed, strata)
        return [
            (Bundle.open(self.out / f"fold_{k}"), [r for r, use in zip(self.recordings, test, strict=True) if use])
            for k, (_, test) in enumerate(masks)
        ]

    def scored(self, *, offline: bool) -> list[dict[str, Any]]:
        """Return every recording's score anew, causal or in retrospect."""
        task = self.recipe.task
        return [r for b, own in self.outside() for r in evaluate(task, own, Model(b), offline=offline)["per_recording"]]


def goal(
    name: str, target: str, measured: str, reached: bool | None, command: str, interval: str = ""
) -> dict[str, Any]:
    """Return one row of a table of goals."""
    row: dict[str, Any] = {"goal": name, "target": target, "measured": measured, "reached": reached, "command": command}
    return row | ({"interval": interval} if interval else {})


def write(path: Path, result: dict[str, Any]) -> None:
    """Write a result file."""
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

"""
Each night scored by networks that never saw its wearer: folds by subject, seven networks trained side by side.

What `wristwise run` does to one network is done here to seven at a time: the same network, training, share of units
removed, recovery and rounding; but units go by their norm and in one step, there by Taylor's importance and in three.
The file of a network gives the same numbers to 1e-5 (the gate of the export holds it to that).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.location import data_root
from data.recording import Recording
from models.networks.registry import recipe
from models.networks.sleep_training import Learner, train_side_by_side
from models.run.loading import load
from models.tensorflow_setup import quiet
from models.training.recipe import Examples, KerasModel
from models.training.sequences import readers, round_to_bfloat16
from pipelines.sleep_staging import BACKWARD, FORWARD, INPUT, NIGHT, OUTPUT, TASK
from pipelines.task import Estimate, Windows

Array = NDArray[np.float32]
TASK_NAME = "sleep-staging"
AT_ONCE = 7  # folds in one pass
# Sensors taken away from the night that is scored: the same networks must do without.
SENSORS: Mapping[str, tuple[str, ...]] = {"both": (), "motion only": ("hr",), "heart rate only": ("counts", "acc_z")}
KINDS = ("dense", "pruned")


class LeftOut:
    """
    Folds by subject over the nights at hand, for one seed; kept in `out`, so that it can be resumed.

    Parameters
    ----------
    out : Path
    seed : int
    folds : int, optional
        As many as there are subjects leave one out at a time; that is the default.
    epochs : int, optional
        Of training and of recovery, in place of the recipe's.
    nights : int, optional
        At most so many nights.
    """

    def __init__(
        self, out: Path, seed: int, *, folds: int | None = None, epochs: int | None = None, nights: int | None = None
    ) -> None:  # fmt: skip
        quiet()
        self.recipe, self.seed, self.out = recipe(TASK_NAME), seed, out
        self.recordings = load(self.recipe, data_root())[:nights]
        subjects = sorted({r.subject for r in self.recordings})
        n = min(folds or len(subjects), len(subjects))
        self.left_out = [subjects[k::n] for k in range(n)]
        self._epochs = (epochs or self.recipe.epochs, epochs or self.recipe.prune_target.recover_epochs)
        self._examples: Examples | None = None

    def chunks(self) -> list[Path]:
        """Return the files of logits, made where they do not stand yet."""
        self.out.mkdir(parents=True, exist_ok=True)
        return [self.chunk(k) for k in range(0, len(self.left_out), AT_ONCE)]

    def scores(self, kind: str = "pruned", sensors: str = "both", *, offline: bool = True) -> list[dict[str, Any]]:
        """Return each night's agreement, in the order of the recordings."""
        return [
            {"id": r.id, "subject": r.subject, **TASK.score(said, r)}
            for r, (said, _) in zip(self.recordings, self.answers(kind, sensors, offline=offline), strict=True)
        ]

    def answers(
        self, kind: str = "pruned", sensors: str = "both", *, offline: bool = True
    ) -> list[tuple[list[Estimate], Windows]]:
        """Return each night's estimates and windows, in the order of the recordings."""
        logits: dict[str, Array] = {}
        for path in self.chunks():
            with np.load(path) as stored:
                logits |= {name: stored[name] for name in stored.files}
        found = []
        config = self.recipe.configure(lambda rows: rows, [])
        for recording in self.recordings:
            windows = TASK.prepare(without(recording, SENSORS[sensors]))
            outputs = {o: logits[f"{recording.id}/{kind}/{sensors}/{o}"][:, None] for o in (OUTPUT, FORWARD, BACKWARD)}
            found.append((TASK.decoder(offline=offline, config=config).update(outputs, windows), windows))
        return found

    def chunk(self, first: int) -> Path:
        """Return the file of the folds from `first` on, made where it does not stand yet."""
        path = self.out / f"seed{self.seed}_folds{len(self.left_out)}_from{first}.npz"
        if path.is_file():
            return path
        if self._examples is None:
            self._examples = self.recipe.examples(self.recordings, seed=self.seed)
        left_out = self.left_out[first : first + AT_ONCE]
        rows = [np.flatnonzero(~np.isin(self._examples.subject, own)) for own in left_out]
        dense, pruned = self._trained(rows, self._examples)
        logits: dict[str, Array] = {}
        for k, own in enumerate(left_out):
            for recording in (r for r in self.recordings if r.subject in own):
                for sensors, missing in SENSORS.items():
                    windows = TASK.settle(TASK.prepare(without(recording, missing)))
                    for kind, model in zip(KINDS, (dense[k], pruned[k]), strict=True):
                        said = _said(model, windows)
                        logits |= {f"{recording.id}/{kind}/{sensors}/{o}": value for o, value in said.items()}
        with path.with_suffix(".part").open("wb") as file:
            np.savez_compressed(file, **logits)  # type: ignore[arg-type]
        return path.with_suffix(".part").rename(path)

    def _trained(
        self, rows: Sequence[NDArray[np.intp]], examples: Examples
    ) -> tuple[list[KerasModel], list[KerasModel]]:
        import tf_keras

        from models.pruning import L2Norm, apply_plan, plan_pruning

        tf_keras.utils.set_random_seed(self.seed)
        dense = [self.recipe.build(seed=self.seed) for _ in rows]
        train_side_by_side(
            [Learner(m, r) for m, r in zip(dense, rows, strict=True)], examples, epochs=self._epochs[0], seed=self.seed
        )
        ratio = self.recipe.prune_target.channels_removed
        pruned = [apply_plan(model, plan_pruning(model, L2Norm(), ratio=ratio)) for model in dense]
        taught = [Learner(m, r, teacher) for m, r, teacher in zip(pruned, rows, dense, strict=True)]
        train_side_by_side(taught, examples, epochs=self._epochs[1], seed=self.seed)
        for model in pruned:
            round_to_bfloat16(model)
        return dense, pruned


def without(recording: Recording, channels: Sequence[str]) -> Recording:
    """Return the recording as if those channels had not been worn."""
    kept = {name: channel for name, channel in recording.channels.items() if name not in channels}
    return Recording(
        recording.id, recording.subject, kept, recording.annotations, dataset=recording.dataset,
        origin=recording.origin, licence=recording.licence, meta=recording.meta,
    )  # fmt: skip


def _said(model: KerasModel, windows: Windows) -> dict[str, Array]:
    """Return a night's logits in the order of time, each of shape (n, 4)."""
    live, night = (windows.inputs[name][:, 0][None, None] for name in (INPUT, NIGHT))
    said = readers([model], {OUTPUT: live, FORWARD: night, BACKWARD: night[:, :, ::-1]})
    order = {OUTPUT: 1, FORWARD: 1, BACKWARD: -1}
    return {output: value.numpy()[0, 0][:: order[output]] for output, value in said.items()}

"""What the training stages need to know of a task: its networks, examples, loss and how far it is pruned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.task import Task

KerasModel = Any  # tf_keras has no types
Progress = Callable[[float, str], None]  # fraction of this stage done, and a word on it


@dataclass(frozen=True)
class Examples:
    """
    Training rows.

    Parameters
    ----------
    inputs, targets : mapping of str to ndarray of float32, shape (n, ...)
        By name of the network's input or output.
    weight : ndarray of float32, shape (n,)
    subject : ndarray of str, shape (n,)
        Whose row it is: folds never divide a subject.
    recording : ndarray of str, shape (n,)
    """

    inputs: Mapping[str, NDArray[np.float32]]
    targets: Mapping[str, NDArray[np.float32]]
    weight: NDArray[np.float32]
    subject: NDArray[np.str_]
    recording: NDArray[np.str_]

    def __len__(self) -> int:
        return int(self.weight.size)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Examples:
        """Return those rows."""
        return Examples(
            {k: v[rows] for k, v in self.inputs.items()}, {k: v[rows] for k, v in self.targets.items()},
            self.weight[rows], self.subject[rows], self.recording[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class PruneTarget:
    """How far the shipped model is pruned: widths kept, weights kept, and epochs to recover."""

    channels_removed: float
    weights_zeroed: float = 0.0
    recover_epochs: int = 5


class Recipe(Protocol):
    """
    One task's training, found by `models.networks.registry`. Import tf_keras inside the methods only.

    `build` returns the dense parent: a sensible network of its size, not one inflated to be pruned.
    Optional: ``open_datasets`` (trained on instead where only open licences are wanted), ``trains_on(recording)``
    (False leaves a recording out of training) and ``stratum(recording)`` (folds get equal parts of each).
    """

    task: Task
    datasets: tuple[str, ...]  # trained on, where present
    export_mode: Literal["float32", "float16", "int8", "weight_int8"]
    sequence: bool  # rows are steps of one sequence (LSTM), see models.bundle
    epochs: int
    quick_epochs: int
    prune_target: PruneTarget

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """Return the training rows of `recordings` (augmentation that needs raw signals happens here)."""
        ...

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        """Return an untrained network, `width` times as wide as the dense parent."""
        ...

    def fit(
        self,
        model: KerasModel,
        examples: Examples,
        *,
        epochs: int,
        seed: int,
        teacher: KerasModel | None = None,
        callbacks: Sequence[Any] = (),
        progress: Progress | None = None,
    ) -> None:
        """Train `model` in place, from `teacher`'s outputs too where one is given (distillation)."""
        ...

    def configure(
        self,
        predict: Callable[[Mapping[str, NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]],
        recordings: Sequence[Recording],
    ) -> dict[str, Any]:
        """Return the decoder's `config` (thresholds, calibration) fitted on training recordings only."""
        ...


def strata_of(recipe: Recipe, recordings: Sequence[Recording]) -> list[str] | None:
    """Return the stratum of each recording for `subject_folds`; None where the recipe names none."""
    stratum: Callable[[Recording], str] | None = getattr(recipe, "stratum", None)
    return None if stratum is None else [stratum(r) for r in recordings]

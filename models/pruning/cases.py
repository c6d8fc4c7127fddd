"""
What a pruning experiment needs of a network: how it is built, trained and judged.

A case comes from a task's recipe, or from a small representative network on synthetic signals of known truth, which
serves where no data set is at hand.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pruning.calibration import Calibration

Outputs = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Case:
    """
    A network to prune and the means to judge it.

    Attributes
    ----------
    name, unit : str
        `unit` is that of the error, lower is better: "BPM", "1 - macro F1", "1 - balanced accuracy".
    build : callable (seed) -> tf_keras.Model
        Untrained dense network.
    fit : callable (model, epochs, seed, teacher, callbacks) -> None
        Trains in place.
    data : Calibration
        Training rows, for gradients and activations.
    held : Calibration
        Rows of other subjects; only ever judged on.
    epochs, recover_epochs : int
    mode : str
        Export mode of the task.
    """

    name: str
    unit: str
    build: Callable[[int], Any]
    fit: Callable[[Any, int, int, Any, Sequence[Any]], None]
    data: Calibration
    held: Calibration
    epochs: int
    recover_epochs: int
    mode: str = "float32"
    judge: Callable[[Outputs, Outputs], float] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    measure: Callable[[Any], float] | None = None

    def error(self, model: Any) -> float:
        """Return the error of a model on the held-out rows."""
        if self.measure is not None:
            return self.measure(model)
        outputs, targets = self.answers(model)
        return (self.judge or row_error)(outputs, targets)

    def answers(self, model: Any) -> tuple[Outputs, Outputs]:
        """Return what the model says of the held-out rows, and what is true."""
        import tensorflow as tf

        whole = Calibration(self.held.inputs, self.held.targets, batch=len(self.held))
        rows, targets = next(whole.batches(model))
        found = tf.nest.flatten(model.predict(rows if len(rows) > 1 else rows[0], batch_size=512, verbose=0))
        return [np.asarray(o) for o in found], targets

    def subgroups(self, model: Any) -> dict[str, float]:
        """Return the error in each subgroup: per class, or per third of the target's range."""
        outputs, targets = self.answers(model)
        return subgroup_errors(outputs[0], targets[0])

    def representative(self) -> Any:
        """Return up to 100 training rows for int8."""
        return self.data.take(100).inputs


def kind_of(target: NDArray[Any]) -> str:
    """Tell what a target is: ``axis`` (a belief over many bins), ``classes``, ``binary`` or ``value``."""
    if target.shape[-1] > _MOST_CLASSES and np.allclose(target.sum(-1), 1, atol=1e-3):
        return "axis"
    if target.shape[-1] > 1 and np.allclose(target.sum(-1), 1, atol=1e-3) and (target >= 0).all():
        return "classes"
    return "binary" if np.isin(target, (0, 1)).all() else "value"


_TRUSTED = 0.65  # of the median weight: weakly labelled rows may teach, but judge nobody
_RECOVER = 6  # epochs of recovery in experiments: a sweep must end, and every method gets the same
_MOST_CLASSES = 16
UNITS = {
    "axis": "mean absolute error, bins",
    "classes": "1 - macro F1",
    "binary": "1 - balanced accuracy",
    "value": "mean absolute error",
}


def _belief_loss(target: Any, score: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softmax_cross_entropy_with_logits(target, score)


LOSSES: dict[str, Any] = {
    "axis": _belief_loss,
    "classes": "categorical_crossentropy",
    "binary": "binary_crossentropy",
    "value": "mae",
}


def row_error(outputs: Outputs, targets: Outputs) -> float:
    """
    Return the error of the first output, in the unit of `UNITS` for its kind of target.

    1 - macro F1; 1 - balanced accuracy at 0.5; mean |error|; mean distance of the likeliest bins.
    """
    output, target = outputs[0], targets[0]
    kind = kind_of(target)
    if kind == "axis":
        return float(np.abs(output.argmax(-1) - target.argmax(-1)).mean())
    if kind == "value":
        return float(np.abs(output - target).mean())
    recalls = list(subgroup_errors(output, target).values())
    if kind == "binary":
        return float(np.mean(recalls))
    true, said = target.argmax(-1).ravel(), output.argmax(-1).ravel()
    scores = []
    for k in range(target.shape[-1]):
        hits = int(((true == k) & (said == k)).sum())
        both = int((true == k).sum() + (said == k).sum())
        if both:
            scores.append(2 * hits / both)
    return 1 - float(np.mean(scores))


def subgroup_errors(output: NDArray[Any], target: NDArray[Any]) -> dict[str, float]:
    """Return one error per subgroup that the target itself defines: missed share per class, or error per third."""
    kind = kind_of(target)
    if kind == "axis":
        output, target, kind = output.argmax(-1), target.argmax(-1), "value"
    if kind == "value":
        edges = np.quantile(target, (1 / 3, 2 / 3))
        third = np.digitize(target, edges)
        names = (f"below {edges[0]:.3g}", f"{edges[0]:.3g} to {edges[1]:.3g}", f"above {edges[1]:.3g}")
        return {n: float(np.abs(output - target)[third == k].mean()) for k, n in enumerate(names) if (third == k).any()}
    true = target.argmax(-1) if kind == "classes" else target.astype(int)
    said = output.argmax(-1) if kind == "classes" else (output > 0.5).astype(int)
    return {f"class {k}": float((said != true)[true == k].mean()) for k in np.unique(true).tolist()}


def task_case(
    name: str,
    *,
    max_rows: int = 24_000,
    quick: bool = False,
    per_set: int | None = None,
    root: Path | None = None,
) -> Case:
    """
    Return the case of a registered task: its recipe, its data sets, a quarter of the subjects held out.

    Parameters
    ----------
    name : str
        Of a task with a network.
    max_rows : int, default=24000
        At most so many training rows (and a third as many held-out ones), spread evenly, so that a sweep ends.
    quick : bool
        Four recordings a data set and the recipe's quick epochs.
    per_set : int, optional
        At most so many recordings of each data set.
    root : Path, optional
        Folder of data sets; default: WRISTWISE_DATA.
    """
    from data.location import data_root
    from models.networks.registry import recipe
    from models.run.loading import load
    from models.training.folds import subject_folds

    chosen = recipe(name)
    recordings = load(chosen, root or data_root(), per_set=per_set or (4 if quick else None))
    examples = chosen.examples(recordings, seed=0)
    train, test = next(iter(subject_folds(examples.subject, 4, 0)))
    own = _at_most(examples.take(train), max_rows)
    trusted = test if hasattr(chosen, "rows") else test & (examples.weight >= _TRUSTED * np.median(examples.weight))
    held = _at_most(examples.take(trusted), max_rows // 3)
    data = calibration_rows(chosen, own)

    def fit(model: Any, epochs: int, seed: int, teacher: Any, callbacks: Sequence[Any]) -> None:
        chosen.fit(model, own, epochs=epochs, seed=seed, teacher=teacher, callbacks=callbacks)

    kind = kind_of(np.asarray(next(iter(data.targets.values()))))  # type: ignore[union-attr]
    notes = {"subjects_train": len(set(own.subject)), "subjects_held": len(set(held.subject)), "rows": len(own)}
    return Case(
        chosen.task.name, getattr(chosen, "error_unit", UNITS[kind]), lambda seed: chosen.build(seed=seed), fit, data,
        calibration_rows(chosen, held), chosen.quick_epochs if quick else chosen.epochs,
        1 if quick else min(chosen.prune_target.recover_epochs, _RECOVER), chosen.export_mode,
        getattr(chosen, "error", None), notes,
    )  # fmt: skip


def _at_most(examples: Any, n: int) -> Any:
    if len(examples) <= n:
        return examples
    return examples.take(np.linspace(0, len(examples) - 1, n).astype(np.intp))


def calibration_rows(recipe: Any, examples: Any) -> Calibration:
    """
    Return the examples of a recipe as its network takes and gives them, to measure importance on.

    A recipe whose examples are something else than rows (nights, to be cropped) says how, in its method ``rows``.
    """
    if not hasattr(recipe, "rows"):
        return _calibration(examples)
    inputs, targets = recipe.rows(examples)
    return Calibration(inputs, targets, _belief_loss, batch=64)


def _calibration(examples: Any) -> Calibration:
    """Return rows whose targets are known, with the loss that fits them."""
    known = np.ones(len(examples), bool)
    for target in examples.targets.values():
        known &= ~np.isnan(np.asarray(target).reshape(len(examples), -1)).any(axis=1)
    own = examples.take(known)
    kind = kind_of(np.asarray(next(iter(own.targets.values()))))
    return Calibration(dict(own.inputs), dict(own.targets), LOSSES[kind], batch=64)

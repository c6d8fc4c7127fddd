"""The stages of a run, each a function from artefacts to artefacts: train, prune, export, bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.bundle import Bundle, TensorSpec, write_bundle
from models.chatter import without_chatter
from models.runtime import REVERSED, Model
from models.training.recipe import Examples, KerasModel, Progress, Recipe
from models.training.sequences import stepwise

N_REPRESENTATIVE = 200  # rows that calibrate int8: error 0.0035 at 100 against 0.045 at 1
N_IMPORTANCE = 1024  # rows, spread over all, on which a unit's importance is measured
N_CHECK = 4  # rows stored with a bundle, to be replayed in every runtime


def train(
    recipe: Recipe, examples: Examples, *, seed: int, epochs: int, progress: Progress | None = None
) -> KerasModel:
    """Return the dense parent, trained; the same seed gives the same weights."""
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    model = recipe.build(seed=seed)
    recipe.fit(model, examples, epochs=epochs, seed=seed, progress=progress)
    return model


def prune(
    recipe: Recipe, dense: KerasModel, examples: Examples, *, seed: int, epochs: int, progress: Progress | None = None
) -> tuple[KerasModel, dict[str, Any]]:
    """
    Return the pruned model and what was done to it: units removed step by step, recovered from the parent between.

    Removal is physical (`models.pruning`), by first-order Taylor importance within each layer, measured anew at each
    step. After the last step, where the recipe asks for it, weights that are left are zeroed on a polynomial schedule
    while the dense parent teaches.

    Parameters
    ----------
    epochs : int
        Of recovery after the last step; each step before it gets a sixth. One epoch (a quick run) is one step.
    """
    import tf_keras

    target = recipe.prune_target
    tf_keras.utils.set_random_seed(seed)
    steps = 1 if epochs < 2 else 2 if epochs < 6 else 3
    pruned, n_batches = dense, 0
    for k, widths in enumerate(_narrowing(dense, target.channels_removed, steps)):
        pruned = _narrowed(recipe, pruned, examples, widths)
        if k + 1 < steps:
            between = max(1, epochs // 6)
            counter = _batch_counter()
            recipe.fit(pruned, examples, epochs=between, seed=seed, teacher=dense, callbacks=[counter])
            n_batches = counter.seen // between
    if target.weights_zeroed:
        pruned = _fit_sparse(recipe, pruned, examples, dense, seed, epochs, n_batches, progress)
    else:
        recipe.fit(pruned, examples, epochs=epochs, seed=seed, teacher=dense, progress=progress)
    method: dict[str, Any] = {
        "structural": {"importance": "taylor", "scope": "local", "steps": steps, "ratio": target.channels_removed},
        "parameters": {"dense": int(dense.count_params()), "pruned": int(pruned.count_params())},
        "recover_epochs": epochs,
    }
    if target.weights_zeroed:
        method["weights"] = {"schedule": "polynomial", "final_sparsity": target.weights_zeroed}
    return pruned, method


def _narrowing(dense: KerasModel, removed: float, steps: int) -> list[dict[str, int]]:
    """Return the width of every group after each step: each takes the same share, the last ends at the ratio."""
    from models.pruning.graph import trace
    from models.pruning.schedule import staircase

    sizes = {group.name: len(group) for group in trace(dense).groups}
    return [{n: max(1, size - int(size * r + 1e-9)) for n, size in sizes.items()} for r in staircase(removed, steps)]


def _narrowed(recipe: Recipe, model: KerasModel, examples: Examples, widths: Mapping[str, int]) -> KerasModel:
    from models.pruning import Taylor, apply_plan, plan_pruning
    from models.pruning.cases import calibration_rows

    data = calibration_rows(recipe, examples).take(N_IMPORTANCE)
    return apply_plan(model, plan_pruning(model, Taylor(data), widths=widths))


def _batch_counter() -> Any:
    """Return a callback that counts batches: recipes draw as they like, so nobody else knows how many an epoch has."""
    import tf_keras

    class Count(tf_keras.callbacks.Callback):  # type: ignore[misc]
        seen = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del batch, logs
            self.seen += 1

    return Count()


def _fit_sparse(
    recipe: Recipe, model: KerasModel, examples: Examples, dense: KerasModel, seed: int, epochs: int, n_batches: int,
    progress: Progress | None,
) -> KerasModel:  # fmt: skip
    """Zero weights between a tenth and seven tenths of recovery; an epoch that nobody counted yet is run on a copy."""
    from models.pruning.recovery import copied
    from models.pruning.schedule import Polynomial
    from models.pruning.training import train_sparse

    if n_batches == 0:
        counter = _batch_counter()
        recipe.fit(copied(model), examples, epochs=1, seed=seed, teacher=dense, callbacks=[counter])
        n_batches = counter.seen
    steps = epochs * n_batches
    schedule = Polynomial(
        recipe.prune_target.weights_zeroed, steps // 10, max(steps // 10 + 1, steps * 7 // 10),
        frequency=max(1, steps // 50),
    )  # fmt: skip

    def fit(one: KerasModel, callbacks: list[Any]) -> None:
        recipe.fit(
            one, examples, epochs=epochs, seed=seed, teacher=dense, callbacks=callbacks, progress=progress
        )  # fmt: skip

    return train_sparse(model, schedule, fit)[0]


def export(
    recipe: Recipe, model: KerasModel, examples: Examples, mode: str | None = None,
    columns: Mapping[str, tuple[int, ...]] | None = None,
) -> bytes:  # fmt: skip
    """
    Return the `.tflite` file of `model` in the recipe's mode (or `mode`), past the gate.

    `columns` says, by input, which columns of the examples a model for fewer sensors takes.
    """
    from models.export.convert import to_tflite
    from models.export.gate import run_gate

    if recipe.sequence:
        model = stepwise(model)
    chosen: Any = mode or recipe.export_mode
    rows = _picked(rows_of(recipe, examples, N_REPRESENTATIVE), columns) if chosen == "int8" else None
    data = to_tflite(model, chosen, rows)
    report = run_gate(data, model, _picked(rows_of(recipe, examples, 16), columns))
    report.raise_if_refused()
    return report.tflite


def rows_of(recipe: Recipe, examples: Examples, n: int) -> dict[str, NDArray[np.float32]]:
    """Return `n` rows as the file takes them: of a sequence model, consecutive steps from the middle of one."""
    if not recipe.sequence:
        return representative(examples, n)
    first = int(examples.weight[0]) // 2
    steps = {name: value[0, first : first + n, None] for name, value in examples.inputs.items()}
    return steps | {f"{name}{REVERSED}": value[::-1] for name, value in steps.items()}


def _picked(
    rows: dict[str, NDArray[np.float32]], columns: Mapping[str, tuple[int, ...]] | None
) -> dict[str, NDArray[np.float32]]:
    return {n: v[..., list(columns[n])] if columns and n in columns else v for n, v in rows.items()}


def representative(examples: Examples, n: int) -> dict[str, NDArray[np.float32]]:
    """
    Return `n` rows spread evenly over the examples, so over subjects and recordings.

    Of a task that says yes or no, half are of the rarer answer: 16 rows without a fall would hold no large output.
    """
    rows = _evenly(np.arange(len(examples)), n)
    answers = [t for t in examples.targets.values() if t.ndim == 2 and t.shape[1] == 1]
    if len(answers) == len(examples.targets) == 1 and np.isin(answers[0], (0, 1)).all():
        yes = answers[0][:, 0] == 1
        if 0 < yes.sum() < yes.size:
            rows = np.sort(np.concatenate([_evenly(np.flatnonzero(part), n // 2) for part in (yes, ~yes)]))
    return {name: value[rows] for name, value in examples.inputs.items()}


def _evenly(rows: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    return rows[np.linspace(0, rows.size - 1, min(n, rows.size)).astype(np.intp)]


def tensor_specs(tflite: bytes) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and outputs of a `.tflite` file, in its order."""
    from ai_edge_litert.interpreter import Interpreter

    with without_chatter():
        interpreter = Interpreter(model_content=tflite, num_threads=1)
    return (
        tuple(_spec(d) for d in interpreter.get_input_details()),
        tuple(_spec(d) for d in interpreter.get_output_details()),
    )


def _spec(detail: Mapping[str, Any]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    return TensorSpec(
        str(detail["name"]), tuple(int(n) for n in detail["shape"]), np.dtype(detail["dtype"]).name,
        float(scale) or 1.0, int(zero_point),
    )  # fmt: skip


def bundle(
    recipe: Recipe, tflite: bytes, examples: Examples, recordings: Sequence[Recording], folder: Path,
    card: Mapping[str, Any], columns: Mapping[str, tuple[int, ...]] | None = None,
) -> Bundle:  # fmt: skip
    """
    Write the bundle of a trained file: its decoder's config fitted on `recordings` (training ones only), its check
    rows, its card; `columns` as for `export`.
    """
    inputs, outputs = tensor_specs(tflite)
    inputs = tuple(replace(spec, columns=(columns or {}).get(spec.name, ())) for spec in inputs)
    rows = rows_of(recipe, examples, N_CHECK)

    def write(where: Path, config: Mapping[str, Any], check: Mapping[str, NDArray[np.float32]]) -> Bundle:
        return write_bundle(
            where, task=recipe.task, model=tflite, inputs=inputs, outputs=outputs, check=(rows, check),
            card={**card, "config": config}, sequence=recipe.sequence,
        )  # fmt: skip

    # The config needs the network's outputs, so the file is opened once without it.
    with tempfile.TemporaryDirectory() as scratch:
        model = Model(write(Path(scratch), {}, {}))
        config = recipe.configure(model.run, recordings)
        check = dict(model.run(rows))
    return write(folder, config, check)


def dense_bytes(recipe: Recipe, dense: KerasModel, examples: Examples) -> bytes:
    """Return the dense parent as a float32 file: what every size and latency is compared with."""
    return export(recipe, dense, examples, "float32")

"""The stages of a run, each a function from artefacts to artefacts: train, prune, export, bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.bundle import Bundle, TensorSpec, write_bundle
from models.runtime import REVERSED, Model
from models.training.recipe import Examples, KerasModel, Progress, Recipe
from models.training.sequences import stepwise

N_REPRESENTATIVE = 200  # rows that calibrate int8: error 0.0035 at 100 against 0.045 at 1
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
    Return the pruned model and what was done to it: channels or units removed, then recovered from the parent.

    Removal is physical (`models.pruning`); then the weights that are left are zeroed on TF-MOT's polynomial schedule
    while the dense parent teaches, where the recipe asks for it.
    """
    import tf_keras

    from models.pruning import L2Norm, apply_plan, plan_pruning

    target = recipe.prune_target
    tf_keras.utils.set_random_seed(seed)
    plan = plan_pruning(dense, L2Norm(), ratio=target.channels_removed)
    pruned = apply_plan(dense, plan)
    method: dict[str, Any] = {
        "structural": {"importance": "l2", "ratio": target.channels_removed},
        "parameters": {"dense": int(dense.count_params()), "pruned": int(pruned.count_params())},
        "recover_epochs": epochs,
    }
    if target.weights_zeroed:
        pruned = _fit_sparse(recipe, pruned, examples, dense, seed, epochs, progress)
        method["weights"] = {"schedule": "polynomial", "final_sparsity": target.weights_zeroed}
    else:
        recipe.fit(pruned, examples, epochs=epochs, seed=seed, teacher=dense, progress=progress)
    return pruned, method


def _fit_sparse(
    recipe: Recipe, model: KerasModel, examples: Examples, dense: KerasModel, seed: int, epochs: int,
    progress: Progress | None,
) -> KerasModel:  # fmt: skip
    import tensorflow_model_optimization as tfmot

    sparsity = tfmot.sparsity.keras
    steps = epochs * max(1, len(examples) // 64)
    schedule = sparsity.PolynomialDecay(0.0, recipe.prune_target.weights_zeroed, steps // 10, max(1, steps * 7 // 10))
    wrapped = sparsity.prune_low_magnitude(model, pruning_schedule=schedule)
    recipe.fit(
        wrapped, examples, epochs=epochs, seed=seed, teacher=dense, callbacks=[sparsity.UpdatePruningStep()],
        progress=progress,
    )  # fmt: skip
    return sparsity.strip_pruning(wrapped)


def export(recipe: Recipe, model: KerasModel, examples: Examples, mode: str | None = None) -> bytes:
    """Return the `.tflite` file of `model` in the recipe's mode (or `mode`), past the gate."""
    from models.export.convert import to_tflite
    from models.export.gate import run_gate

    if recipe.sequence:
        model = stepwise(model)
    chosen: Any = mode or recipe.export_mode
    rows = rows_of(recipe, examples, N_REPRESENTATIVE) if chosen == "int8" else None
    data = to_tflite(model, chosen, rows)
    report = run_gate(data, model, rows_of(recipe, examples, 16))
    report.raise_if_refused()
    return report.tflite


def rows_of(recipe: Recipe, examples: Examples, n: int) -> dict[str, NDArray[np.float32]]:
    """Return `n` rows as the file takes them: of a sequence model, consecutive steps from the middle of one."""
    if not recipe.sequence:
        return representative(examples, n)
    first = int(examples.weight[0]) // 2
    steps = {name: value[0, first : first + n, None] for name, value in examples.inputs.items()}
    return steps | {f"{name}{REVERSED}": value[::-1] for name, value in steps.items()}


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
    card: Mapping[str, Any],
) -> Bundle:  # fmt: skip
    """
    Write the bundle of a trained file: its decoder's config fitted on `recordings` (training ones only), its check
    rows, its card.
    """
    inputs, outputs = tensor_specs(tflite)
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

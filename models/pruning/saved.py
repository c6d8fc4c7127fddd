"""Pruning a saved model from a file: what `wristwise prune my_model.keras` does."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.export.c_array import to_c_array
from models.export.convert import Mode
from models.export.gate import run_gate
from models.pruning.calibration import Calibration, read_calibration
from models.pruning.cases import Case
from models.pruning.errors import CalibrationError, PruningError
from models.pruning.plan import PruningPlan
from models.pruning.recovery import train
from models.pruning.report import FrontPoint, write_report
from models.pruning.request import Request, prune_case
from models.pruning.surgery import apply_plan
from models.pruning.target import Pruned


def load_model(path: Path) -> Any:
    """
    Load a saved tf_keras model.

    Raises
    ------
    PruningError
        If the file is missing or is not a model of tf_keras (Keras 2).
    """
    import tf_keras

    if not path.exists():
        raise PruningError(f"there is no model file {str(path)!r}")
    try:
        return tf_keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, ImportError) as error:
        if "Lambda" in str(error):
            raise PruningError(
                f"{path.name} holds a Lambda layer, whose code can be neither read safely nor pruned; build the model "
                "with a built-in layer instead (Rescaling, Activation, Permute) and save it again"
            ) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise PruningError(
            f"{path.name} cannot be read as a tf_keras model ({reason}); save it with tf_keras as .keras or .h5, "
            "a Keras 3 file has to be built and saved again under tf_keras"
        ) from error


def divided(data: Calibration, subjects: NDArray[Any] | None, seed: int) -> tuple[Calibration, Calibration]:
    """
    Return (recovery rows, held-out rows): four fifths and one fifth, never dividing a subject where they are known.

    Raises
    ------
    CalibrationError
        If there are fewer than ten rows, or fewer than two subjects.
    """
    if len(data) < 10:
        raise CalibrationError(f"{len(data)} calibration rows are too few to hold some out; give at least 10")
    names = np.arange(len(data)) if subjects is None else np.asarray(subjects)
    unique = np.unique(names)
    if len(unique) < 2 or len(names) != len(data):
        raise CalibrationError("the array 'subject' must name at least two subjects, one for each row")
    held = np.random.default_rng(seed).permutation(unique)[: max(1, len(unique) // 5)]
    out = np.isin(names, held)
    return data.take(~out), data.take(out)


def prune_saved(path: Path, calibration: Path | None, request: Request, out: Path) -> Pruned:
    """
    Prune a saved model and write the pruned ``.keras``, the ``.tflite``, the C array, the plan and a report.

    Returns
    -------
    Pruned

    Raises
    ------
    PruningError
        One sentence on what is wrong: no calibration data, a target below what is possible, an unknown layer.
    """
    model = load_model(path)
    if calibration is None:
        raise CalibrationError(
            "pruning needs data to measure what is lost; give --calibration FILE.npz with arrays named like the "
            f"inputs {list(model.input_names)} and outputs {list(model.output_names)} of the model (or x and y)"
        )
    case = saved_case(model, calibration, request)
    found = prune_case(case, model, request)
    write_outcome(found, front_of(found, model, case.error), case.representative(), request.mode, path.stem, out)
    return found


def saved_case(model: Any, calibration: Path, request: Request) -> Case:
    """Return the case of a saved model: its loss on held-out rows is its error, recovery trains on the others."""
    data = read_calibration(calibration, model, request.loss)
    with np.load(calibration, allow_pickle=False) as stored:
        subjects = np.asarray(stored["subject"]) if "subject" in stored.files else None
    own, held = divided(data, subjects, request.seed)

    def fit(one: Any, epochs: int, seed: int, teacher: Any, callbacks: Sequence[Any]) -> None:
        train(one, own, epochs=epochs, teacher=teacher, seed=seed, callbacks=tuple(callbacks))

    return Case(
        model.name, request.loss, lambda _: model, fit, own, held, 0, request.epochs, request.mode, measure=held.loss_of
    )


def c_name(name: str) -> str:
    """Return a C identifier for the name of a file."""
    return re.sub(r"[^a-z0-9_]", "_", f"m_{name}".lower())


def write_outcome(
    found: Pruned, front: Sequence[FrontPoint], representative: Any, mode: Mode, name: str, out: Path
) -> None:
    """Write every artefact of a prune; the gate refuses a file on which the runtimes disagree."""
    runtimes = ("litert", "tf.lite") if mode == "float16" else None
    gate = run_gate(found.tflite, found.model, {k: v[:16] for k, v in representative.items()}, runtimes=runtimes)
    gate.raise_if_refused()
    out.mkdir(parents=True, exist_ok=True)
    found.model.save(out / f"{name}.keras")
    (out / f"{name}.tflite").write_bytes(gate.tflite)
    (out / "plan.json").write_text(found.plan.to_json() + "\n", encoding="utf-8")
    arena = None if np.isnan(found.measured.arena) else int(found.measured.arena)
    to_c_array(gate.tflite, c_name(name), arena).save(out)
    write_report(found, front, out, name, gate.entry())


def front_of(found: Pruned, model: Any, loss_of: Callable[[Any], float]) -> list[FrontPoint]:
    """Return points of the Pareto picture: the curves' knapsack at several budgets, without recovery."""
    from models.pruning.allocation import knapsack

    points = [FrontPoint("dense", found.dense.bytes, found.loss_dense)]
    if found.curves is not None and isinstance(found.plan, PruningPlan):
        most = sum(max(o.saves["bytes"] for o in many) for many in found.curves.options.values())
        share_of = found.dense.bytes / max(found.plan.before["weight_bytes"], 1)
        for share in (0.2, 0.4, 0.6, 0.8):
            plan = found.curves.plan(knapsack(found.curves, {"bytes": share * most}))
            loss = loss_of(apply_plan(model, plan))
            points.append(FrontPoint("not recovered", plan.after["weight_bytes"] * share_of, loss))
    return [*points, FrontPoint("pruned", found.measured.bytes, found.loss)]

"""`wristwise prune`: a saved model, or the network of a task, made small."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from models.pruning.target import Pruned

_MODES = ("float32", "float16", "int8", "weight_int8")


def prune(
    model: Annotated[str, typer.Argument(help="A saved tf_keras model (.keras, .h5), or the name of a task.")],
    calibration: Annotated[Path | None, typer.Option(help="Rows to measure on (.npz), for a saved model.")] = None,
    max_bytes: Annotated[float | None, typer.Option(help="Largest .tflite file.")] = None,
    max_latency_us: Annotated[float | None, typer.Option(help="Slowest inference in LiteRT on this machine.")] = None,
    max_arena_bytes: Annotated[float | None, typer.Option(help="Largest tflite-micro arena.")] = None,
    max_loss: Annotated[str | None, typer.Option(help="Allowed rise of the loss: 0.1, or 0.5% of the dense.")] = None,
    target: Annotated[float | None, typer.Option(help="For a task: share removed, 0 to 0.99.")] = None,
    method: Annotated[str, typer.Option(help="Importance: l1, l2, path, taylor, fisher, apoz, ...")] = "taylor",
    plan: Annotated[Path | None, typer.Option(help="Apply this plan (an edited plan.json) instead.")] = None,
    loss: Annotated[str, typer.Option(help="Keras loss of a saved model.")] = "mse",
    mode: Annotated[str, typer.Option(help="float32, float16, int8 or weight_int8.")] = "float32",
    epochs: Annotated[int, typer.Option(help="Epochs of recovery.")] = 5,
    round_to: Annotated[int | None, typer.Option(help="Keep multiples of this many units.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for model, .tflite, C array, plan and report.")] = Path("pruned"),
    dense: Annotated[Path | None, typer.Option(help="For a task: dense parent from `wristwise train`.")] = None,
) -> None:
    """Prune to a size, a latency or a loss; writes .keras, .tflite, C array, plan.json and report."""
    from models.pruning.errors import PruningError
    from models.tensorflow_setup import quiet

    quiet()
    if mode not in _MODES:
        raise PruningError(f"--mode must be one of {', '.join(_MODES)}, got {mode!r}")
    from models.pruning.plan import PruningPlan
    from models.pruning.saved import Request, prune_saved

    chosen: Any = mode
    edited = PruningPlan.from_json(plan.read_text(encoding="utf-8")) if plan is not None else None
    request = Request(
        max_bytes, max_latency_us, max_arena_bytes, max_loss, edited, method, loss, chosen, epochs, seed, round_to
    )
    if Path(model).suffix in (".keras", ".h5") or Path(model).is_dir():
        found = prune_saved(Path(model), calibration, request, out)
    else:
        from models.pruning.tasks import prune_task

        found = prune_task(model, dense, target, request, out)
    _say(found, out)


def _say(found: Pruned, out: Path) -> None:
    """Print the outcome in a few lines."""
    from models.pruning.report import bought_nothing, number

    for what, dense, pruned in (
        ("bytes", found.dense.bytes, found.measured.bytes),
        ("gzip bytes", found.dense.gzip, found.measured.gzip),
        ("latency us", found.dense.latency_us, found.measured.latency_us),
        ("arena bytes", found.dense.arena, found.measured.arena),
        ("loss", found.loss_dense, found.loss),
    ):
        typer.echo(f"{what:<12} {number(dense):>12} -> {number(pruned)}")
    if bought_nothing(found.dense, found.measured):
        typer.echo("this prune bought nothing: bytes, latency and arena moved by less than 2 %")
    typer.echo(f"written to {out}: report.md, plan.json, model, .tflite, C array")

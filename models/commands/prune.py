"""`wristwise prune`: a saved model, or the network of a task, made small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.pruning.target import Pruned
    from models.run.sensors import SensorSet


def prune(
    model: Annotated[str, typer.Argument(help="A saved tf_keras model (.keras, .h5), or the name of a task.")],
    calibration: Annotated[Path | None, typer.Option(help="Rows to measure on (.npz), for a saved model.")] = None,
    max_bytes: Annotated[float | None, typer.Option(help="Largest .tflite file.")] = None,
    max_latency_us: Annotated[float | None, typer.Option(help="Slowest inference, by --clock.")] = None,
    max_arena_bytes: Annotated[float | None, typer.Option(help="Largest tflite-micro arena.")] = None,
    max_loss: Annotated[str | None, typer.Option(help="Allowed rise of the loss: 0.1, or 0.5% of the dense.")] = None,
    method: Annotated[str, typer.Option(help="l2, taylor, weights-threshold, layers, paths, ...")] = "taylor",
    target: Annotated[float | None, typer.Option(help="Share of units or weights; how many layers or paths.")] = None,
    threshold: Annotated[float | None, typer.Option(help="For weights-threshold: weights below it go.")] = None,
    schedule: Annotated[str, typer.Option(help="one-shot, iterative, constant, polynomial.")] = "one-shot",
    scope: Annotated[str, typer.Option(help="local or global ranking.")] = "global",
    keep: Annotated[str, typer.Option(help="For --method sensors: inputs that stay, with commas.")] = "",
    power: Annotated[str, typer.Option(help="For a task's sensors: microwatts, as ppg=300,acc=20.")] = "",
    per_set: Annotated[
        int | None, typer.Option(help="For a task: at most so many recordings of each data set.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="Apply this plan (an edited plan.json) instead.")] = None,
    loss: Annotated[str, typer.Option(help="Keras loss of a saved model.")] = "mse",
    mode: Annotated[str, typer.Option(help="float32, float16, int8 or weight_int8.")] = "float32",
    epochs: Annotated[int, typer.Option(help="Epochs of recovery.")] = 5,
    round_to: Annotated[int | None, typer.Option(help="Keep multiples of this many units.")] = None,
    clock: Annotated[str, typer.Option(help="here (LiteRT), cortex-m4f or cortex-m55 (predicted).")] = "here",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for model, .tflite, C array, plan and report.")] = Path("pruned"),
    dense: Annotated[Path | None, typer.Option(help="For a task: dense parent from `wristwise train`.")] = None,
) -> None:
    """Prune to a size, a latency or a loss, or by a method; writes .keras, .tflite, C array, plan.json and report."""
    from models.pruning.errors import PruningError
    from models.tensorflow_setup import quiet

    _one_of("--mode", mode, ("float32", "float16", "int8", "weight_int8"))
    _one_of("--scope", scope, ("local", "global"))
    _one_of("--schedule", schedule, ("one-shot", "constant", "polynomial", "iterative"))
    asked = (max_bytes, max_latency_us, max_arena_bytes, max_loss, target, threshold, plan)
    every_set = method == "sensors" and not keep
    if method != "binary" and not keep and not every_set and all(option is None for option in asked):
        raise PruningError(
            "prune needs a target: --max-bytes, --max-latency-us, --max-arena-bytes or --max-loss; or --target with "
            "--method; or --plan"
        )
    quiet()
    from models.pruning.methods import Way
    from models.pruning.plan import PruningPlan
    from models.pruning.representatives import REPRESENTATIVES
    from models.pruning.request import Request
    from models.pruning.saved import prune_saved
    from models.pruning.tasks import prune_sensors, prune_task, sensor_sets

    kept: Any = tuple(name for name in keep.split(",") if name)
    chosen: Any = {"schedule": schedule, "scope": scope}
    way = Way(method, 0.5 if target is None else target, keep=kept, seed=seed, threshold=threshold, **chosen)
    by_way = target is not None or threshold is not None or bool(kept) or method == "binary"
    edited = PruningPlan.from_json(plan.read_text(encoding="utf-8")) if plan is not None else None
    number_format: Any = mode
    request = Request(
        max_bytes, max_latency_us, max_arena_bytes, max_loss, way, by_way, edited, loss, number_format,
         epochs, seed, round_to, clock,
    )  # fmt: skip

    def once(request: Request, out: Path) -> None:
        if _is_file(model):
            found = prune_saved(Path(model), calibration, request, out)
        else:
            found = prune_task(model, dense, request, out, per_set=per_set)
        _say(found, out)

    if not every_set:
        once(request, out)
    elif _is_file(model) or model in REPRESENTATIVES:
        for kept in sensor_sets(model):
            own = replace(request, way=replace(way, keep=kept), by_way=True)
            once(own, out / "+".join(kept))
    else:
        for line in _sensor_lines(prune_sensors(model, dense, request, out, _watts(power), per_set=per_set)):
            typer.echo(line)


def _is_file(model: str) -> bool:
    return Path(model).suffix in (".keras", ".h5") or Path(model).is_dir()


def _watts(text: str) -> dict[str, float]:
    """Return microwatts by sensor from ``ppg=300,acc=20``."""
    from models.pruning.errors import PruningError

    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError as error:
        raise PruningError(f"--power must be microwatts by sensor, such as ppg=300,acc=20; got {text!r}") from error


def _sensor_lines(found: Sequence[SensorSet]) -> Iterator[str]:
    from models.pruning.report import number

    for one in found:
        name = " + ".join(one.sensors)
        yield (
            f"{name:<24} {one.why_not}"
            if one.why_not
            else f"{name:<24} figure {number(one.figure)}, {number(one.bytes)} bytes, {number(one.m4f_uj)} uJ predicted"
        )


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    from models.pruning.errors import PruningError

    if value not in known:
        raise PruningError(f"{option} must be one of {', '.join(known)}, got {value!r}")


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

"""`wristwise evaluate`: score a bundle on any WFDB folder or public data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    task: Annotated[str, typer.Argument(help="Which task, for example heart-rate.")],
    recordings: Annotated[Path | None, typer.Option(help="Folder of WFDB records (docs/recordings.md).")] = None,
    dataset: Annotated[str | None, typer.Option(help="Public data set below WRISTWISE_DATA.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle to score instead of the shipped one.")] = None,
    offline: Annotated[
        bool | None,
        typer.Option("--offline/--causal", help="Look ahead, or not; default: as the task does.", show_default=False),
    ] = None,
    runtime: Annotated[str, typer.Option(help="litert or micro.")] = "litert",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score the shipped bundle (or --bundle), through LiteRT, against the references of recordings."""
    from models.evaluate import evaluate as score
    from models.evaluate import open_model, recordings_of
    from models.progress import status
    from models.runtime import runtime_name
    from pipelines.registry import TASKS

    chosen = TASKS[task]
    model = open_model(chosen, bundle, runtime_name(runtime))
    with status(f"scoring {chosen.name}") as say:
        result = score(chosen, recordings_of(chosen, recordings, dataset), model, offline=offline, on_recording=say)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
    else:
        _print_table(result)


def _print_table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{result['task']}: {result['n_recordings']} recordings, {result['n_windows']} windows")
    table.add_column("metric")
    table.add_column("bundle" if result["bundle"] else "task", justify="right")
    table.add_column("baseline", justify="right")
    for name, value in result["metrics"].items():
        table.add_row(name, _number(value), _number(result["baseline"].get(name)))
    console.print(table)
    for row in result["refused"]:
        console.print(f"refused {row['id']}: {row['why']}", highlight=False)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"

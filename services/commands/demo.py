"""`wristwise demo`: see a heart rate come back, in under half a minute."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.demo import Comparison

ROWS = 12  # lines of the table: enough to see, few enough for a screen


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path("demo"),
    recording: Annotated[Path | None, typer.Option(help="A WFDB record of your own, without its extension.")] = None,
) -> None:
    """Start a service, pair a mock watch, replay a recording, and show the heart rate that came back."""
    from models.progress import bar
    from services.demo import draw, load, replay

    chosen = load(recording, typer.echo)
    with bar("wristwise demo") as advance:
        result = replay(chosen, advance)
    _print_table(result)
    picture = out / "heart_rate.png"
    draw(result, chosen.id, picture)
    typer.echo(f"Mean absolute error {result.mae_bpm:.2f} BPM over {result.end_s.size} windows. Picture: {picture}")
    typer.echo("Next: make companion (or: wristwise companion) shows the page with a mock person's month in it.")


def _print_table(result: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Heart rate that came back, beside the reference (BPM)")
    for name in ("s", "estimate", "90 % interval", "reference", "error"):
        table.add_column(name, justify="right")
    step = max(1, result.end_s.size // ROWS)
    for k in range(0, result.end_s.size, step):
        value, half, truth = result.estimate_bpm[k], result.half_width_bpm[k], result.reference_bpm[k]
        table.add_row(
            f"{result.end_s[k]:.0f}", _cell(value), f"± {_cell(half)}", _cell(truth), _cell(value - truth, sign=True)
        )
    Console().print(table)


def _cell(value: float, *, sign: bool = False) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:+.1f}" if sign else f"{value:.1f}"

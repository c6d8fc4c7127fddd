"""`wristwise night`: one night's figures, score and picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def night(
    file: Annotated[Path, typer.Argument(help="A WFDB record (without extension), or a night of sleep-accel: DIR/ID.")],
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("night.png"),
    bundle: Annotated[Path | None, typer.Option(help="Bundle instead of the shipped one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Stage a night and say what it was like."""
    from models.night import report_of
    from models.night_picture import draw_night

    report, heart = report_of(file, bundle)
    draw_night(report, heart, out)
    figures = report.to_dict()
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        if name not in {"hypnogram", "score_parts"}:
            typer.echo(f"{name:>18}  {'–' if value is None else value}")
    typer.echo(f"picture {out}")

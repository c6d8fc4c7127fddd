"""`wristwise data list | fetch | export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Public data sets and recordings.")


@app.command("list")
def list_sets(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show which public data sets there are, where from, under which licence, and which are here."""
    from data.adapters.registry import ADAPTERS
    from data.location import data_root

    root = data_root()
    rows = [
        {
            "name": a.name, "here": a.present(root), "title": a.title, "licence": a.licence,
            "open_licence": a.open_licence, "url": a.url, "fetch": bool(a.physionet),
        }
        for a in ADAPTERS.values()
    ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"root": str(root), "data_sets": rows}, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Data sets in {root}")
    for column in ("name", "here", "licence", "title", "url"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            str(row["name"]), "yes" if row["here"] else "–", str(row["licence"]), str(row["title"]), str(row["url"])
        )
    Console().print(table)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Data set on PhysioNet, for example wrist.")],
    root: Annotated[Path | None, typer.Option(help="Where to put it, default WRISTWISE_DATA.")] = None,
) -> None:
    """Download a data set from PhysioNet; checks each file's SHA-256 and resumes."""
    from rich.console import Console
    from rich.progress import Progress

    from data.adapters.registry import adapter
    from data.fetch import fetch_physionet
    from data.location import data_root

    chosen, target = adapter(name), root or data_root()
    with Progress(console=Console(stderr=True)) as progress:
        handle = progress.add_task(f"fetching {name}", total=None)
        n = fetch_physionet(chosen, target, lambda done, of: progress.update(handle, completed=done, total=of))
    typer.echo(f"{name}: {n} files in {target / chosen.name}, all checked; licence: {chosen.licence}")


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(help="Data set below WRISTWISE_DATA.")],
    out: Annotated[Path, typer.Argument(help="Folder for the WFDB records.")],
    limit: Annotated[int, typer.Option(help="At most so many recordings; 0 is all.")] = 0,
) -> None:
    """Write a data set's recordings as WFDB records with our annotation files."""
    from itertools import islice

    from data.adapters.registry import adapter
    from data.export import write_recording
    from data.location import data_root

    count = 0
    for recording in islice(adapter(dataset).read(data_root()), limit or None):
        write_recording(recording, out)
        count += 1
    typer.echo(f"{count} recordings in {out}")

"""`wristwise mock-person`: a month of somebody who does not exist, so that the page has something to show."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.commands.fleet import companions
from services.commands.watch import Server, User


def mock_person(
    server: Server = "http://127.0.0.1:8080",
    days: Annotated[int, typer.Option(min=1, help="Local days, the last of them today.")] = 30,
    seed: Annotated[int, typer.Option(help="Which person.")] = 0,
    user: User = "owner",
    accounts: Annotated[Path | None, typer.Option(help="File with the account: NAME SECRET.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Fill a service with a plausible month: work, nights, exercise, a journey, a cold, a fall."""
    from models.progress import bar
    from services.person import mock_person as fill

    (companion, *_) = companions(server, accounts, user)
    with bar(f"mock person {seed}") as advance:
        report = fill(server, companion, days=days, seed=seed, on_progress=advance)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=1))
    else:
        typer.echo(
            f"{report.device_id}: {report.days} days, {report.records:,} records and {report.chunks} chunks of raw "
            f"signal; the fall: {report.fall}. Open {server} to see them."
        )
    if report.refused:
        raise typer.Exit(1)

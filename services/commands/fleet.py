"""`wristwise fleet`: many mock watches against a server, with a table that lives."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.errors import WristwiseError
from services.commands.watch import Server, User, open_recording

if TYPE_CHECKING:
    from rich.table import Table

    from services.watch import Companion
    from services.watch.fleet import FleetReport


class AccountsError(WristwiseError, ValueError):
    """Nobody can approve the watches."""


def fleet(
    server: Server = "http://127.0.0.1:8080",
    watches: Annotated[int, typer.Option(help="How many.")] = 100,
    hours: Annotated[float, typer.Option(help="Device hours that each lives.")] = 1.0,
    speed: Annotated[float, typer.Option(help="Device seconds a second.")] = 60.0,
    offline_hours: Annotated[float, typer.Option(help="Each comes with so many hours in its outbox.")] = 0.0,
    threads: Annotated[int, typer.Option(help="Requests under way at once.")] = 8,
    drop: Annotated[float, typer.Option(help="Probability that a batch or its answer is lost.")] = 0.0,
    duplicate: Annotated[float, typer.Option(help="Probability that a batch arrives twice.")] = 0.0,
    recording: Annotated[str, typer.Option(help="A WFDB record, path without extension.")] = "synthetic",
    accounts: Annotated[Path | None, typer.Option(help="File of accounts, a line each: NAME SECRET.")] = None,
    user: User = "owner",
    seed: Annotated[int, typer.Option(help="Decides faults, jitter and the synthetic wearer.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Load a server with many mock watches; show throughput, latency and what is still waiting."""
    from services.watch import RunOptions
    from services.watch.fleet import Fleet, FleetOptions

    options = FleetOptions(
        watches, hours, speed, threads, offline_hours, RunOptions(seed=seed, drop=drop, duplicate=duplicate)
    )
    worn = open_recording(recording, seed, 600.0, eventful=False)
    ships = Fleet(server, worn, companions(server, accounts, user), options)
    try:
        with _table(watches) as show:
            ships.pair(lambda n: show(f"pairing {n} of {watches}", None))
            report = ships.live(lambda r: show("", r))
    finally:
        ships.close()
    typer.echo(json.dumps(report.body(), indent=1) if as_json else sentence(report))
    if report.complete < report.watches:
        raise typer.Exit(1)


def companions(server: str, accounts: Path | None, user: str) -> list[Companion]:
    """Return who approves the watches: the accounts of a file, else `user` with WRISTWISE_WEARER_SECRET.

    Raises
    ------
    AccountsError
        If there is no file and no secret, or the file has no account.
    """
    from services.watch import Companion

    if accounts is None:
        secret = os.environ.get("WRISTWISE_WEARER_SECRET", "")
        if not secret:
            raise AccountsError(
                "watches need somebody who approves them; set WRISTWISE_WEARER_SECRET to the account's secret, "
                "or name a file with --accounts"
            )
        return [Companion(server, user, secret)]
    pairs = [line.split() for line in accounts.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise AccountsError(f"{accounts} must have one account a line: NAME SECRET")
    return [Companion(server, name, secret) for name, secret in pairs]


def sentence(report: FleetReport) -> str:
    """Return the report in a few lines."""
    kept = "kept up" if report.lag_s < 1.0 else f"fell behind by {report.lag_s:.0f} s"
    return (
        f"{report.complete} of {report.watches} watches complete, {report.waiting} chunks waiting; "
        f"{report.device_hours:,.0f} device hours in {report.seconds:.1f} s, as {report.realtime_watches:,.0f} watches "
        f"at real speed; the server {kept}\n"
        f"{report.batches_per_s:,.1f} batches/s, {report.samples_per_s:,.0f} samples/s, "
        f"{report.bytes_sent / 1e6:,.1f} MB sent; {report.failures} of {report.requests} requests failed\n"
        f"answer to a batch: p50 {report.p50_ms:.1f} ms, p99 {report.p99_ms:.1f} ms, most {report.max_ms:.1f} ms"
    )


@contextmanager
def _table(watches: int) -> Iterator[Callable[[str, FleetReport | None], None]]:
    """Show a table that renews itself on a terminal; elsewhere a line every ten seconds."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(watches)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda word, report: live.update(word if report is None else table_of(report))


def _lines(watches: int) -> Callable[[str, FleetReport | None], None]:
    calls = 0

    def show(_: str, report: FleetReport | None) -> None:
        nonlocal calls
        calls += 1
        if report is not None and calls % 10 == 0:
            sys.stderr.write(f"fleet of {watches}: {report.stored} chunks stored, p99 {report.p99_ms:.0f} ms\n")

    return show


def table_of(report: FleetReport) -> Table:
    """Return the live table."""
    from rich.table import Table

    table = Table(title=f"{report.watches} watches, {report.seconds:.0f} s", show_header=False)
    rows = [
        ("complete", f"{report.complete}"),
        ("waiting chunks", f"{report.waiting:,}"),
        ("stored chunks", f"{report.stored:,}, and {report.duplicates:,} recognised as duplicates"),
        ("batches/s", f"{report.batches_per_s:,.1f}"),
        ("samples/s", f"{report.samples_per_s:,.0f}"),
        ("as watches at real speed", f"{report.realtime_watches:,.0f}"),
        ("p50 / p99 / most", f"{report.p50_ms:.1f} / {report.p99_ms:.1f} / {report.max_ms:.1f} ms"),
        ("failed requests", f"{report.failures:,} of {report.requests:,}"),
        ("latest upload behind", f"{report.lag_s:.1f} s"),
    ]
    for name, value in rows:
        table.add_row(name, value)
    return table

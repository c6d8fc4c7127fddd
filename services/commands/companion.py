"""`wristwise companion`: one command from nothing to a page with somebody's month in it."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from services.commands.serve import Port

LIVE_S = 3600.0


def companion(
    days: Annotated[
        int, typer.Option(min=1, help="Local days of the mock person's life, the last of them today.")
    ] = 42,
    port: Port = 8080,
    seed: Annotated[int, typer.Option(help="Which person.")] = 1,
) -> None:
    """See the companion page: serve, let a mock person live in it, and say how to sign in. Nothing is kept."""
    from models.progress import bar
    from services.companion import NAME, lived

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bar("wristwise companion") as advance, lived(days, port=port, seed=seed, advance=advance) as home:
        advance(1.0, "ready")
        typer.echo(
            f"\nOpen   {home.running.url}\nName   {NAME}\nSecret {home.secret}\n\n"
            "Her watch is on the wrist: its heart rate reaches the page in about ten seconds.\n"
            "Ctrl-C stops it all; nothing is kept."
        )
        threading.Thread(target=home.live, args=(LIVE_S, seed), daemon=True).start()
        stop.wait()

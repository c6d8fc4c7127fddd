"""Progress of long work: a bar or spinner on a terminal, a line every few seconds elsewhere, always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_LINE_EVERY_S = 10.0


@contextmanager
def status(title: str) -> Iterator[Callable[[str], None]]:
    """Show what is being worked on; yields a function that takes one word on it."""
    with bar(title) as advance:
        yield lambda word: advance(None, word)


@contextmanager
def bar(title: str) -> Iterator[Callable[[float | None, str], None]]:
    """Show how far work is; yields a function of the fraction done (None: unknown) and one word on it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[word]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        handle = progress.add_task(title, total=None, word="")

        def advance(fraction: float | None, word: str) -> None:
            if fraction is None:
                progress.update(handle, word=word)
            else:
                progress.update(handle, total=1.0, completed=fraction, word=word)

        yield advance


def _lines(title: str) -> Callable[[float | None, str], None]:
    last = time.monotonic()

    def advance(fraction: float | None, word: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            share = "" if fraction is None else f" {fraction:.0%}"
            sys.stderr.write(f"{title}:{share} {word}\n")

    return advance

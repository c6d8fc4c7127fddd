"""Commands that keep a store in order: backfill, backup, retention, and the release of models."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.commands.serve import DEFAULT_DATA, Data, local_settings

if TYPE_CHECKING:
    from services.store.store import Store

model = typer.Typer(no_args_is_help=True, help="Models over the air: keys, releases, withdrawals.")
# Kinds that come every few seconds and are thinned with age; events and daily figures stay as they are.
THINNED = ("heart_rate", "activity", "steps", "respiration")


def _open(data: Path) -> Store:
    from services.store.migrate import open_store

    settings = local_settings(data)
    return open_store(settings.store, data_key=settings.data_key)


def backfill(
    task: Annotated[str, typer.Argument(help="Task whose model is new; 'all' for every task.")],
    data: Data = DEFAULT_DATA,
    wait: Annotated[bool, typer.Option(help="Stay and show how much is left.")] = False,
) -> None:
    """Compute history again with the present model; the workers of the service do it beside what comes in."""
    from pipelines.registry import TASKS
    from services.store import jobs, upkeep

    store = _open(data)
    try:
        name = None if task == "all" else TASKS[task].name
        boots = store.write(lambda conn: upkeep.want_backfill(conn, name))
        typer.echo(json.dumps({"boots": boots}))
        while wait and (left := store.read(jobs.counts)["waiting"]):
            typer.echo(f"{left} boots left", err=True)
            time.sleep(2)
    finally:
        store.close()


def backup(
    target: Annotated[Path, typer.Argument(help="File to write; must not exist.")], data: Data = DEFAULT_DATA
) -> None:
    """Copy an embedded store while it is being served."""
    from services.store import upkeep

    store = _open(data)
    try:
        upkeep.back_up(store, target)
    finally:
        store.close()
    typer.echo(json.dumps({"backup": str(target), "bytes": target.stat().st_size}))


def retention(data: Data = DEFAULT_DATA) -> None:
    """Let old samples go, thin old estimates, purge old deletions; run it once a day."""
    from services.store import upkeep
    from services.store.migrate import open_store

    settings = local_settings(data)
    store = open_store(settings.store, data_key=settings.data_key)
    try:
        done = upkeep.retain(
            store, raw_days=settings.raw_days, fine_days=settings.fine_days, tombstone_days=settings.tombstone_days,
            audit_days=settings.audit_days, kinds=THINNED,
        )  # fmt: skip
    finally:
        store.close()
    typer.echo(json.dumps(done))


@model.command("key")
def model_key(path: Annotated[Path, typer.Argument(help="File for the private key; must not exist.")]) -> None:
    """Draw an Ed25519 signing key and print its public half, which watches hold."""
    from services.store import releases

    typer.echo(json.dumps({"public_key": releases.public_hex(releases.new_key(path))}))


@model.command("publish")
def model_publish(
    task: Annotated[str, typer.Argument(help="Task.")],
    key: Annotated[Path, typer.Option(help="Signing key.")],
    percent: Annotated[int, typer.Option(min=0, max=100, help="Share of the devices that get it.")] = 100,
    device_class: Annotated[str, typer.Option(help="Class of device it is for.")] = "any",
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder; default: the one that is shipped.")] = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Sign a bundle and offer it to a share of the devices; again with more percent to widen it."""
    from models.bundle import Bundle, shipped
    from pipelines.registry import TASKS
    from services.store import releases

    chosen = TASKS[task]
    opened = Bundle.open(bundle) if bundle else shipped(chosen)
    opened.check_task(chosen)
    card = {**opened.card, "sensors": [c.name for c in chosen.channels if c.required]}
    release = releases.Release(chosen.name, device_class, opened.version, opened.model, card)
    store = _open(data)
    try:
        signer = releases.read_key(key)
        store.write(lambda conn: releases.publish(conn, release, signer, percent))
    finally:
        store.close()
    typer.echo(json.dumps({"task": chosen.name, "version": opened.version, "percent": percent}))


@model.command("list")
def model_list(data: Data = DEFAULT_DATA) -> None:
    """Print each release with its percentage, and how many devices run it and have refused it."""
    from services.store import rollouts

    store = _open(data)
    try:
        for release in store.read(rollouts.reach):
            typer.echo(json.dumps(asdict(release)))
    finally:
        store.close()


@model.command("withdraw")
def model_withdraw(
    task: Annotated[str, typer.Argument(help="Task.")],
    version: Annotated[str, typer.Argument(help="Version to take back.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Take a version back; devices are offered the newest one before it."""
    from pipelines.registry import TASKS
    from services.store import releases

    store = _open(data)
    try:
        count = store.write(lambda conn: releases.withdraw(conn, TASKS[task].name, version))
    finally:
        store.close()
    typer.echo(json.dumps({"withdrawn": count}))

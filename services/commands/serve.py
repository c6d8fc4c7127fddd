"""`wristwise serve`, `api` and `worker`, and the commands that keep a store in order."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from services.sync.config import Settings

Data = Annotated[Path, typer.Option("--data", help="Folder of the embedded store and its secret.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.")]
DEFAULT_DATA = Path("wristwise-data")
users = typer.Typer(no_args_is_help=True, help="Accounts of the service.")


def local_settings(data: Path, **given: Any) -> Settings:
    """
    Return settings for the embedded store in `data`; the environment wins where it says something.

    The secret is drawn on the first start and kept beside the store, readable by its owner only.
    """
    from services.sync.config import Settings

    data.mkdir(parents=True, exist_ok=True)
    file = data / "secret"
    if not file.exists() and "WRISTWISE_SECRET" not in os.environ:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
    values: dict[str, Any] = dict(given)
    if "WRISTWISE_STORE" not in os.environ:
        values["store"] = f"sqlite:///{data.resolve() / 'wristwise.db'}"
    if "WRISTWISE_SECRET" not in os.environ:
        values["secret"] = file.read_text()
    return Settings.from_env(**values)


def serve(
    data: Data = DEFAULT_DATA,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    workers: Annotated[int, typer.Option(help="Worker threads beside the API.")] = 1,
) -> None:
    """Run the API and the worker in one command, on an embedded store."""
    from services.sync.processes import Gunicorn

    settings = local_settings(data, workers=workers)
    _first_user(settings)
    sys.stderr.write(f"wristwise: serving on http://{host}:{port} from {settings.store.split('@')[-1]}\n")
    Gunicorn(settings, f"{host}:{port}", processes=1, with_worker=True).run()


def api(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    processes: Annotated[int, typer.Option(help="Processes that answer; more than one needs PostgreSQL.")] = 1,
) -> None:
    """Run the API alone on the store of WRISTWISE_STORE."""
    from services.sync.config import Settings
    from services.sync.processes import Gunicorn

    settings = _required(Settings.from_env()).check_secret()
    Gunicorn(settings, f"{host}:{port}", processes=processes, with_worker=False).run()


def worker(threads: Annotated[int, typer.Option(help="Threads that work.")] = 1) -> None:
    """Run a worker alone on the store of WRISTWISE_STORE."""
    from services.sync.config import Settings
    from services.sync.server import work

    work(_required(Settings.from_env(workers=threads)))


@users.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="Name of the new user.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Make an account and print its secret once."""
    from services.store import accounts
    from services.store.migrate import open_store

    store = open_store(local_settings(data).store)
    try:
        user_id, secret = store.write(lambda conn: accounts.create_user(conn, name))
    finally:
        store.close()
    typer.echo(json.dumps({"name": name, "user_id": accounts.user_name(user_id), "secret": secret}))


def _first_user(settings: Settings) -> None:
    from services.store import accounts
    from services.store.migrate import open_store

    store = open_store(settings.store)
    try:
        secret = store.write(lambda c: None if accounts.has_users(c) else accounts.create_user(c, "owner")[1])
    finally:
        store.close()
    if secret is not None:
        sys.stderr.write(
            f"wristwise: made the account 'owner'. Its secret is shown only now; write it down:\n\n    {secret}\n\n"
        )


def _required(settings: Settings) -> Settings:
    if not settings.store:
        raise typer.BadParameter("set WRISTWISE_STORE, for example postgresql+psycopg://user@host/wristwise")
    return settings

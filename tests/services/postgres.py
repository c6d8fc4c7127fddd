"""A throwaway PostgreSQL cluster from Debian's packages, in a temporary folder, gone afterwards."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Cluster:
    """A running cluster, reached through a socket in `folder`."""

    folder: Path
    bin: Path
    numbers: Any = field(default_factory=itertools.count)

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"t{next(self.numbers)}"
        _run([self.bin / "createdb", "-h", self.folder, "-U", "postgres", name])
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"


@contextmanager
def postgres_cluster(folder: Path) -> Iterator[Cluster | None]:
    """Start a cluster in `folder`, or give None where PostgreSQL is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not installed:
        yield None
        return
    # A short path of its own: a socket's path has 107 characters at most, and `postgres` must reach it.
    folder = Path(f"/tmp/wristwise-pg-{os.getpid()}")
    folder.mkdir(mode=0o755)
    _own(folder)
    cluster = Cluster(folder, installed[-1])
    data = folder / "data"
    try:
        _run([cluster.bin / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8"])
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        _run([cluster.bin / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"])
        yield cluster
    finally:
        _run([cluster.bin / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _own(folder: Path) -> None:
    if os.getuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)


def _run(command: list[Any], check: bool = True) -> None:
    # PostgreSQL refuses to run as root.
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*prefix, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/"
    )
    if check and done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}")

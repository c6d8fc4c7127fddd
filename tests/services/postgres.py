"""A throwaway PostgreSQL cluster from Debian's packages, in a temporary folder, gone afterwards."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PGBOUNCER = "/usr/sbin/pgbouncer"


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
def pgbouncer(cluster: Cluster, server_connections: int = 2) -> Iterator[str]:
    """
    Put pgbouncer in front of `cluster`, pooling by transaction; give the folder of its socket.

    Few connections to the server, so that two transactions of one client hardly ever meet the same.
    """
    folder = cluster.folder / "bouncer"
    folder.mkdir(mode=0o755)
    _own(folder)
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host={cluster.folder} user=postgres\n[pgbouncer]\nauth_type = any\n"
        f"pool_mode = transaction\ndefault_pool_size = {server_connections}\nmax_client_conn = 200\n"
        f"unix_socket_dir = {folder}\nlogfile = {folder / 'log'}\npidfile = {folder / 'pid'}\n"
    )
    try:
        _run([PGBOUNCER, "-q", "-d", config])
        _wait(lambda: (folder / ".s.PGSQL.6432").exists())
        yield str(folder)
    finally:
        pid = folder / "pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)
            _wait(lambda: not pid.exists())
        shutil.rmtree(folder, ignore_errors=True)


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)


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

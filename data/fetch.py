"""
Downloading a PhysioNet data set: reachable or not is known in seconds, each file is checked, a broken run resumes.

wfdb's own `dl_database` has no time-out, no checksum and no resume, so the files come through httpx, against the
SHA256SUMS.txt that PhysioNet publishes with each version.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

import httpx

from data.adapters.adapter import Adapter
from data.errors import DataSetError, NetworkError

HOST = "physionet.org"
_CONNECT_S = 3.0  # a machine without internet learns it in this time, never by hanging


def online(host: str = HOST, timeout_s: float = _CONNECT_S) -> bool:
    """Tell within `timeout_s` whether `host` answers on port 443."""
    import threading

    reached = threading.Event()

    def attempt() -> None:
        try:
            with socket.create_connection((host, 443), timeout=timeout_s):
                reached.set()
        except OSError:
            return

    # In a thread: resolving a name has no time-out of its own, and may hang for a minute.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return reached.is_set()


def fetch_physionet(adapter: Adapter, root: Path, on_file: Callable[[int, int], None], only: str = "") -> int:
    """
    Download `adapter`'s set into `root` / name; files that are there and whole are kept.

    Parameters
    ----------
    on_file : callable
        Called with (files done, files in all).
    only : str, default=""
        Fetch just the files whose names begin so (one record, say).

    Returns
    -------
    int
        Files in the set.

    Raises
    ------
    DataSetError
        If the set is not on PhysioNet, or a file does not match its published SHA-256.
    NetworkError
        If PhysioNet cannot be reached from here; says what to do instead.
    """
    if not adapter.physionet:
        raise DataSetError(f"{adapter.name!r} is not on PhysioNet; download it from {adapter.url} into {root}")
    target = root / adapter.name
    if not online():
        raise NetworkError(
            f"{HOST} does not answer within {_CONNECT_S:g} s; on a machine with internet, download {adapter.url} "
            f"and copy it to {target}"
        )
    base = f"https://{HOST}/files/{adapter.physionet}"
    with httpx.Client(timeout=httpx.Timeout(30.0, connect=_CONNECT_S), follow_redirects=True) as client:
        sums = {name: sha for name, sha in _published_sums(client, base).items() if name.startswith(only)}
        for done, (name, sha256) in enumerate(sums.items()):
            on_file(done, len(sums))
            _fetch_file(client, f"{base}/{name}", target / name, sha256)
        on_file(len(sums), len(sums))
    return len(sums)


def _published_sums(client: httpx.Client, base: str) -> dict[str, str]:
    try:
        text = client.get(f"{base}/SHA256SUMS.txt").raise_for_status().text
    except httpx.HTTPError as error:
        raise NetworkError(f"{base}/SHA256SUMS.txt cannot be fetched ({error}); try again later") from error
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return {name.strip(): digest for digest, name in pairs}


def _fetch_file(client: httpx.Client, url: str, path: Path, sha256: str) -> None:
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")  # a half file never stands under the real name
    have = part.stat().st_size if part.is_file() else 0
    try:
        with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as reply:
            resumed = reply.status_code == httpx.codes.PARTIAL_CONTENT
            if reply.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                reply.raise_for_status()
                with part.open("ab" if resumed else "wb") as file:
                    for block in reply.iter_bytes():
                        file.write(block)
    except httpx.HTTPError as error:
        raise NetworkError(f"{url} broke off ({error}); run the command again to resume") from error
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if found != sha256:
        part.unlink()
        raise DataSetError(f"{url} has sha256 {found[:12]}…, published is {sha256[:12]}…; run the command again")
    part.replace(path)

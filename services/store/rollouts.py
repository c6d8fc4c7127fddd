"""How far each release has come: what a device runs, what it is offered, and what it would not take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from services.store import releases
from services.store.accounts import list_devices
from services.store.tables import devices

# As the watch tells in the status of each batch; docs/service.md has the members.
RUNS, REFUSED, CLASS, MEMORY = "models", "models_refused", "device_class", "memory_bytes"
State = Literal["current", "waiting", "refused", "not offered"]


@dataclass(frozen=True)
class Rollout:
    """
    One task on one device.

    Attributes
    ----------
    runs : str or None
        Version that the device said it runs; None if it runs none, or has not said.
    offered : str or None
        Version that it is offered now, None if no release is for it.
    percent : int or None
        Share of the devices that get the offered version.
    withdrawn : bool
        Whether the version that it runs was taken back.
    state : str
        ``current``: runs what is offered; ``waiting``: will take it when it next asks; ``refused``: would not take it;
        ``not offered``: no release is for this device (yet), it keeps what it has.
    failures : mapping of str to str
        Versions that the device refused, with its reasons.
    """

    task: str
    runs: str | None
    offered: str | None
    percent: int | None
    withdrawn: bool
    state: State
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reach:
    """How far one release has come, over everybody's devices that have said what they run."""

    task: str
    device_class: str
    version: str
    percent: int
    withdrawn: bool
    runs: int
    refused: int


def rollouts(conn: Connection, user_id: int) -> dict[str, list[Rollout]]:
    """Return, for each device of a user that is not revoked, its tasks by name: what runs, is offered, has failed."""
    known = releases.listing(conn)
    return {
        row.device_id: _of_device(conn, row.device_id, status_of(row.status), known)
        for row in list_devices(conn, user_id)
        if row.revoked_us is None
    }


def reach(conn: Connection) -> list[Reach]:
    """Return how far each release has come, newest first: what whoever rolls it out wants to know."""
    texts = conn.execute(select(devices.c.status).where(devices.c.revoked_us.is_(None))).scalars()
    told = [status_of(text) for text in texts]
    return [
        Reach(
            row.task, row.device_class, row.version, row.percent, row.withdrawn,
            runs=sum(_is(row, _words(status, RUNS).get(row.task)) for status in told),
            refused=sum(row.version in _failures(status, row.task) for status in told),
        )
        for row in releases.listing(conn)
    ]  # fmt: skip


def status_of(text: str | None) -> Mapping[str, Any]:
    """Return what a device told of itself, as far as it can be read."""
    try:
        status = json.loads(text or "{}")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _of_device(conn: Connection, device_id: str, status: Mapping[str, Any], known: list[Row[Any]]) -> list[Rollout]:
    runs = _words(status, RUNS)
    device_class, memory = status.get(CLASS), status.get(MEMORY)
    device_class = device_class if isinstance(device_class, str) else releases.ANY_CLASS
    memory = memory if isinstance(memory, int) else None
    tasks = sorted({*runs, *(row.task for row in known)})
    found = []
    for task in tasks:
        offer = releases.offered(conn, task, device_class, device_id, memory)
        mine = next((row for row in known if row.task == task and _is(row, runs.get(task))), None)
        failures = _failures(status, task)
        found.append(
            Rollout(
                task, runs.get(task), None if offer is None else offer.version,
                None if offer is None else offer.percent, mine is not None and mine.withdrawn,
                _state(offer, runs.get(task), failures), failures,
            )
        )  # fmt: skip
    return found


def _state(offer: Row[Any] | None, runs: str | None, failures: Mapping[str, str]) -> State:
    if offer is None:
        return "not offered"
    if _is(offer, runs):
        return "current"
    return "refused" if offer.version in failures else "waiting"


def _is(release: Row[Any], version: str | None) -> bool:
    """Whether a device that names `version` runs `release`: a bundle goes by the start of its file's hash."""
    return version is not None and version in (release.version, release.sha256[:12])


def _failures(status: Mapping[str, Any], task: str) -> dict[str, str]:
    by_task = status.get(REFUSED)
    return _words(by_task, task) if isinstance(by_task, dict) else {}


def _words(status: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the texts of a member that shall map names to texts; what else a device may have sent is left out."""
    found = status.get(name)
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}

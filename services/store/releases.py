"""Models over the air: signed releases, staged by percentage, withdrawn when they turn out wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)  # fmt: skip
from sqlalchemy import Connection, Row, select, update

from services.store.errors import StoreError
from services.store.sql import upsert
from services.store.store import now_us
from services.store.tables import releases

ANY_CLASS = "any"


@dataclass(frozen=True)
class Release:
    """One version of a task's model for one class of device."""

    task: str
    device_class: str
    version: str
    data: bytes
    card: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Hash of the file."""
        return hashlib.sha256(self.data).hexdigest()


def signed_text(task: str, device_class: str, version: str, sha256: str) -> bytes:
    """Return what a release's signature covers: the file, and what it is meant for."""
    return f"wristwise-model/1\n{task}\n{device_class}\n{version}\n{sha256}\n".encode()


def new_key(path: Path) -> Ed25519PrivateKey:
    """Draw a signing key and write it where only its owner can read it."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(pem)
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """
    Read a signing key.

    Raises
    ------
    StoreError
        If the file is not an Ed25519 key in PEM.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} must be an Ed25519 key in PEM; `wristwise model key {path}` makes one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{path} must be an Ed25519 key, got another kind; `wristwise model key {path}` makes one")
    return key


def public_hex(key: Ed25519PrivateKey) -> str:
    """Return the public half, as watches hold it."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def publish(conn: Connection, release: Release, key: Ed25519PrivateKey, percent: int) -> None:
    """Offer `release` to `percent` of the devices; the same version again only changes the percentage."""
    text = signed_text(release.task, release.device_class, release.version, release.sha256)
    row = {
        "task": release.task, "device_class": release.device_class, "version": release.version,
        "sha256": release.sha256, "signature": key.sign(text).hex(), "percent": percent, "created_us": now_us(),
        "withdrawn": False, "card": json.dumps(release.card), "data": release.data,
    }  # fmt: skip
    upsert(conn, releases, [row], ["percent", "withdrawn"])


def withdraw(conn: Connection, task: str, version: str) -> int:
    """Take a version back, for every class of device; return how many releases that were."""
    here = (releases.c.task == task) & (releases.c.version == version)
    return conn.execute(update(releases).where(here).values(withdrawn=True)).rowcount


_HEAD = [c for c in releases.c if c.name != "data"]


def offered(
    conn: Connection, task: str, device_class: str, device_id: str, memory_bytes: int | None
) -> Row[Any] | None:
    """
    Return the newest release that this device shall have, without its data; None if there is none for it.

    A device's place in a roll-out hangs on its id and the version alone, so it never goes back and forth.
    """
    query = select(*_HEAD).where(
        releases.c.task == task, releases.c.device_class.in_((device_class, ANY_CLASS)),
        releases.c.withdrawn.is_(False),
    ).order_by(releases.c.created_us.desc(), releases.c.version)  # fmt: skip
    rows = list(conn.execute(query))
    # A release for this very class comes before one for any.
    rows.sort(key=lambda r: r.device_class == ANY_CLASS)
    for row in rows:
        if place(device_id, row.version) < row.percent and (memory_bytes is None or needs(row) <= memory_bytes):
            return row
    return None


def place(device_id: str, version: str) -> int:
    """Return a device's place in the roll-out of `version`, 0 to 99."""
    return int.from_bytes(hashlib.sha256(f"{device_id}/{version}".encode()).digest()[:4], "big") % 100


def needs(row: Row[Any]) -> int:
    """Return the bytes of memory that a release needs: the file and its scratch memory."""
    sizes = json.loads(row.card).get("sizes", {})
    return int(sizes.get("tflite_bytes") or 0) + int(sizes.get("arena_bytes") or 0)


def file(conn: Connection, task: str, version: str) -> Row[Any] | None:
    """Return a release with its data, unless it was withdrawn."""
    query = select(releases).where(
        releases.c.task == task, releases.c.version == version, releases.c.withdrawn.is_(False)
    )
    return conn.execute(query.order_by(releases.c.device_class).limit(1)).first()


def listing(conn: Connection) -> list[Row[Any]]:
    """Return every release without its data, newest first."""
    return list(conn.execute(select(*_HEAD).order_by(releases.c.created_us.desc(), releases.c.task)))

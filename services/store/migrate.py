"""Bring a store's tables to this program's version, and refuse a store from a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from services.store.errors import StoreError
from services.store.store import Store

if TYPE_CHECKING:
    from alembic.config import Config

# The newest revision in `migrations/versions` (a test compares): a store that is there already needs no Alembic.
HEAD = "0002"
# Any number will do, as long as every process of this program takes the same.
_MIGRATION_LOCK = 0x57_52_53_54


def open_store(url: str, *, durable: bool = True, data_key: str = "") -> Store:
    """
    Open the store at `url` and migrate it.

    Raises
    ------
    StoreError
        If it was written by a newer version of this program.
    """
    store = Store(url, durable=durable, data_key=data_key)
    try:
        store.write(_migrate)
    except BaseException:
        store.close()
        raise
    return store


def config() -> Config:
    """Return Alembic's configuration for this store."""
    from alembic.config import Config

    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return found


def _migrate(conn: Connection) -> None:
    if conn.dialect.name == "postgresql":
        # Two processes that start together: the second waits and finds the work done.
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    current = None
    if inspect(conn).has_table("alembic_version"):
        current = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if current == HEAD:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    found = config()
    if current is not None and current not in {r.revision for r in ScriptDirectory.from_config(found).walk_revisions()}:
        raise StoreError(
            f"the store is at version {current!r}, which this program (up to {HEAD!r}) does not know; "
            "upgrade wristwise, or restore a backup made before the upgrade"
        )
    found.attributes["connection"] = conn
    command.upgrade(found, "head")

"""Bring a store's tables to this program's version, and refuse a store from a newer one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from services.store.errors import StoreError
from services.store.store import Store

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


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _migrate(conn: Connection) -> None:
    if conn.dialect.name == "postgresql":
        # Two processes that start together: the second waits and finds the work done.
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    config = _config()
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(conn).get_current_revision()
    head = script.get_current_head()
    if current == head:
        return
    if current is not None and current not in {r.revision for r in script.walk_revisions()}:
        raise StoreError(
            f"the store is at version {current!r}, which this program (up to {head!r}) does not know; "
            "upgrade wristwise, or restore a backup made before the upgrade"
        )
    config.attributes["connection"] = conn
    command.upgrade(config, "head")

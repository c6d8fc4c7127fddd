"""The few statements that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult

Row = Mapping[str, Any]


def insert_ignore(conn: Connection, table: Table, rows: Sequence[Row]) -> CursorResult[Any] | None:
    """Insert `rows`, leaving those whose key is there as they are."""
    if not rows:
        return None
    return conn.execute(_insert(conn, table).on_conflict_do_nothing(), list(rows))


def upsert(conn: Connection, table: Table, rows: Sequence[Row], update: Sequence[str]) -> None:
    """Insert `rows`; where the primary key is there, set the columns of `update` instead."""
    if not rows:
        return
    statement = _insert(conn, table)
    statement = statement.on_conflict_do_update(
        index_elements=[c.name for c in table.primary_key.columns],
        set_={name: statement.excluded[name] for name in update},
    )
    conn.execute(statement, list(rows))


def _insert(conn: Connection, table: Table) -> Any:
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)

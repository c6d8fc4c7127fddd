"""The few statements that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.engine import CursorResult

Row = Mapping[str, Any]


def insert_ignore(conn: Connection, table: Table, rows: Sequence[Row]) -> CursorResult[Any] | None:
    """Insert `rows`, leaving those whose key is there as they are."""
    if not rows:
        return None
    return conn.execute(_insert(conn.dialect.name, table).on_conflict_do_nothing(), list(rows))


def upsert(conn: Connection, table: Table, rows: Sequence[Row], update: Sequence[str]) -> None:
    """Insert `rows`; where the primary key is there, set the columns of `update` instead."""
    if not rows:
        return
    conn.execute(_upsert(conn.dialect.name, table, tuple(update)), list(rows))


@lru_cache(maxsize=64)
def _upsert(dialect: str, table: Table, update: tuple[str, ...]) -> Any:
    statement = _insert(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=[c.name for c in table.primary_key.columns],
        set_={name: statement.excluded[name] for name in update},
    )


def _insert(dialect: str, table: Table) -> Any:
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)

"""The whole state of a store as text, without what depends on the order of arrival (numbers, times of writing)."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from services.store import intake, records
from services.store.store import Store
from services.store.tables import chunks, clock_pairs, quarantine
from services.store.tables import records as records_table


def dump(store: Store, user_id: int) -> str:
    """Return the user's state as sorted JSON lines: equal text, equal state."""
    return store.read(
        lambda conn: "\n".join(sorted(json.dumps(line, default=_plain) for line in _lines(conn, user_id)))
    )


def _lines(conn: Connection, user_id: int) -> list[Any]:
    streams = {s.stream_no: s for s in intake.list_streams(conn, user_id)}
    lines: list[Any] = [["stream", s.device_id, s.key, s.held] for s in streams.values()]
    for row in conn.execute(select(chunks).where(chunks.c.user_id == user_id)):
        values = dict(row._mapping)
        values["stream_no"] = streams[values["stream_no"]].key
        lines.append(["chunk", values])
    pairs = conn.execute(select(clock_pairs).where(clock_pairs.c.user_id == user_id))
    lines += [["pair", dict(row._mapping)] for row in pairs]
    kept = conn.execute(select(quarantine).where(quarantine.c.user_id == user_id))
    lines += [["quarantine", row.item_id, row.problem, row.payload] for row in kept]
    for row in conn.execute(select(records_table).where(records_table.c.user_id == user_id)):
        record = records.from_row(row)
        # A deletion of what one order computed and another never did is no difference to a reader.
        if not record.deleted or record.source == "client":
            lines.append(["record", records.describe(record)])
    return lines


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)

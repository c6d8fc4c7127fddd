"""*Events*: falls and irregular rhythm as a timeline; what may be done about each, and the raw signal around it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from services.page import queries
from services.page.wearer import Wearer
from services.store.records import Record

KINDS = ("fall", "irregular_rhythm")
LIMIT = 100
# What a person may turn a fall into, from each state of its life.
ACTIONS = {"detected": ("cancelled", "acknowledged"), "alerted": ("acknowledged",), "cancelled": (), "acknowledged": ()}


def view(conn: Connection, wearer: Wearer) -> dict[str, Any]:
    """Return what the template shows."""
    found = queries.latest(conn, wearer.user_id, KINDS, LIMIT)
    return {"events": [event(record, wearer) for record in found]}


def event(record: Record, wearer: Wearer) -> dict[str, Any]:
    """Return one event as shown."""
    state = str(record.data.get("value", ""))
    return {
        "id": record.id.hex(), "kind": record.kind, "state": state,
        "at": wearer.moment(record.start_us, record.utc_offset_s),
        "confidence": record.data.get("confidence", record.quality),
        "history": record.data.get("history") or [], "note": record.data.get("note", ""),
        "actions": ACTIONS.get(state, ()) if record.kind == "fall" else (),
        "device": record.device_id,
    }  # fmt: skip

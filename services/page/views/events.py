"""*Events*: falls and irregular rhythm as a timeline; what may be done about each, and the raw signal around it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection

from services.insight.days import numbers
from services.page import queries
from services.page.drawing import trace
from services.page.rawsignal import AFTER_US, BEFORE_US, motion_around
from services.page.wearer import Wearer
from services.store import records
from services.store.cipher import Cipher
from services.store.records import Record

KINDS = ("fall", "irregular_rhythm")
# What people did about an event: a record of its own, so that a late word of the watch cannot undo it.
RESPONSE = "event_response"
LIMIT = 100
DRAWN = 5
# What a person may turn a fall into, from each state of its life.
OTHER_ACTIONS = {"irregular": ("acknowledged",)}
ACTIONS = {"detected": ("cancelled", "acknowledged"), "alerted": ("acknowledged",), "cancelled": (), "acknowledged": ()}


def view(conn: Connection, wearer: Wearer, cipher: Cipher) -> dict[str, Any]:
    """Return what the template shows; the newest `DRAWN` falls with their raw signal, where it is kept."""
    found = queries.latest(conn, wearer.user_id, KINDS, LIMIT)
    answers = records.by_id(conn, wearer.user_id, [response_id(wearer.user_id, r) for r in found])
    shown = [event(r, answers.get(response_id(wearer.user_id, r)), wearer) for r in found]
    for record, entry in [(r, e) for r, e in zip(found, shown, strict=True) if r.kind == "fall"][:DRAWN]:
        signal = motion_around(conn, wearer.user_id, record, cipher)
        if signal is not None:
            place = BEFORE_US / (BEFORE_US + AFTER_US)
            entry["picture"] = trace(signal.tolist(), place, wearer.t("events.signal"))
            entry["peak_g"] = float(np.nanmax(signal))
    return {"events": shown}


def response_id(user_id: int, record: Record) -> bytes:
    """Return the id of the response to an event."""
    return records.derived_id(user_id, "page", record.id.hex(), RESPONSE, record.start_us, record.end_us)


def state_of(record: Record, response: Record | None) -> str:
    """Return where an event stands: what a person decided wins over what the watch says."""
    decided = str(response.data.get("value", "")) if response else ""
    return decided or str(record.data.get("value", ""))


def event(record: Record, response: Record | None, wearer: Wearer) -> dict[str, Any]:
    """Return one event as shown."""
    state = state_of(record, response)
    answered = response.data if response else {}
    return {
        "id": record.id.hex(), "kind": record.kind, "state": state,
        "at": wearer.moment(record.start_us, record.utc_offset_s),
        "confidence": numbers(record.data).get("confidence", record.quality),
        "history": [
            {**{k: str(step.get(k, "")) for k in ("state", "by")}, "at": _clock(step.get("at"), record, wearer)}
            for step in (*_steps(record.data), *_steps(answered))
        ],
        "note": str(answered.get("note") or record.data.get("note") or ""),
        "actions": (ACTIONS if record.kind == "fall" else OTHER_ACTIONS).get(state, ()),
        "device": record.device_id,
    }  # fmt: skip


def _steps(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a history: a client may have written anything there."""
    history = data.get("history")
    return [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []


def _clock(at: Any, record: Record, wearer: Wearer) -> str:
    try:
        moment = dt.datetime.fromisoformat(str(at))
        return wearer.moment(int(moment.timestamp() * 1e6), record.utc_offset_s)
    except ValueError:
        return str(at)[:32]

"""What a person can do from a page: pair, revoke, cancel or acknowledge; and what *Data* shows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from services.page import catalogue
from services.page.views.events import ACTIONS, KINDS, OTHER_ACTIONS, RESPONSE, response_id, state_of
from services.page.wearer import Wearer
from services.store import accounts, people, records
from services.store.records import Record
from services.store.tables import audit, chunks
from services.sync.context import service
from services.sync.fields import from_us
from services.sync.problems import Problem

NOTE_MAX = 500
AUDIT_SHOWN = 50


def act_on_event(who: Wearer, event_id: str, state: str, note: str | None) -> None:
    """
    Move an event on in its life, or write a note on it.

    Raises
    ------
    Problem
        404 if the wearer has no such event, 409 if it cannot go into that state from where it is.
    """
    try:
        key = bytes.fromhex(event_id)
    except ValueError:
        raise Problem("not-found", "there is no such event; /events lists them") from None

    def change(conn: Connection) -> None:
        record = records.by_id(conn, who.user_id, [key]).get(key)
        if record is None or record.deleted or record.kind not in KINDS:
            raise Problem("not-found", "there is no such event; /events lists them")
        ident = response_id(who.user_id, record)
        stored = records.by_id(conn, who.user_id, [ident])
        data = dict(stored[ident].data) if ident in stored else {"event": record.id.hex()}
        if note is not None:
            data["note"] = note.strip()[:NOTE_MAX]
        if state:
            present = state_of(record, stored.get(ident))
            if state not in (ACTIONS if record.kind == "fall" else OTHER_ACTIONS).get(present, ()):
                raise Problem("conflict", f"an event that is {present!r} cannot become {state!r}; reload the page")
            step = {"state": state, "at": from_us(who.now_us), "by": who.scope}
            data |= {"value": state, "history": [*data.get("history", []), step]}
        answer = Record(ident, RESPONSE, record.start_us, record.end_us, record.utc_offset_s, None, "page", data=data)
        records.put(conn, who.user_id, [answer], stored)

    service().store.write(change)


def pair(who: Wearer, code: str) -> str:
    """Approve the watch that shows `code`; return the key of what to say."""
    row = service().store.write(lambda conn: accounts.decide_pairing(conn, who.user_id, code, True))
    return "paired" if row is not None else "no_such_code"


def revoke(who: Wearer, device_id: str) -> str:
    """Revoke a device's tokens; return the key of what to say."""
    done = service().store.write(lambda conn: accounts.revoke_device(conn, who.user_id, device_id))
    return "revoked" if done else "no_such_device"


def delete_everything(who: Wearer) -> None:
    """Delete the account and everything that was ever stored for it."""
    service().audit.forget(who.user_id)
    service().store.write(lambda conn: people.delete_user(conn, who.user_id))


def data_view(conn: Connection, who: Wearer) -> dict[str, Any]:
    """Return how much is stored, for how long, and who read what."""
    held = select(func.count(), func.coalesce(func.sum(func.length(chunks.c.data)), 0)).where(
        chunks.c.user_id == who.user_id
    )
    n_chunks, n_bytes = conn.execute(held).one()
    entries = conn.execute(
        select(audit.c.at_us, audit.c.actor, audit.c.action)
        .where(audit.c.user_id == who.user_id)
        .order_by(audit.c.at_us.desc())
        .limit(AUDIT_SHOWN)
    ).all()
    settings = service().settings
    return {
        "records": records.count(conn, who.user_id), "chunks": n_chunks, "bytes": n_bytes,
        "raw_days": settings.raw_days, "fine_days": settings.fine_days, "audit_days": settings.audit_days,
        "audit": [(who.moment(e.at_us), *_said(who, e.actor, e.action)) for e in entries],
    }  # fmt: skip


def _said(who: Wearer, actor: str, action: str) -> tuple[str, str, str]:
    """Return who, did what in words, and the address that it was."""
    scope, _, name = actor.partition("/")
    by = who.t(f"by.{scope}") + ("" if name in ("page", scope) else f" ({name})")
    verb, _, path = action.partition(" ")
    view = path.strip("/") or "now"
    if f"nav.{view}" in catalogue.messages():
        return by, who.t("audit.looked" if verb == "GET" else "audit.changed", view=who.t(f"nav.{view}")), action
    key = "audit." + action.lower().replace(" /", "_").replace("/", "_").replace("v1_", "")
    return by, who.t(key) if key in catalogue.messages() else "", action

"""*Reminders*: which kinds are on, the quiet hours, and what was said lately with its reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from pipelines.insights.reminders import KINDS, Settings
from services.page import queries
from services.page.wearer import Wearer
from services.store import records
from services.store.records import Record
from services.sync.context import service
from services.sync.problems import Problem

KIND = "settings"
SHOWN = 10


def view(conn: Connection, wearer: Wearer) -> dict[str, Any]:
    """Return what the template shows."""
    stored = records.by_id(conn, wearer.user_id, [_id(wearer)]).get(_id(wearer))
    chosen: dict[str, Any] = dict(stored.data.get("reminders", {})) if stored else {}
    usual = Settings()
    return {
        "kinds": [(kind.name, bool(dict(chosen.get("on", {})).get(kind.name, True))) for kind in KINDS],
        "quiet_from": chosen.get("quiet_from", usual.quiet_from.strftime("%H:%M")),
        "quiet_to": chosen.get("quiet_to", usual.quiet_to.strftime("%H:%M")),
        "recent": [
            {
                "at": wearer.moment(r.start_us, r.utc_offset_s), "kind": str(r.data.get("value", "")),
                "reason": r.data.get("reason", {}),
            }
            for r in queries.latest(conn, wearer.user_id, ["reminder"], SHOWN)
        ],
    }  # fmt: skip


def save(wearer: Wearer, form: Mapping[str, str]) -> None:
    """
    Keep what the wearer chose, as a record of kind ``settings``.

    Raises
    ------
    Problem
        If a quiet hour is not a time of day.
    """
    try:
        quiet = {k: dt.time.fromisoformat(form.get(k, "")).strftime("%H:%M") for k in ("quiet_from", "quiet_to")}
    except ValueError:
        raise Problem("bad-request", "quiet hours are times of day such as 22:30; go back and correct them") from None
    chosen = {"on": {kind.name: kind.name in form for kind in KINDS}, **quiet}
    record = Record(
        _id(wearer), KIND, wearer.now_us, wearer.now_us, wearer.offset_s, None, "page", data={"reminders": chosen}
    )
    service().store.write(
        lambda conn: records.put(conn, wearer.user_id, [record], records.by_id(conn, wearer.user_id, [record.id]))
    )


def _id(wearer: Wearer) -> bytes:
    return records.derived_id(wearer.user_id, "page", KIND, KIND, 0, 0)

"""*Settings*: what the wearer says of themselves, which reminders and advice are on, units, quiet hours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from pipelines.insights.reminders import KINDS, Settings
from services.insight.chosen import (
    BIRTH_YEARS,
    DEFAULT_NEED_H,
    KG_PER_LB,
    KIND,
    MAXIMA_BPM,
    NEEDS_H,
    WEIGHTS_KG,
    Chosen,
    written,
)  # fmt: skip
from services.page import queries
from services.page.wearer import Wearer
from services.store import records
from services.store.records import Record
from services.sync.context import service
from services.sync.problems import Problem

SHOWN = 10


def view(conn: Connection, wearer: Wearer) -> dict[str, Any]:
    """Return what the template shows."""
    choice = wearer.chosen
    return {
        "chosen": choice,
        "kinds": [(kind.name, bool(choice.reminders.on.get(kind.name, kind.usual))) for kind in KINDS],
        "quiet_from": choice.reminders.quiet_from.strftime("%H:%M"),
        "quiet_to": choice.reminders.quiet_to.strftime("%H:%M"),
        "years": (wearer.today.year - 120, wearer.today.year),
        "recent": [
            {
                "at": wearer.moment(r.start_us, r.utc_offset_s), "kind": str(r.data.get("value", "")),
                "reason": queries.reason_of(r),
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
        If a field holds what it cannot mean.
    """
    try:
        quiet = {k: dt.time.fromisoformat(form.get(k, "")) for k in ("quiet_from", "quiet_to")}
    except ValueError:
        raise Problem("bad-request", "quiet hours are times of day such as 22:30; go back and correct them") from None
    pounds = form.get("weight_unit") == "lb"
    weight = _number(form, "weight", tuple(b / KG_PER_LB for b in WEIGHTS_KG) if pounds else WEIGHTS_KG)
    year = _number(form, "birth_year", BIRTH_YEARS)
    choice = Chosen(
        Settings({kind.name: kind.name in form for kind in KINDS}, **quiet),
        None if year is None else int(year),
        None if weight is None else round(weight * KG_PER_LB if pounds else weight, 2),
        _number(form, "max_hr_bpm", MAXIMA_BPM), _number(form, "sleep_need_h", NEEDS_H) or DEFAULT_NEED_H,
        "food_advice" in form, pounds, form.get("energy_unit") == "kJ",
    )  # fmt: skip
    ident = records.derived_id(wearer.user_id, "page", KIND, KIND, 0, 0)
    record = Record(ident, KIND, wearer.now_us, wearer.now_us, wearer.offset_s, None, "page", data=written(choice))
    service().store.write(
        lambda conn: records.put(conn, wearer.user_id, [record], records.by_id(conn, wearer.user_id, [record.id]))
    )


def _number(form: Mapping[str, str], name: str, bounds: tuple[float, ...]) -> float | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not bounds[0] <= value <= bounds[1]:
        raise Problem(
            "bad-request", f"`{name}` must be a number from {bounds[0]:g} to {bounds[1]:g}; go back and correct it"
        )
    return value

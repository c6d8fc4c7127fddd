"""What the wearer chose and said of themselves: records of kind ``settings``, the newest word on each thing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from pipelines.insights.reminders import KINDS, Settings
from services.store import records

KIND = "settings"
DEFAULT_AGE = 40.0
# What a person may say of themselves; anything else in a record is left aside.
BIRTH_YEARS, WEIGHTS_KG, MAXIMA_BPM, NEEDS_H = (1900, 2100), (20.0, 400.0), (100.0, 230.0), (4.0, 12.0)
DEFAULT_NEED_H = 8.0
KG_PER_LB = 0.45359237


@dataclass(frozen=True)
class Chosen:
    """
    What a wearer chose.

    Parameters
    ----------
    reminders : Settings
    birth_year : int, optional
    weight_kg : float, optional
    max_hr_bpm : float, optional
        Measured in a test, say; None: from age and from what the watch has seen.
    sleep_need_h : float
    food_advice : bool
    pounds, kilojoules : bool
        Units that are shown.
    """

    reminders: Settings = field(default_factory=Settings)
    birth_year: int | None = None
    weight_kg: float | None = None
    max_hr_bpm: float | None = None
    sleep_need_h: float = DEFAULT_NEED_H
    food_advice: bool = False
    pounds: bool = False
    kilojoules: bool = False

    def age(self, today: dt.date) -> float:
        """Return the age in years, `DEFAULT_AGE` where no year of birth was given."""
        return DEFAULT_AGE if self.birth_year is None else float(max(today.year - self.birth_year, 1))


def chosen(conn: Connection, user_id: int) -> Chosen:
    """Return what the wearer chose: of each part the newest record that speaks of it."""
    said: dict[str, Mapping[str, Any]] = {}
    for record in records.between(conn, user_id, [KIND], 0, 2**62):
        said |= {k: v for k, v in record.data.items() if isinstance(v, Mapping)}
    about, show = said.get("about", {}), said.get("show", {})
    year = _within(about.get("birth_year"), BIRTH_YEARS)
    return Chosen(
        _reminders(said.get("reminders", {})),
        None if year is None else int(year), _within(about.get("weight_kg"), WEIGHTS_KG),
        _within(about.get("max_hr_bpm"), MAXIMA_BPM), _within(about.get("sleep_need_h"), NEEDS_H) or DEFAULT_NEED_H,
        show.get("food_advice") is True, show.get("pounds") is True, show.get("kilojoules") is True,
    )  # fmt: skip


def written(choice: Chosen) -> dict[str, Any]:
    """Return a choice as the data of a record, as docs/records.md has it."""
    quiet = {k: getattr(choice.reminders, k).strftime("%H:%M") for k in ("quiet_from", "quiet_to")}
    return {
        "reminders": {"on": {kind.name: choice.reminders.on.get(kind.name, kind.usual) for kind in KINDS}, **quiet},
        "about": {k: getattr(choice, k) for k in ("birth_year", "weight_kg", "max_hr_bpm", "sleep_need_h")},
        "show": {k: getattr(choice, k) for k in ("food_advice", "pounds", "kilojoules")},
    }


def _reminders(said: Mapping[str, Any]) -> Settings:
    usual = Settings()
    try:
        quiet = {k: dt.time.fromisoformat(str(said[k])) for k in ("quiet_from", "quiet_to") if k in said}
    except ValueError:
        quiet = {}
    on = said.get("on", {})
    switches = {str(k): bool(v) for k, v in on.items()} if isinstance(on, Mapping) else {}
    return Settings(switches, quiet.get("quiet_from", usual.quiet_from), quiet.get("quiet_to", usual.quiet_to))


def _within(value: Any, bounds: tuple[float, float]) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and bounds[0] <= value <= bounds[1] else None

"""*Trends*: the measures over weeks with the personal usual range, and what left it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Connection

from pipelines.insights.baseline import MIN_DAYS, baseline
from pipelines.insights.day import Day
from pipelines.insights.findings import Finding, history, weekly
from pipelines.insights.zones import next_week
from services.insight.days import figures_by_day, without_partial
from services.page.drawing import sparkline
from services.page.wearer import Wearer

SHOWN_DAYS = 42
# Findings need the baselines of the days shown, so more days are read than shown.
READ_DAYS = SHOWN_DAYS + 30
MEASURES = ("resting_hr_bpm", "rmssd_ms", "sleep_min", "bedtime_min", "steps", "active_min")


def view(conn: Connection, wearer: Wearer) -> dict[str, Any]:
    """Return what the template shows."""
    everything = figures_by_day(conn, wearer.user_id, wearer.today, READ_DAYS, wearer.offset_s)
    days = without_partial(everything, wearer.today)
    first = wearer.today - dt.timedelta(days=SHOWN_DAYS - 1)
    done = weekly(everything, wearer.today)
    return {
        "measures": [_measure(days, name, wearer, first) for name in MEASURES],
        "findings": [f for f in history(days) if f.date >= first][::-1],
        "weekly": done,
        "plan": next_week(done[0][1], _recovery_z(days, wearer.today)) if len(days) >= MIN_DAYS else None,
        "min_days": MIN_DAYS,
    }


def recent_findings(conn: Connection, wearer: Wearer, n_days: int = 7) -> list[Finding]:
    """Return the findings of the last days, newest first."""
    days = figures_by_day(conn, wearer.user_id, wearer.today, READ_DAYS, wearer.offset_s)
    days = without_partial(days, wearer.today)
    return [f for f in history(days) if (wearer.today - f.date).days < n_days][::-1]


def _measure(days: list[Day], name: str, wearer: Wearer, first: dt.date) -> dict[str, Any]:
    by_date = {d.date: getattr(d, name) for d in days}
    dates = [first + dt.timedelta(days=k) for k in range(SHOWN_DAYS)]
    values = [by_date.get(date) for date in dates]
    base = baseline(days, name, wearer.today)
    low, high = base.usual() if base else (None, None)
    known = [(d, v) for d, v in zip(dates, values, strict=True) if v is not None]
    last = known[-1] if known else None
    outside = last is not None and low is not None and high is not None and not low <= last[1] <= high
    return {
        "name": name, "last": last[1] if last else None, "last_date": last[0] if last else None,
        "low": low, "high": high, "outside": outside, "n": len(known),
        "picture": sparkline(values, low, high, wearer.t(f"measure.{name}")),
        "rows": known,
    }  # fmt: skip


def _recovery_z(days: list[Day], today: dt.date) -> float | None:
    parts = []
    for name, sign in (("resting_hr_bpm", -1), ("rmssd_ms", 1), ("sleep_min", 1)):
        base = baseline(days, name, today)
        values = [getattr(d, name) for d in days if (today - d.date).days < 3 and getattr(d, name) is not None]
        if base and values:
            parts.append(sign * base.z(sum(values) / len(values)))
    return sum(parts) / len(parts) if parts else None

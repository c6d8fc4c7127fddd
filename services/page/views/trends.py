"""*Trends*: the measures over weeks with the personal usual range, and what left it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Connection

from pipelines.insights.baseline import MIN_DAYS, WINDOW_DAYS, baseline
from pipelines.insights.day import Day
from pipelines.insights.findings import history, weekly
from pipelines.insights.plan import next_week
from pipelines.insights.rules import SILENCE_DAYS
from pipelines.insights.weeks import DEBT_SOURCE, REGULARITY_SOURCE, Sleep, Week, monday_of, weeks
from services.insight.days import DAY_US, day_bounds, figures_by_day, local_date, without_partial
from services.page.drawing import bar, sparkline, stack
from services.page.views import effort
from services.page.wearer import Wearer
from services.store.records import between

SHOWN_WEEKS = 6
SHOWN_DAYS = 7 * SHOWN_WEEKS
# Findings need the baselines of the days shown, so more days are read than shown.
READ_DAYS = SHOWN_DAYS + 30
MEASURES = (
    "resting_hr_bpm", "rmssd_ms", "sleep_min", "sleep_efficiency", "bedtime_min", "steps", "active_min",
    "energy_met_min", "sedentary_min",
)  # fmt: skip
GLANCED = ("resting_hr_bpm", "rmssd_ms", "sleep_min")
HARD_ZONES = ("moderate", "vigorous", "maximal")


def view(conn: Connection, wearer: Wearer) -> dict[str, Any]:
    """Return what the template shows."""
    everything = figures_by_day(conn, wearer.user_id, wearer.today, READ_DAYS, wearer.offset_s)
    days = without_partial(everything, wearer.today)
    first = wearer.today - dt.timedelta(days=SHOWN_DAYS - 1)
    done = weekly(everything, wearer.today)
    need_min = 60 * wearer.chosen.sleep_need_h
    told = weeks(days, _sleeps(conn, wearer, first), wearer.today, SHOWN_WEEKS, need_min)
    return {
        "measures": [_measure(days, name, wearer, first) for name in MEASURES],
        "findings": history(days, first)[::-1],
        "weekly": [(p, bar(p.done / p.goal.goal, "shipped")) for p in done], "weeks": told[::-1], "need_min": need_min,
        "week_sources": (DEBT_SOURCE, REGULARITY_SOURCE),
        "zones": _zones(conn, wearer, told), "heart": effort.heart(conn, wearer, wearer.today),
        "plan": next_week(done[0].done, _recovery_z(days, wearer.today)) if len(days) >= MIN_DAYS else None,
        "min_days": MIN_DAYS,
    }  # fmt: skip


def glance(conn: Connection, wearer: Wearer, n_days: int = 7) -> dict[str, Any]:
    """Return today's figures beside their usual ranges, and the findings of the last days, newest first."""
    read = n_days + SILENCE_DAYS + WINDOW_DAYS + 5
    everything = figures_by_day(conn, wearer.user_id, wearer.today, read, wearer.offset_s)
    days = without_partial(everything, wearer.today)
    today = next((d for d in everything if d.date == wearer.today), Day(wearer.today))
    usual = {name: base.usual() for name in GLANCED if (base := baseline(days, name, wearer.today)) is not None}
    return {
        "today": today, "usual": usual, "weekly": weekly(everything, wearer.today),
        "findings": history(days, wearer.today - dt.timedelta(days=n_days - 1))[::-1],
    }  # fmt: skip


def _sleeps(conn: Connection, wearer: Wearer, first: dt.date) -> dict[dt.date, Sleep]:
    """Return the longest sleep that ends on each day since the Monday of `first`."""
    start, _ = day_bounds(monday_of(first) - dt.timedelta(days=1), wearer.offset_s)
    _, end = day_bounds(wearer.today, wearer.offset_s)
    longest: dict[dt.date, tuple[int, int]] = {}
    for record in between(conn, wearer.user_id, ["sleep"], start, end):
        date, span = local_date(record.end_us, record.utc_offset_s), (record.start_us, record.end_us)
        if 0 < span[1] - span[0] <= DAY_US and (date not in longest or span[1] - span[0] > _length(longest[date])):
            longest[date] = span
    return {date: (_moment(a), _moment(b)) for date, (a, b) in longest.items()}


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1e6, dt.UTC)


def _zones(conn: Connection, wearer: Wearer, told: list[Week]) -> list[dict[str, Any]]:
    by_week = effort.of_weeks(conn, wearer, [week.monday for week in told])
    # Most of a day is very light: it would hide the rest of the bar, so the figures name it and the bar leaves it out.
    worked = {
        m: [(z["name"], z["minutes"]) for z in zones if z["name"] != "very_light"] for m, zones in by_week.items()
    }
    most = max((sum(n for _, n in parts) for parts in worked.values()), default=0.0)
    return [
        {
            "monday": monday, "bar": stack([(f"zone-{name}", n) for name, n in worked[monday]], most),
            "minutes": {z["name"]: z["minutes"] for z in zones},
            "hard_min": sum(n for name, n in worked[monday] if name in HARD_ZONES),
        }
        for monday, zones in sorted(by_week.items(), reverse=True)
    ]  # fmt: skip


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
        "first": first, "until": wearer.today, "rows": known,
    }  # fmt: skip


def _recovery_z(days: list[Day], today: dt.date) -> float | None:
    parts = []
    for name, sign in (("resting_hr_bpm", -1), ("rmssd_ms", 1), ("sleep_min", 1)):
        base = baseline(days, name, today)
        values = [getattr(d, name) for d in days if (today - d.date).days < 3 and getattr(d, name) is not None]
        if base and values:
            parts.append(sign * base.z(sum(values) / len(values)))
    return sum(parts) / len(parts) if parts else None

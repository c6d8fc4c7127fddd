"""Following the feed: which days changed, and what they mean now; written in one transaction with the cursor."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from pipelines.insights.baseline import WINDOW_DAYS, baseline
from pipelines.insights.context import Context, contexts, spans
from pipelines.insights.day import Day
from pipelines.insights.findings import Finding, history
from pipelines.insights.reminders import Reminder, Situation, due
from pipelines.insights.rules import SILENCE_DAYS
from pipelines.insights.zones import maximum_hr
from services.insight import chosen as choices
from services.insight.chosen import Chosen, chosen
from services.insight.daily import active_minutes, effort, heart_minutes, resting_heart_rate
from services.insight.days import (
    DAILY_KINDS,
    DAY_US,
    day_bounds,
    figures_by_day,
    local_date,
    utc_offset_s,
    without_partial,
)  # fmt: skip
from services.insight.minutes import KINDS, MINUTE_US, minutes_of
from services.insight.nights import HALF_DAY_US, STAGE_KIND, figures_of, nights_of, overlaps
from services.store import cursors, records
from services.store.accounts import lock_user
from services.store.errors import CursorExpired
from services.store.records import Record
from services.store.store import Store, now_us
from services.store.tables import cursors as cursor_table
from services.store.tables import devices, users

_log = logging.getLogger("wristwise.insight")
CLIENT = SOURCE = "insight"
INPUTS = frozenset((*DAILY_KINDS, *KINDS, STAGE_KIND))
DAILY_WRITTEN = ("resting_heart_rate", "active_minutes", "energy", "heart_minutes")
PAGE = 2000
# Data older than this is history: no reminder comes of it.
FRESH_US = 15 * MINUTE_US
DEFAULT_RESTING = 60.0
DEFAULT_NIGHT_DRAIN = 0.2
_CONTEXTS = frozenset(Context)


def step(store: Store, rest: Callable[[float], object] | None = None) -> int:
    """
    Bring every user who has unread changes up to date; return how many that succeeded for.

    `rest` is told after each user how many seconds the work took. A store with one writer is held meanwhile: user
    upon user without a rest kept batches waiting for three seconds (measured with 16 users), a rest lets them in. If it
    returns something true, the rest of the users wait for the next round.
    """
    waiting = store.read(_waiting)
    done = 0
    for user_id in waiting:
        began = time.monotonic()
        try:
            store.write(lambda conn, user_id=user_id: _follow(conn, user_id))  # type: ignore[misc]
            done += 1
        except Exception as error:  # one wearer's odd records must not keep the others from theirs
            _log.error("a wearer's insights could not be brought up to date: %s", type(error).__name__)
        if rest is not None and rest(time.monotonic() - began):
            break
    return done


class Follower(threading.Thread):
    """
    A thread that follows the feeds of all users.

    Parameters
    ----------
    every_s : float
        Between two looks. After each user it also rests four times as long as it worked, so that it never takes more
        than a fifth of a core from ingestion, nor holds the store from it for longer than one user takes.
    """

    def __init__(self, store: Store, every_s: float = 30.0) -> None:
        super().__init__(name="insight", daemon=True)
        self._store, self._every_s = store, every_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Follow until `stop`."""
        while not self._stopping.is_set():
            step(self._store, lambda took_s: self._stopping.wait(4 * took_s))
            self._stopping.wait(self._every_s)

    def stop(self) -> None:
        """Ask the thread to end after the user under way."""
        self._stopping.set()


def _waiting(conn: Connection) -> list[int]:
    own = cursor_table.c
    read = select(own.user_id, own.change_no).where(own.client == CLIENT).subquery()
    query = select(users.c.user_id).outerjoin(read, read.c.user_id == users.c.user_id).where(
        users.c.last_change > 0, (read.c.change_no.is_(None)) | (users.c.last_change > read.c.change_no)
    )  # fmt: skip
    return list(conn.execute(query.order_by(users.c.user_id)).scalars())


def _follow(conn: Connection, user_id: int) -> None:
    if lock_user(conn, user_id) is None:
        return
    try:
        page = records.changes(conn, user_id, cursors.acknowledged(conn, user_id, CLIENT), PAGE)
    except CursorExpired:  # away for longer than deletions are kept: read everything again
        page = records.changes(conn, user_id, 0, PAGE)
    changed = {local_date(moment, r.utc_offset_s) for r in page.records if r.kind in INPUTS for moment in _moments(r)}
    if any(r.kind == choices.KIND for r in page.records):  # who is older has another maximum: four weeks are said anew
        today = local_date(now_us(), utc_offset_s(conn, user_id))
        changed |= {today - dt.timedelta(days=back) for back in range(WINDOW_DAYS)}
    through = page.through
    if changed:
        refresh(conn, user_id, changed)
        # What we wrote ourselves is nothing new to us.
        through = page.through if page.more else records.last_change(conn, user_id)
    cursors.acknowledge(conn, user_id, CLIENT, through)


def _moments(record: Record) -> tuple[int, ...]:
    """Return moments whose local dates a record touches; an epoch after noon is of the night that ends tomorrow."""
    if record.kind == STAGE_KIND:
        return (record.start_us + HALF_DAY_US,)
    return (record.start_us, record.end_us)


def refresh(conn: Connection, user_id: int, dates: set[dt.date]) -> None:
    """
    Compute daily figures and context of `dates`, findings of them and of the days whose baselines they are in, and
    reminders.

    A day's figures and context depend on that day alone, so the order in which days arrive does not matter.
    """
    offset = utc_offset_s(conn, user_id)
    today = local_date(now_us(), offset)
    first, last = min(dates), min(max(dates), today)
    until = min(last + dt.timedelta(days=WINDOW_DAYS + SILENCE_DAYS + 3), today)
    choice = chosen(conn, user_id)
    for date in sorted(dates):
        _write_day(conn, user_id, date, offset, choice)
    days = figures_by_day(conn, user_id, until, (until - first).days + WINDOW_DAYS + SILENCE_DAYS + 5, offset)
    _write_findings(conn, user_id, first, until, offset, without_partial(days, today))
    if today in dates:
        _write_reminders(conn, user_id, today, offset, days, choice)


def _write_nights(conn: Connection, user_id: int, date: dt.date, offset: int) -> None:
    start, _ = day_bounds(date, offset)
    span = (start - HALF_DAY_US, start + HALF_DAY_US)
    said = [r for r in records.between(conn, user_id, ["sleep"], span[0] - DAY_US, span[1]) if r.source != SOURCE]
    wanted = []
    for report in nights_of(conn, user_id, start):
        if not overlaps(report, said):
            begin, until = (int(t.timestamp() * 1e6) for t in (report.start, report.end))
            value, data = figures_of(report)
            wanted.append(replace(_record(user_id, "sleep", begin, until, report.utc_offset_s, data), value=value))
    _replace(conn, user_id, "sleep", *span, wanted)


def _write_day(conn: Connection, user_id: int, date: dt.date, offset: int, choice: Chosen) -> None:
    _write_nights(conn, user_id, date, offset)
    start, end = day_bounds(date, offset)
    minutes = minutes_of(conn, user_id, start)
    context: list[Record] = []
    daily: dict[str, tuple[float, dict[str, Any]]] = {}
    if minutes is not None:
        nights = [r for r in records.between(conn, user_id, ["sleep"], start - DAY_US, end) if start < r.end_us <= end]
        resting = resting_heart_rate(conn, user_id, nights, minutes)
        if resting is not None:
            daily["resting_heart_rate"] = (round(resting, 1), {})
        usual, maximum = resting or DEFAULT_RESTING, choice.max_hr_bpm or maximum_hr(choice.age(date))
        moderate, vigorous = active_minutes(minutes, usual, maximum)
        if any(minutes.activity):
            daily["active_minutes"] = (moderate + 2.0 * vigorous, {"moderate": moderate, "vigorous": vigorous})
            daily["energy"] = effort(minutes)
        if np.isfinite(minutes.hr_bpm).any():
            daily["heart_minutes"] = heart_minutes(minutes)
        found = contexts(minutes, resting_hr_bpm=usual, max_hr_bpm=maximum)
        context = [
            _record(user_id, "context", start + a * MINUTE_US, start + b * MINUTE_US, offset, {"value": str(label)})
            for label, a, b in spans(found)
        ]
    _replace(conn, user_id, "context", start, end, context)
    for kind in DAILY_WRITTEN:
        said = [r for r in records.between(conn, user_id, [kind], start, end) if r.source != SOURCE]
        wanted = []
        if kind in daily and not said:  # what a client says of its day stands
            value, data = daily[kind]
            wanted = [replace(_record(user_id, kind, start, end, offset, data), value=value)]
        _replace(conn, user_id, kind, start, end, wanted)


def _write_findings(
    conn: Connection, user_id: int, first: dt.date, until: dt.date, offset: int, days: Sequence[Day]
) -> None:
    wanted = [
        _record(user_id, "finding", *day_bounds(f.date, offset), offset, _finding(f), f.name)
        for f in history(days, first)
        if f.date <= until
    ]
    _replace(conn, user_id, "finding", day_bounds(first, offset)[0], day_bounds(until, offset)[1], wanted)


def _write_reminders(
    conn: Connection, user_id: int, today: dt.date, offset: int, days: Sequence[Day], choice: Chosen
) -> None:
    start, _ = day_bounds(today, offset)
    recent = records.between(conn, user_id, ["context"], start, start + DAY_US)
    now = now_us()
    if not recent or now - recent[-1].end_us > FRESH_US:
        return
    zone = dt.timezone(dt.timedelta(seconds=offset))
    bed = baseline(days, "bedtime_min", today + dt.timedelta(days=1))
    clock = (int(bed.median) + 720) % 1440 if bed else None
    situation = Situation(
        dt.datetime.fromtimestamp(now / 1e6, zone), _minutes_back(recent),
        None if clock is None else dt.time(clock // 60, clock % 60), _battery(conn, user_id), DEFAULT_NIGHT_DRAIN,
    )  # fmt: skip
    sent = [
        Reminder(str(r.data.get("value")), dt.datetime.fromtimestamp(r.start_us / 1e6, zone), {})
        for r in records.between(conn, user_id, ["reminder"], start - DAY_US, now + 1)
    ]
    new = [
        _record(user_id, "reminder", now, now, offset, {"value": r.kind, "reason": dict(r.reason)}, r.kind)
        for r in due(situation, choice.reminders, sent)
    ]
    records.put(conn, user_id, new, {})


def _minutes_back(recent: Sequence[Record]) -> list[Context]:
    known = [(r, str(r.data.get("value"))) for r in recent]
    return [
        Context(word)
        for r, word in known
        if word in _CONTEXTS
        for _ in range(max(1, (r.end_us - r.start_us) // MINUTE_US))
    ]


def _battery(conn: Connection, user_id: int) -> float | None:
    query = select(devices.c.status).where(devices.c.user_id == user_id, devices.c.revoked_us.is_(None))
    newest = conn.execute(query.order_by(devices.c.seen_us.desc()).limit(1)).scalar()
    level = json.loads(newest).get("battery") if newest else None
    return float(level) if isinstance(level, int | float) else None


def _finding(finding: Finding) -> dict[str, Any]:
    evidence = [{"measure": e.measure, "value": e.value, "low": e.low, "high": e.high} for e in finding.evidence]
    return {
        "value": finding.name, "days": finding.days, "evidence": evidence, "confidence": finding.confidence,
        "source": finding.source, "caveat": finding.caveat,
    }  # fmt: skip


def _record(
    user_id: int, kind: str, start_us: int, end_us: int, offset: int, data: Mapping[str, Any], name: str = ""
) -> Record:
    ident = records.derived_id(user_id, SOURCE, name, kind, start_us, end_us)
    return Record(ident, kind, start_us, end_us, offset, None, SOURCE, data=data)


def _replace(conn: Connection, user_id: int, kind: str, start_us: int, end_us: int, wanted: Sequence[Record]) -> None:
    """Make our records of `kind` that start in the span exactly `wanted`."""
    keep = {r.id for r in wanted}
    stored = records.by_id(conn, user_id, keep)
    stale = [
        r for r in records.between(conn, user_id, [kind], start_us, end_us) if r.source == SOURCE and r.id not in keep
    ]
    stored |= {r.id: r for r in stale}
    records.put(conn, user_id, [*wanted, *(records.tombstone(r) for r in stale)], stored)

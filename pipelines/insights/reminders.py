"""Reminders that come at the right moment, each with its reason, and never when they would disturb."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.insights.context import Context

_NEVER_DURING = frozenset({Context.ASLEEP, Context.EXERCISING})
MAX_PER_DAY = 6


@dataclass(frozen=True)
class Kind:
    """A kind of reminder: how long until it may come again, and whether it is on for who chose nothing."""

    name: str
    pause: dt.timedelta
    needs_worn: bool = True
    usual: bool = True


KINDS: tuple[Kind, ...] = (
    Kind("stand", dt.timedelta(hours=1)),
    Kind("wind_down", dt.timedelta(hours=20)),
    Kind("charge", dt.timedelta(hours=20)),
    Kind("wear", dt.timedelta(hours=12), needs_worn=False),
    Kind("take_off", dt.timedelta(hours=20), usual=False),
)
SEDENTARY_LIMIT_MIN = 50  # within the 30-60 min after which guidelines advise to break up sitting (WHO 2020)
WIND_DOWN_BEFORE = dt.timedelta(minutes=45)
CHARGE_BEFORE = dt.timedelta(hours=2)
NOT_WORN_LIMIT_MIN = 120
WORN_LIMIT_MIN = 16 * 60  # so long under a strap, skin wants air: our choice


@dataclass(frozen=True)
class Settings:
    """What the wearer chose: which kinds are on, and the quiet hours (local, may span midnight)."""

    on: Mapping[str, bool] = field(default_factory=dict)
    quiet_from: dt.time = dt.time(23, 0)
    quiet_to: dt.time = dt.time(7, 0)


@dataclass(frozen=True)
class Situation:
    """
    What is known at this moment.

    Parameters
    ----------
    now : datetime
        Local time of the wearer, aware.
    context : sequence of Context
        The last minutes, oldest first.
    usual_bedtime : time, optional
        Local; None while there is no baseline.
    battery : float, optional
        In [0, 1].
    night_drain : float
        What a night uses of the battery.
    """

    now: dt.datetime
    context: Sequence[Context]
    usual_bedtime: dt.time | None = None
    battery: float | None = None
    night_drain: float = 0.2


@dataclass(frozen=True)
class Reminder:
    """One reminder: `kind` is its message's key, `reason` says why now, with the figures in it."""

    kind: str
    at: dt.datetime
    reason: Mapping[str, float | str]


def due(situation: Situation, settings: Settings, sent: Sequence[Reminder]) -> list[Reminder]:
    """
    Return the reminders to send now.

    Parameters
    ----------
    sent : sequence of Reminder
        Those sent before: no kind comes again within its pause, and at most `MAX_PER_DAY` come in a day.
    """
    if _disturbs(situation, settings):
        return []
    today = sum(r.at.date() == situation.now.date() for r in sent)
    chosen: list[Reminder] = []
    for kind in KINDS:
        reason = _reason(kind, situation)
        paused = any(r.kind == kind.name and situation.now - r.at < kind.pause for r in sent)
        if (
            reason is not None
            and settings.on.get(kind.name, kind.usual)
            and not paused
            and today + len(chosen) < MAX_PER_DAY
        ):
            chosen.append(Reminder(kind.name, situation.now, reason))
    return chosen


def _disturbs(situation: Situation, settings: Settings) -> bool:
    clock = situation.now.time()
    start, end = settings.quiet_from, settings.quiet_to
    quiet = start <= clock < end if start <= end else clock >= start or clock < end
    return quiet or not situation.context or situation.context[-1] in _NEVER_DURING


def _reason(kind: Kind, situation: Situation) -> dict[str, float | str] | None:
    if kind.needs_worn and situation.context[-1] == Context.NOT_WORN:
        return None
    if kind.name == "stand":
        minutes = _trailing(situation.context, Context.SEDENTARY)
        return {"sedentary_min": minutes} if minutes >= SEDENTARY_LIMIT_MIN else None
    if kind.name == "take_off":
        bare = (k for k, context in enumerate(reversed(situation.context)) if context == Context.NOT_WORN)
        worn = next(bare, len(situation.context))
        return {"worn_min": worn} if worn >= WORN_LIMIT_MIN else None
    if kind.name == "wear":
        minutes = _trailing(situation.context, Context.NOT_WORN)
        return {"not_worn_min": minutes} if minutes >= NOT_WORN_LIMIT_MIN else None
    until = _until_bedtime(situation)
    if until is None:
        return None
    if kind.name == "wind_down":
        return {"bedtime": _clock(situation)} if until <= WIND_DOWN_BEFORE else None
    low = situation.battery is not None and situation.battery < 1.5 * situation.night_drain
    return {"battery": float(situation.battery or 0.0)} if low and until <= CHARGE_BEFORE else None


def _trailing(context: Sequence[Context], wanted: Context) -> int:
    for minutes, value in enumerate(reversed(context)):
        if value != wanted:
            return minutes
    return len(context)


def _until_bedtime(situation: Situation) -> dt.timedelta | None:
    if situation.usual_bedtime is None:
        return None
    bedtime = dt.datetime.combine(situation.now.date(), situation.usual_bedtime, tzinfo=situation.now.tzinfo)
    if bedtime < situation.now:
        bedtime += dt.timedelta(days=1)
    return bedtime - situation.now


def _clock(situation: Situation) -> str:
    return situation.usual_bedtime.strftime("%H:%M") if situation.usual_bedtime else ""

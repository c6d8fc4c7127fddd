"""
The life of a fall alarm, as a pure state machine: detected, countdown, then cancelled or alerted, then acknowledged.

No clock and no I/O: whoever owns a clock (watch, service, test) says what time it is, stores the `Alarm` and does what
the transitions ask for. The same events in the same order give the same life.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where an alarm is in its life. `COUNTDOWN` is shown on the wrist; the record still says ``detected``."""

    DETECTED = "detected"
    COUNTDOWN = "countdown"
    CANCELLED = "cancelled"
    ALERTED = "alerted"
    ACKNOWLEDGED = "acknowledged"


class Event(StrEnum):
    """What can happen to an alarm."""

    TICK = "tick"  # time passes
    STILL = "still"  # the wrist has been still since the last event
    MOVED = "moved"  # the wrist was used: walking, getting up, waving
    CANCEL = "cancel"  # the wearer says: I am well
    ACKNOWLEDGE = "acknowledge"  # a caregiver has seen it


@dataclass(frozen=True)
class AlarmRules:
    """
    Times of an alarm's life in seconds.

    Parameters
    ----------
    countdown_s : float, default=30
        How long the wearer may cancel before anybody is told.
    moved_extra_s : float, default=30
        Added once when the wearer moves during the countdown: somebody who walks about may not have noticed the
        watch. Movement never cancels: crawling for help is movement too.
    still_less_s : float, default=10
        Taken off once when the wearer has been still for `still_for_s`.
    still_for_s : float, default=10
    escalate_every_s : float, default=120
        The next tier is told when nobody acknowledges for so long.
    tiers : int, default=3
    """

    countdown_s: float = 30.0
    moved_extra_s: float = 30.0
    still_less_s: float = 10.0
    still_for_s: float = 10.0
    escalate_every_s: float = 120.0
    tiers: int = 3

    def __post_init__(self) -> None:
        times = (self.countdown_s, self.moved_extra_s, self.still_less_s, self.still_for_s, self.escalate_every_s)
        if min(times) < 0 or self.still_less_s > self.countdown_s or self.tiers < 1:
            raise ValueError(
                f"alarm times must not be negative, still_less_s not above countdown_s, tiers at least 1; got {self}"
            )


@dataclass(frozen=True)
class Alarm:
    """
    One alarm at one moment.

    Parameters
    ----------
    impact_s : float
        Time of the impact.
    confidence : float
        Probability that it was a fall.
    state : State
    due_s : float
        When the countdown runs out, or the next tier is to be told.
    tier : int
        How many tiers have been told.
    still_since_s : float or None
    adjusted : tuple of str
        Which of ``moved`` and ``still`` have changed the countdown: each may once.
    history : tuple of (state, at_s, by)
        Every change, oldest first.
    """

    impact_s: float
    confidence: float
    state: State
    due_s: float
    tier: int = 0
    still_since_s: float | None = None
    adjusted: tuple[str, ...] = ()
    history: tuple[tuple[str, float, str], ...] = ()

    @property
    def over(self) -> bool:
        """Whether nothing can happen to this alarm any more."""
        return self.state in {State.CANCELLED, State.ACKNOWLEDGED}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able form that `from_json` reads."""
        return {
            "impact_s": self.impact_s, "confidence": self.confidence, "state": self.state.value, "due_s": self.due_s,
            "tier": self.tier, "still_since_s": self.still_since_s, "adjusted": list(self.adjusted),
            "history": [list(entry) for entry in self.history],
        }  # fmt: skip

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Alarm:
        """Return the alarm that `to_json` stored."""
        history = tuple((str(state), float(at_s), str(by)) for state, at_s, by in stored["history"])
        return cls(
            float(stored["impact_s"]), float(stored["confidence"]), State(stored["state"]), float(stored["due_s"]),
            int(stored["tier"]), stored["still_since_s"], tuple(stored["adjusted"]), history,
        )  # fmt: skip


def detected(impact_s: float, confidence: float, at_s: float, rules: AlarmRules = AlarmRules()) -> Alarm:
    """Return a new alarm whose countdown has begun at `at_s`."""
    history = ((State.DETECTED.value, at_s, "watch"), (State.COUNTDOWN.value, at_s, "watch"))
    return Alarm(impact_s, confidence, State.COUNTDOWN, at_s + rules.countdown_s, history=history)


def advance(alarm: Alarm, event: Event, at_s: float, rules: AlarmRules = AlarmRules(), by: str = "") -> Alarm:
    """
    Return the alarm after `event` at `at_s`.

    What was due before `at_s` happens first, at the time when it was due: a watch that slept through the end of the
    countdown has alerted, and a cancel that comes later cannot undo that. Events on an alarm that is over change
    nothing, and neither does the same event again.

    Parameters
    ----------
    by : str
        Who did it, for the history; default ``wearer``, ``caregiver`` or ``watch`` by the event.
    """
    alarm = _run_out(alarm, at_s, rules)
    if alarm.over:
        return alarm
    if event is Event.ACKNOWLEDGE:
        return _to(alarm, State.ACKNOWLEDGED, at_s, by or "caregiver") if alarm.state is State.ALERTED else alarm
    if event is Event.CANCEL:
        # After the alert the wearer's cancel closes it too, and says so: people on their way want to know.
        return _to(alarm, State.CANCELLED, at_s, by or "wearer")
    if alarm.state is State.COUNTDOWN and event in {Event.STILL, Event.MOVED}:
        return _run_out(_watched(alarm, event, at_s, rules), at_s, rules)
    return alarm


def _watched(alarm: Alarm, event: Event, at_s: float, rules: AlarmRules) -> Alarm:
    if event is Event.MOVED:
        alarm = replace(alarm, still_since_s=None)
        return _adjusted(alarm, "moved", rules.moved_extra_s)
    since = at_s if alarm.still_since_s is None else alarm.still_since_s
    alarm = replace(alarm, still_since_s=since)
    return _adjusted(alarm, "still", -rules.still_less_s) if at_s - since >= rules.still_for_s else alarm


def _adjusted(alarm: Alarm, why: str, by_s: float) -> Alarm:
    if why in alarm.adjusted:
        return alarm
    return replace(alarm, due_s=alarm.due_s + by_s, adjusted=(*alarm.adjusted, why))


def _run_out(alarm: Alarm, at_s: float, rules: AlarmRules) -> Alarm:
    if alarm.state is State.COUNTDOWN and at_s >= alarm.due_s:
        due = alarm.due_s
        alarm = replace(_to(alarm, State.ALERTED, due, "watch"), tier=1, due_s=due + rules.escalate_every_s)
    while alarm.state is State.ALERTED and alarm.tier < rules.tiers and at_s >= alarm.due_s:
        told = (*alarm.history, (f"tier {alarm.tier + 1}", alarm.due_s, "service"))
        alarm = replace(alarm, tier=alarm.tier + 1, due_s=alarm.due_s + rules.escalate_every_s, history=told)
    return alarm


def _to(alarm: Alarm, state: State, at_s: float, by: str) -> Alarm:
    return replace(alarm, state=state, history=(*alarm.history, (state.value, at_s, by)))

"""`mock_person`: a month's life sent to a service by a watch, through the API that every watch uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.person.life import Life, live
from services.person.raw import around_fall, last_minutes
from services.person.records import fall_record, records_of, settings_record
from services.watch import Assembly, Companion, RunOptions
from services.watch.link import HttpTransport
from services.watch.pace import real_now, real_sleep

RAW_MIN = 10
# A service that infers falls itself has so long to find the one in the raw signal, before the watch's word is sent.
SETTLE_S = 8.0
BATTERY_LEFT = 0.64


@dataclass(frozen=True)
class PersonReport:
    """
    What was sent.

    Attributes
    ----------
    device_id : str
    records : int
        Records that the service has confirmed.
    chunks : int
        Chunks of raw signal that it has confirmed.
    fall : str
        Who found the fall: ``service``, ``watch``, or ``none`` where the life has none.
    refused : dict of str to str
        What was refused, with the reason.
    """

    device_id: str
    days: int
    records: int
    chunks: int
    fall: str
    refused: dict[str, str]


def mock_person(
    server: str,
    companion: Companion,
    *,
    days: int = 30,
    seed: int = 0,
    end: datetime | None = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> PersonReport:
    """Fill a service with the last `days` days of a person who does not exist.

    Parameters
    ----------
    server : str
    companion : Companion
        The account whose watch this is; it approves the pairing.
    days, seed : int
        Length of the life, and which life.
    end : datetime, optional
        Its end; default now.
    on_progress : callable, optional
        Told the fraction done and a word on it.

    Raises
    ------
    ServerRefused
        If pairing or sending is refused.
    LinkDown
        If there is no answer.
    """
    say = on_progress or (lambda *_: None)
    life = live(days, seed, end or real_now())
    person = _Person(server, companion, seed, life)
    try:
        say(0.0, "raw signal around the fall and of the last minutes")
        companion.call("POST", "/v1/records", {"records": [settings_record(life)]})
        chunks = sum(person.send_raw(number, raw) for number, raw in enumerate(_raw(life, seed)))
        kept = list(records_of(life))
        person.send_records(kept, lambda done: say(0.05 + 0.9 * done, f"{len(kept)} records"))
        fall = person.send_falls()
        say(1.0, "done")
        return PersonReport(
            person.assembly.device_id, days, person.assembly.tally.records, chunks, fall, person.assembly.outbox.refused
        )
    finally:
        person.close()


def _raw(life: Life, seed: int) -> list[Any]:
    raw = [around_fall(life, minute, seed) for minute in life.falls_min]
    if len(life) > RAW_MIN and not life.in_bed[-RAW_MIN:].any():
        raw.append(last_minutes(life, RAW_MIN, seed))
    return raw


class _Person:
    def __init__(self, server: str, companion: Companion, seed: int, life: Life) -> None:
        self._companion, self._life, self._server = companion, life, server
        name = f"mock-person-{seed}"
        self._options = RunOptions(seed=seed, name=name)
        stand_in = last_minutes(life, 1, seed)
        self.assembly = Assembly(stand_in, HttpTransport(server), self._options, on_code=companion.approve)
        self.assembly.pair()
        battery = self.assembly.battery
        battery.spent_uc["base"] = (1.0 - BATTERY_LEFT) * battery.model.cell_mah * 3.6e6

    def close(self) -> None:
        self.assembly.close()

    def send_raw(self, number: int, recording: Any) -> int:
        """Send a stretch of raw signal as a boot of its own; return how many chunks were confirmed."""
        part = Assembly(recording, HttpTransport(self._server), self._options)
        try:
            part.outbox.keep({"tokens": self.assembly.outbox.get("tokens"), "batches": 1000 * number})
            part.watch.clock.boots = number + 1
            part.watch.advance(part.end_s)
            _drain(part)
            self.assembly.outbox.keep({"tokens": part.outbox.get("tokens")})
            return part.tally.stored + part.tally.duplicates
        finally:
            part.close()

    def send_records(self, records: Iterable[dict[str, Any]], on_done: Callable[[float], None]) -> None:
        """Send records as the watch's own."""
        self.assembly.outbox.add((), records, 0, {"batches": 10**6})
        total = max(1, self.assembly.outbox.unconfirmed)
        _drain(self.assembly, lambda left: on_done(1.0 - left / total))

    def send_falls(self) -> str:
        """Leave the fall to the service if it finds it in the raw signal; else send the watch's own word."""
        if not self._life.falls_min:
            return "none"
        for minute in self._life.falls_min:
            moment = self._life.time(minute).isoformat()[:15]
            if self._companion.wait_until(lambda m=moment: self._found(m), SETTLE_S, 0.5):  # type: ignore[misc]
                return "service"
            self.send_records([fall_record(self._life, minute)], lambda _: None)
        return "watch"

    def _found(self, moment: str) -> bool:
        return any(r["start"].startswith(moment) for r in self._companion.records("fall"))


def _drain(assembly: Assembly, on_left: Callable[[int], None] | None = None) -> None:
    while True:
        outcome = assembly.watch.sync()
        if on_left is not None:
            on_left(assembly.outbox.unconfirmed)
        if outcome.done:
            return
        if outcome.wait_s or outcome.asked_s:
            real_sleep(max(min(outcome.wait_s, 1.0), outcome.asked_s))

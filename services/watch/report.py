"""What a run of the watch did, in figures that can be compared with the server's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from services.watch.assembly import Assembly
from services.watch.faults import Fault
from services.watch.inference import WristEstimate
from services.watch.uplink import Tally


@dataclass(frozen=True)
class Progress:
    """Where a run is: device seconds of how many, and what waits in the outbox."""

    device_s: float
    end_s: float
    waiting: int
    tally: Tally


@dataclass(frozen=True)
class WatchReport:
    """
    The outcome of `run_watch`.

    Attributes
    ----------
    device_id : str
        The server's name for this watch.
    start : str
        True time of device second zero, RFC 3339.
    seconds : float
        Device time that was sensed.
    edge : bool
        Only estimates left the wrist.
    sensed : dict
        ``chunks``, ``samples`` and ``bytes`` that the sensors gave.
    waiting : int
        Chunks and records that no server has confirmed. 0 means that nothing was lost.
    refused : dict of str to str
        What the server refused for good, with its reason.
    lacking : list of str or None
        Chunks ever made that the server's manifest does not show; None: it could not be asked.
    tally : Tally
        Requests, answers, retries, bytes.
    faults : list of Fault
        What went wrong, as a script that makes it go wrong again.
    estimates : list of WristEstimate
        What the watch itself inferred, if it did.
    runtime : str
        What ran the models on the wrist.
    boots : dict of str to float
        Device time at which each boot began.
    models : dict of str to str
        By task: the model's version that came over the air, or why the one that was offered was refused.
    reminders : list of str
        What the server had to tell the wearer, shown on the wrist after the last sync.
    battery_level, battery_days : float
        Charge left of 1, and days a full cell lasts at this draw (a stated model; see `battery`).
    """

    device_id: str
    start: str
    seconds: float
    edge: bool
    sensed: dict[str, int]
    waiting: int
    refused: dict[str, str]
    lacking: list[str] | None
    tally: Tally
    faults: list[Fault] = field(default_factory=list)
    estimates: list[WristEstimate] = field(default_factory=list)
    runtime: str = "exact"
    boots: dict[str, float] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    reminders: list[str] = field(default_factory=list)
    battery_level: float = 1.0
    battery_days: float = float("inf")

    @property
    def complete(self) -> bool:
        """Whether the server has confirmed everything, refused nothing, and its manifest does not say otherwise."""
        return self.waiting == 0 and not self.refused and not self.lacking

    def body(self) -> dict[str, Any]:
        """Return the report without the estimates, JSON-able."""
        return {
            "device_id": self.device_id, "start": self.start, "seconds": round(self.seconds, 3), "edge": self.edge,
            "sensed": self.sensed, "waiting": self.waiting, "refused": self.refused,
            "lacking": self.lacking, "tally": asdict(self.tally),
            "faults": [f.line() for f in self.faults], "estimates": len(self.estimates),
            "models": self.models, "reminders": self.reminders,
            "battery_level": round(self.battery_level, 4), "battery_days": round(self.battery_days, 2),
            "complete": self.complete,
        }  # fmt: skip


def report_of(assembly: Assembly, lacking: list[str] | None = None) -> WatchReport:
    """Return the report of a watch as it stands; `lacking` is what `Watch.prove` returned."""
    watch = assembly.watch
    return WatchReport(
        device_id=assembly.device_id,
        start=assembly.start.isoformat().replace("+00:00", "Z"),
        seconds=min(watch.now_s, assembly.end_s),
        edge=watch.settings.edge,
        sensed=dict(watch.sensed),
        waiting=assembly.outbox.unconfirmed,
        refused=assembly.outbox.refused,
        lacking=lacking,
        tally=assembly.tally,
        faults=assembly.faults,
        estimates=assembly.estimates,
        runtime=assembly.options.runtime,
        boots=dict(watch.boots),
        battery_level=assembly.battery.level,
        battery_days=assembly.battery.days(watch.now_s),
    )

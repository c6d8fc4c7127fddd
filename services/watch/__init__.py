"""A watch made of software: it senses a recording, infers, keeps, and sends over a link that fails."""

from services.watch.assembly import Assembly, RunOptions
from services.watch.clock import WatchClock
from services.watch.companion import Companion
from services.watch.device import Watch, WatchSettings
from services.watch.faults import Fault, FaultPlan
from services.watch.link import LinkDown, ServerRefused
from services.watch.pairing import PairingCode
from services.watch.report import Progress, WatchReport
from services.watch.run import run_watch
from services.watch.sensors import DeviceProfile, SensorStream, sense

__all__ = [
    "Assembly",
    "Companion",
    "DeviceProfile",
    "Fault",
    "FaultPlan",
    "LinkDown",
    "PairingCode",
    "Progress",
    "RunOptions",
    "SensorStream",
    "ServerRefused",
    "Watch",
    "WatchClock",
    "WatchReport",
    "WatchSettings",
    "run_watch",
    "sense",
]

"""The two clocks of a watch: a monotonic one that counts from boot, and a wall clock that may lie."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

_BOOTS = uuid.UUID("6f6b4a52-7c0e-4d55-9c55-2f3f7d1d5a10")


@dataclass(frozen=True)
class ClockReading:
    """What a watch knows of the time at one moment.

    Attributes
    ----------
    boot_id : str
        Names the boot whose monotonic clock this is.
    monotonic_us : int
        Microseconds since that boot, as the watch's crystal counts them.
    wall : datetime
        The wall clock in UTC, as far as the watch knows.
    utc_offset_s : int
        Seconds east of UTC that the wearer's time zone is set to.
    """

    boot_id: str
    monotonic_us: int
    wall: datetime
    utc_offset_s: int


class WatchClock:
    """Turn device time into what the watch believes.

    Device time is counted by the watch's own crystal since it was first switched on; samples are taken by the
    same crystal, so a stream's rate is exact in device time. True time runs `drift_ppm` faster than the crystal.
    The wall clock is set from a phone, so it follows true time; `jump` makes it wrong, and a reboot keeps it so.

    Parameters
    ----------
    start : datetime
        True time, aware, at device second zero.
    name : str
        Names the boots, so that a run can be repeated to the byte; two watches must not share it.
    drift_ppm : float
        Parts per million by which the crystal is slow. Watch crystals are within 20.
    utc_offset_s : int
        Time zone at the start, in seconds east of UTC.
    """

    def __init__(self, start: datetime, *, name: str = "", drift_ppm: float = 0.0, utc_offset_s: int = 0) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start must carry a time zone, such as UTC. Got {start.isoformat()} instead.")
        self.start = start
        self.name = name
        self.drift_ppm = drift_ppm
        self.utc_offset_s = utc_offset_s
        self.boots = 0
        self._boot_at_s = 0.0
        self._wall_error_s = 0.0

    @property
    def boot_id(self) -> str:
        """UUID of the present boot."""
        return str(uuid.uuid5(_BOOTS, f"{self.name}/{self.boots}"))

    @property
    def boot_at_s(self) -> float:
        """Device time at which the present boot began."""
        return self._boot_at_s

    def monotonic_us(self, device_s: float) -> int:
        """Return microseconds since boot at device time `device_s`."""
        return round((device_s - self._boot_at_s) * 1e6)

    def true_time(self, device_s: float) -> datetime:
        """Return the true time at `device_s`, which the watch itself does not know."""
        return self.start + timedelta(seconds=device_s * (1.0 + self.drift_ppm * 1e-6))

    def read(self, device_s: float) -> ClockReading:
        """Return both clocks at device time `device_s`."""
        return ClockReading(
            boot_id=self.boot_id,
            monotonic_us=self.monotonic_us(device_s),
            wall=self.true_time(device_s) + timedelta(seconds=self._wall_error_s),
            utc_offset_s=self.utc_offset_s,
        )

    def reboot(self, device_s: float) -> None:
        """Start the monotonic clock afresh at `device_s`, under a new boot id."""
        self.boots += 1
        self._boot_at_s = device_s

    def jump(self, by_s: float) -> None:
        """Move the wall clock by `by_s` seconds; samples keep their monotonic times."""
        self._wall_error_s += by_s

    def travel(self, utc_offset_s: int) -> None:
        """Set the time zone to `utc_offset_s` seconds east of UTC; UTC itself does not move."""
        self.utc_offset_s = utc_offset_s

    def state(self) -> dict[str, float]:
        """Return what must survive a restart of the program."""
        return {
            "boots": self.boots, "boot_at_s": self._boot_at_s,
            "wall_error_s": self._wall_error_s, "utc_offset_s": self.utc_offset_s,
        }  # fmt: skip

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from a `state`."""
        self.boots, self.utc_offset_s = int(state["boots"]), int(state["utc_offset_s"])
        self._boot_at_s, self._wall_error_s = float(state["boot_at_s"]), float(state["wall_error_s"])

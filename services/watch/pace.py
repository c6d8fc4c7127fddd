"""Device seconds against real seconds: the only file of the watch that reads the real clock."""

import math
import time
from datetime import UTC, datetime, timedelta


class Pace:
    """Let device time run at a multiple of real time.

    Parameters
    ----------
    speed : float
        Device seconds per real second; ``math.inf`` never waits.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be positive (60 is a minute a second). Got {speed!r} instead.")
        self.speed = speed
        self._started = time.monotonic()

    def restart(self) -> None:
        """Make this moment device second zero."""
        self._started = time.monotonic()

    def wait_until(self, device_s: float) -> None:
        """Sleep until device time has reached `device_s`."""
        if math.isinf(self.speed):
            return
        left_s = device_s / self.speed - (time.monotonic() - self._started)
        if left_s > 0:
            time.sleep(left_s)

    def behind_s(self, device_s: float) -> float:
        """Return by how many real seconds the present is later than device time `device_s`."""
        return time.monotonic() - self._started - self.to_real_s(device_s)

    def to_real_s(self, device_s: float) -> float:
        """Return how many real seconds `device_s` device seconds take."""
        return 0.0 if math.isinf(self.speed) else device_s / self.speed

    def start_of(self, duration_s: float) -> datetime:
        """Return the wall time to begin at, so that `duration_s` of device time ends in the present.

        At speed 1 that is now; at speed 60 an hour-long recording begins 59 minutes ago. A watch that
        began now would run ahead of the server's clock, and a server is right to refuse the future.
        """
        now = real_now()
        return now + timedelta(seconds=self.to_real_s(duration_s) - duration_s)


def real_now() -> datetime:
    """Return the real time in UTC."""
    return datetime.now(UTC)


def real_now_s() -> float:
    """Return real monotonic seconds, for waits that a server asks for and for how long it took to answer."""
    return time.perf_counter()


def real_sleep(seconds: float) -> None:
    """Sleep for real seconds."""
    if seconds > 0:
        time.sleep(seconds)

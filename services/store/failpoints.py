"""Named points at which a crash test kills the process: ``WRISTWISE_FAILPOINT=name:count``."""

from __future__ import annotations

import os
import signal

_ARMED, _, _COUNT = os.environ.get("WRISTWISE_FAILPOINT", "").partition(":")
_left = int(_COUNT or 1)


def arm(name: str, count: int = 1) -> None:
    """Arm the point `name` in this process; "" disarms."""
    global _ARMED, _left
    _ARMED, _left = name, count


def failpoint(name: str) -> None:
    """Kill this process, as a power cut would, the n-th time that the armed point `name` is passed."""
    global _left
    if name != _ARMED:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

"""What a long-lived process does with the memory that it no longer needs."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


def give_back_memory(from_bytes: int) -> None:
    """
    Have buffers of `from_bytes` and more taken from the system and given back to it, smaller ones from two pools.

    Bodies, and matrices, of megabytes otherwise leave a process pools that are full of holes (glibc; elsewhere nothing
    is done). A buffer from the system costs a page fault for every 4 KiB: choose what is rare.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 2)
            mallopt(_M_MMAP_THRESHOLD, from_bytes)

"""
A boot's monotonic clock mapped to UTC, from the set of (monotonic, wall) pairs that its batches carried.

The answer depends on the set alone. Time is cut into slots of ten minutes; of each slot the earliest pair counts
(the minimum is the same in any order). A wall clock that jumped gives groups of slots that contradict each other:
the largest group is believed, the latest of equals. Slots without a pair are interpolated between their
neighbours, so a clock that drifts through an offline day is straightened.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

SLOT_US = 600_000_000
# Below it a difference is drift and reading jitter, above it somebody set the clock.
_JUMP_US = 2_000_000
_DRIFT = 200e-6  # the worst crystal that we believe in
# Offsets are held to 10 ms: drift within it shall not renumber what was computed already.
_GRAIN_US = 10_000


class Pair(NamedTuple):
    """The two clocks of a watch, read at one moment."""

    monotonic_us: int
    wall_us: int
    utc_offset_s: int


@dataclass(frozen=True)
class Clock:
    """
    Mapping of one boot.

    Parameters
    ----------
    anchors : tuple of (slot, offset_us)
        UTC minus monotonic at the believed slots, in order.
    zones : tuple of (monotonic_us, utc_offset_s)
        Where the wearer's UTC offset changed, in order.
    """

    anchors: tuple[tuple[int, int], ...]
    zones: tuple[tuple[int, int], ...]

    def offset_us(self, monotonic_us: int) -> int:
        """Return UTC minus monotonic at that moment, constant within a slot."""
        slot = monotonic_us // SLOT_US
        after = bisect_right(self.anchors, slot, key=lambda a: a[0])
        if after == 0:
            return self.anchors[0][1]
        before_slot, before = self.anchors[after - 1]
        if slot == before_slot or after == len(self.anchors):
            return before
        next_slot, following = self.anchors[after]
        between = before + (following - before) * (slot - before_slot) / (next_slot - before_slot)
        return round(between / _GRAIN_US) * _GRAIN_US

    def utc_us(self, monotonic_us: int) -> int:
        """Return the moment in microseconds of UTC, to the millisecond."""
        return (monotonic_us + self.offset_us(monotonic_us)) // 1000 * 1000

    def utc_offset_s(self, monotonic_us: int) -> int:
        """Return the wearer's UTC offset at that moment."""
        after = bisect_right(self.zones, monotonic_us, key=lambda z: z[0])
        return self.zones[max(0, after - 1)][1]

    def noons(self, from_us: int) -> list[int]:
        """
        Return the monotonic times of the wearer's noons: the last one before `from_us` (0 if the boot is younger),
        and those after it up to 400 days.
        """
        day = 86_400_000_000
        shift = self.offset_us(from_us) + self.utc_offset_s(from_us) * 1_000_000
        noon = (from_us + shift - day // 2) // day * day + day // 2 - shift
        found = [max(0, noon)]
        for k in range(1, 400):
            after = noon + k * day
            moved = self.offset_us(after) + self.utc_offset_s(after) * 1_000_000 - shift
            found.append(after - moved)
        return found

    def first_difference_us(self, other: Clock) -> int | None:
        """Return a monotonic time before which two clocks agree; None where they are equal."""
        candidates = []
        common = _common_prefix(self.anchors, other.anchors)
        if len(self.anchors) != common or len(other.anchors) != common:
            # Slots after the last common anchor are interpolated, or carried on, from what follows it.
            candidates.append((self.anchors[common - 1][0] + 1) * SLOT_US if common else 0)
        common = _common_prefix(self.zones, other.zones)
        following = [zones[common][0] for zones in (self.zones, other.zones) if len(zones) > common]
        if following:
            candidates.append(min(following) if common else 0)
        return min(candidates, default=None)


def _common_prefix(a: Sequence[tuple[int, int]], b: Sequence[tuple[int, int]]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def fit_clock(pairs: Iterable[Pair]) -> Clock | None:
    """Return the clock that a set of pairs tells, or None for no pairs."""
    ordered = sorted(pairs)
    if not ordered:
        return None
    earliest: dict[int, Pair] = {}
    for pair in ordered:
        earliest.setdefault(pair.monotonic_us // SLOT_US, pair)
    believed = _largest_group(list(earliest.values()))
    anchors = tuple(
        (p.monotonic_us // SLOT_US, round((p.wall_us - p.monotonic_us) / _GRAIN_US) * _GRAIN_US) for p in believed
    )
    zones: list[tuple[int, int]] = []
    for pair in ordered:
        if not zones or zones[-1][1] != pair.utc_offset_s:
            # What was sensed before the first pair is taken to be in its zone.
            zones.append((pair.monotonic_us if zones else 0, pair.utc_offset_s))
    return Clock(anchors, tuple(zones))


def _largest_group(pairs: Sequence[Pair]) -> list[Pair]:
    groups: list[list[Pair]] = []
    for pair in pairs:
        for group in groups:
            last = group[-1]
            allowed = _JUMP_US + _DRIFT * (pair.monotonic_us - last.monotonic_us)
            if abs((pair.wall_us - pair.monotonic_us) - (last.wall_us - last.monotonic_us)) <= allowed:
                group.append(pair)
                break
        else:
            groups.append([pair])
    return max(groups, key=lambda g: (len(g), g[-1].monotonic_us))

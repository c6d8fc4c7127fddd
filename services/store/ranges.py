"""Sets of sequence numbers as sorted, disjoint, inclusive ranges: what a stream holds, and what it misses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

Ranges = list[list[int]]


def add(ranges: Ranges, numbers: Iterable[int]) -> Ranges:
    """Return `ranges` with `numbers` in them, neighbours joined."""
    result = [list(r) for r in ranges]
    for number in numbers:
        at = bisect_right(result, number, key=lambda r: r[0])
        if at and result[at - 1][1] >= number:
            continue
        joins_left = at > 0 and result[at - 1][1] == number - 1
        joins_right = at < len(result) and result[at][0] == number + 1
        if joins_left and joins_right:
            result[at - 1][1] = result[at][1]
            del result[at]
        elif joins_left:
            result[at - 1][1] = number
        elif joins_right:
            result[at][0] = number
        else:
            result.insert(at, [number, number])
    return result


def prefix_end(ranges: Ranges) -> int:
    """Return the last number of the gapless run from 0; -1 if 0 is not there."""
    return ranges[0][1] if ranges and ranges[0][0] == 0 else -1


def holes(ranges: Ranges, limit: int = 100) -> Ranges:
    """Return what is missing below the greatest number, the first `limit` holes."""
    missing: Ranges = []
    following = 0
    for first, last in ranges:
        if first > following:
            missing.append([following, first - 1])
        following = last + 1
    return missing[:limit]


def size(ranges: Ranges) -> int:
    """Return how many numbers there are."""
    return sum(last - first + 1 for first, last in ranges)


def subtract(ranges: Ranges, others: Ranges) -> Ranges:
    """Return what is in `ranges` and not in `others`."""
    left: Ranges = []
    for first, last in ranges:
        at = first
        for other_first, other_last in others:
            if other_last < at or other_first > last:
                continue
            if other_first > at:
                left.append([at, other_first - 1])
            at = other_last + 1
        if at <= last:
            left.append([at, last])
    return left

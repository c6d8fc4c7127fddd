"""Symbolic channels: every channel of every tensor has an id, and ids that must live or die together are one."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


class ChannelSpace:
    """
    A growing set of channel ids with union-find.

    An id is one channel of one layer's output. Adding two tensors unifies their ids element by element;
    concatenating two tensors concatenates the id vectors; flattening repeats them. Everything that has to be
    cut together is then simply one class of ids, and no layer needs to know of any other.
    """

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._origin: list[int] = []
        self.origins: list[str] = []
        self._frozen: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._parent)

    def fresh(self, n: int, origin: str) -> Ids:
        """Return `n` new ids that `origin`, a layer's name, produces."""
        start = len(self._parent)
        self._parent.extend(range(start, start + n))
        self._origin.extend([len(self.origins)] * n)
        self.origins.append(origin)
        return np.arange(start, start + n, dtype=np.int64)

    def find(self, one: int) -> int:
        """Return the representative of the class of `one`, halving the path on the way."""
        parent = self._parent
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    def union(self, left: Ids, right: Ids) -> None:
        """Unify two id vectors of equal length, element by element; the older id represents the class."""
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            low, high = sorted((self.find(a), self.find(b)))
            if low != high:
                self._parent[high] = low

    def freeze(self, ids: Iterable[int], reason: str) -> None:
        """Forbid the removal of `ids`; the first reason given is the one reported."""
        for one in np.unique(np.asarray(list(ids), dtype=np.int64)).tolist():
            self._frozen.setdefault(one, reason)

    def roots(self) -> Ids:
        """Return the representative of every id, shape ``(len(self),)``."""
        return np.array([self.find(i) for i in range(len(self))], dtype=np.int64)

    def origin_of(self) -> Ids:
        """Return the index into `origins` of every id, shape ``(len(self),)``."""
        return np.array(self._origin, dtype=np.int64)

    def frozen(self) -> dict[int, str]:
        """Return reason by frozen id."""
        return dict(self._frozen)

"""Schedules: how much is removed at which training step."""

from dataclasses import dataclass
from typing import Protocol

from models.pruning.errors import PruningError


class Schedule(Protocol):
    """How sparse a network is to be at a training step."""

    @property
    def final(self) -> float:
        """The rate at the end."""
        ...

    def due(self, step: int) -> bool:
        """Tell whether masks are renewed at this step."""
        ...

    def rate(self, step: int) -> float:
        """Return the share of weights that are zero at this step."""
        ...


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise PruningError(f"a pruning rate must be in [0, 1), but is {rate:g}; 0.8 removes four of five weights")


@dataclass(frozen=True)
class OneShot:
    """Everything at the first step; the same weights stay away for good."""

    final: float

    def __post_init__(self) -> None:
        _check_rate(self.final)

    def due(self, step: int) -> bool:
        """Only at step 0."""
        return step == 0

    def rate(self, step: int) -> float:
        """The final rate from the start."""
        return self.final


@dataclass(frozen=True)
class Constant:
    """The final rate from `begin` on, with masks renewed every `frequency` steps: weights may come back."""

    final: float
    begin: int = 0
    frequency: int = 20

    def __post_init__(self) -> None:
        _check_rate(self.final)

    def due(self, step: int) -> bool:
        """Every `frequency` steps from `begin`."""
        return step >= self.begin and (step - self.begin) % self.frequency == 0

    def rate(self, step: int) -> float:
        """Nothing before `begin`, then the final rate."""
        return self.final if step >= self.begin else 0.0


@dataclass(frozen=True)
class Polynomial:
    """
    From `initial` to `final` between steps `begin` and `end`, fast at first: Zhu and Gupta's cubic.

    rate = final + (initial - final) (1 - (step - begin) / (end - begin))^power

    References
    ----------
    .. [1] Zhu and Gupta, To prune, or not to prune, arXiv:1710.01878.
    """

    final: float
    begin: int
    end: int
    initial: float = 0.0
    frequency: int = 20
    power: float = 3.0

    def __post_init__(self) -> None:
        _check_rate(self.final)
        _check_rate(self.initial)
        if not 0 <= self.begin < self.end or self.frequency < 1:
            raise PruningError(
                f"a polynomial schedule needs 0 <= begin < end and frequency >= 1, got begin={self.begin}, "
                f"end={self.end}, frequency={self.frequency}"
            )

    def due(self, step: int) -> bool:
        """Every `frequency` steps between `begin` and `end`, and at `end`."""
        return step == self.end or (self.begin <= step < self.end and (step - self.begin) % self.frequency == 0)

    def rate(self, step: int) -> float:
        """The cubic, clipped to its ends."""
        share = min(max((step - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.final + (self.initial - self.final) * float((1 - share) ** self.power)


def staircase(final: float, n_steps: int) -> tuple[float, ...]:
    """
    Return rates for iterative pruning: each step removes the same share of what is left.

    Parameters
    ----------
    final : float in [0, 1)
    n_steps : int
    """
    _check_rate(final)
    if n_steps < 1:
        raise PruningError(f"iterative pruning needs at least one step, got {n_steps}")
    return tuple(1 - (1 - final) ** (k / n_steps) for k in range(1, n_steps + 1))

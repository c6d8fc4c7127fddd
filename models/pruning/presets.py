"""What `wristwise bench pruning CASE` runs when nothing else is asked: the settings behind each committed result."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from models.pruning.errors import PruningError

# What is compared at every rate, and what only at the rate at which the goals are judged.
_RANKED = (
    "units, L2, local", "units, L2, global", "units, Taylor, local", "units, Taylor, global",
    "units, Taylor, iterative", "weights, threshold, local", "weights, threshold, global", "weights, Taylor, local",
    "weights, Taylor, global",
    "weights, threshold, polynomial", "weights, Taylor, polynomial",
)  # fmt: skip
_CONTROLS = ("from scratch", "from scratch, taught by the dense")
_FEW = (
    "units, L2, local", "units, Taylor, local", "units, Taylor, iterative", *_CONTROLS, "weights, threshold, global",
    "weights, Taylor, global",
)  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """
    Settings of one sweep.

    Attributes
    ----------
    blocks : tuple of (names of methods, rates)
        Run in this order.
    options : dict
        `recover_epochs`, `epochs`, `per_set`, `max_rows` of `Job`; what is not named is the task's own.
    """

    blocks: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...]
    options: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> Iterator[tuple[str, float]]:
        """Yield (method, rate)."""
        for methods, rates in self.blocks:
            for rate in rates:
                yield from ((method, rate) for method in methods)


_ALL = Preset(((_FEW, (0.8,)), (("units, L2, knapsack", "units, random"), (0.8,))))
PRESETS: dict[str, Preset] = {
    "fall-detection": Preset(
        (
            (_RANKED, (0.8,)),
            (("units, L2, knapsack", "units, random", *_CONTROLS), (0.8,)),
            (_RANKED, (0.5, 0.9, 0.95)),
        ),
        {"recover_epochs": 6, "max_rows": 12_000},
    ),
    # One epoch of this recipe is 250 batches whatever the rows; six recordings a set keep the sweep within an hour.
    "heart-rate": Preset(((_FEW, (0.8,)),), {"recover_epochs": 4, "epochs": 6, "per_set": 6}),
    "sleep-staging": Preset(
        ((("units, Taylor, iterative", *_CONTROLS, "units, L2, local", "weights, threshold, global"), (0.8,)),),
        {"recover_epochs": 4},
    ),
}


def preset(case: str) -> Preset:
    """Return the settings of a case; of one without its own, every kind of method at 80 %."""
    return PRESETS.get(case, _ALL)


def chosen(names: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """
    Return the methods that hold one of the parts of `names`, parts apart by semicolons; all where it is empty.

    Raises
    ------
    PruningError
        If there is none.
    """
    parts = [part.strip().lower() for part in names.split(";")]
    found = tuple(name for name in known if any(part in name.lower() for part in parts))
    if not found:
        raise PruningError(f"no method's name holds {names!r}; there are {'; '.join(known)}")
    return found

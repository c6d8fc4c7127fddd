"""What `wristwise bench pruning CASE` runs when nothing else is asked: the settings behind each committed result."""

from dataclasses import dataclass, field
from typing import Any

from models.pruning.errors import PruningError

# What is compared at every rate, and what only at the rate at which the goals are judged.
_RANKED = (
    "units, L2, local", "units, L2, global", "units, Taylor, local", "units, Taylor, global",
    "weights, threshold, local", "weights, threshold, global", "weights, Taylor, local", "weights, Taylor, global",
    "weights, threshold, polynomial", "weights, Taylor, polynomial",
)  # fmt: skip
_CONTROLS = ("from scratch", "from scratch, taught by the dense")
_GOAL = (("units, Taylor, iterative", *_CONTROLS), (0.8,))
_REST = (("units, L2, local", "weights, threshold, global"), (0.8,))


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
    chain : str
        Method of the network that the whole chain (int8, zeros, clusters, container) goes on from.
    recoveries : bool
        Whether kinds of recovery are compared, each a training of its own.
    """

    blocks: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...]
    options: dict[str, Any] = field(default_factory=dict)
    chain: str = "units, Taylor, iterative"
    recoveries: bool = True


_ALL = Preset((_GOAL, _REST, (("units, Taylor, global", "units, L2, knapsack", "units, random"), (0.8,))))
PRESETS: dict[str, Preset] = {
    "fall-detection": Preset(
        (
            _GOAL,
            ((*_RANKED, "units, L2, knapsack", "units, random"), (0.8,)),
            ((*_RANKED, "units, Taylor, iterative"), (0.5, 0.9, 0.95)),
        ),
        {"recover_epochs": 6, "max_rows": 12_000},
    ),
    # One epoch of this recipe is 250 batches whatever the rows; six recordings a set keep the sweep within an hour.
    "heart-rate": Preset((_GOAL, _REST), {"recover_epochs": 4, "epochs": 6, "per_set": 6}),
    # An epoch of this recipe is 20 steps: divided by three, recovery does not recover (measured: kappa 0.06 lower).
    "sleep-staging": Preset((_REST, _GOAL), {"recover_epochs": 4}, chain="units, L2, local", recoveries=False),
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

"""A pruning plan: what goes and why, with what it will save. Data only; it can be read, saved and edited."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from models.pruning.errors import PlanError

FORMAT = 1


@dataclass(frozen=True)
class Cut:
    """
    Units of one group that go.

    Attributes
    ----------
    group : str
        Name of the group (its first layer).
    layers : tuple of str
        All layers that make the group's channels.
    n_units : int
        How many units the group has before the cut.
    remove : tuple of int
        Indices of the units that go, ascending.
    why : str
        The importance used, and the scores at the border between removed and kept.
    """

    group: str
    layers: tuple[str, ...]
    n_units: int
    remove: tuple[int, ...]
    why: str = ""

    @property
    def keep(self) -> tuple[int, ...]:
        """Indices of the units that stay."""
        gone = set(self.remove)
        return tuple(i for i in range(self.n_units) if i not in gone)


@dataclass(frozen=True)
class PruningPlan:
    """
    Channels and units to remove from one particular model.

    Attributes
    ----------
    model : str
        Name of the model.
    fingerprint : str
        Hash of the model's layers and weight shapes; a plan fits only the architecture it was made for.
    cuts : tuple of Cut
        One for each group that loses units.
    before, after : dict of str to int
        Predicted parameters, weight_bytes, macs and arena_bytes.
    """

    model: str
    fingerprint: str
    cuts: tuple[Cut, ...]
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    @property
    def removed(self) -> dict[str, tuple[int, ...]]:
        """Unit indices that go, by group."""
        return {c.group: c.remove for c in self.cuts}

    def without(self, group: str) -> Self:
        """Return the plan with the cut of one group taken back; predictions are dropped."""
        return replace(self, cuts=tuple(c for c in self.cuts if c.group != group), after={})

    def to_json(self) -> str:
        """Return the plan as indented JSON."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """
        Read a plan.

        Raises
        ------
        PlanError
            If the text is not a plan of this format.
        """
        try:
            raw: dict[str, Any] = json.loads(text)
            if raw.pop("format") != FORMAT:
                raise PlanError(f"a plan of format {FORMAT} was expected; plan again with this version")
            cuts = tuple(
                Cut(**{**c, "layers": tuple(c["layers"]), "remove": tuple(c["remove"])}) for c in raw.pop("cuts")
            )
            return cls(cuts=cuts, **raw)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise PlanError(f"this is not a pruning plan: {error}") from error

    def __str__(self) -> str:
        lines = [f"{self.model}: {len(self.cuts)} groups cut"]
        lines += [f"  {c.group:<32} {c.n_units:>5} -> {c.n_units - len(c.remove):<5} {c.why}" for c in self.cuts]
        lines += [f"  {k:<32} {self.before[k]:>10,} -> {v:<10,}" for k, v in self.after.items() if k in self.before]
        return "\n".join(lines)


def fingerprint(model: Any) -> str:
    """Return a short hash of a model's layer names, classes and weight shapes."""
    rows = [(layer.name, type(layer).__name__, [list(w.shape) for w in layer.weights]) for layer in model.layers]
    return hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()[:16]

"""The clinical guard: no subgroup may pay for the average."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.pruning.errors import CalibrationError, ClinicalGuardError

BySubgroup = Callable[[Any], Mapping[str, float]]


@dataclass(frozen=True)
class Verdict:
    """What the guard found in one subgroup: value of the dense and the pruned network, and by how much it is worse."""

    subgroup: str
    dense: float
    pruned: float
    worse_by: float
    allowed: float

    @property
    def refused(self) -> bool:
        """Whether the margin is exceeded (a NaN of the pruned network always is)."""
        return not self.worse_by <= self.allowed


@dataclass(frozen=True)
class ClinicalGuard:
    """
    Refuses a prune that worsens any subgroup beyond a margin.

    Attributes
    ----------
    by_subgroup : callable (model) -> mapping of str to float
        The metric in each subgroup: activity, age group, heart-rate band, fall sensitivity.
    margin : float
        Largest worsening allowed, in the metric's unit (BPM, points of sensitivity).
    higher_is_better : bool, default=False
        True for sensitivity, F1; False for errors.
    margins : mapping of str to float
        Stricter or looser margins of single subgroups.

    Examples
    --------
    >>> guard = ClinicalGuard(lambda model: {"rest": 1.0, "running": 3.0}, margin=0.5)
    >>> [v.refused for v in guard.verdicts("dense", "pruned")]
    [False, False]
    """

    by_subgroup: BySubgroup
    margin: float
    higher_is_better: bool = False
    margins: Mapping[str, float] | None = None

    def verdicts(self, dense: Any, pruned: Any) -> list[Verdict]:
        """Return one verdict per subgroup, the worst first."""
        before, after = self.by_subgroup(dense), self.by_subgroup(pruned)
        if not before or set(before) != set(after):
            raise CalibrationError(
                "the clinical guard needs the same subgroups of both networks, "
                f"got {sorted(before)} and {sorted(after)}"
            )
        sign = -1.0 if self.higher_is_better else 1.0
        found = [
            Verdict(g, before[g], after[g], sign * (after[g] - before[g]), (self.margins or {}).get(g, self.margin))
            for g in before
        ]
        return sorted(found, key=lambda v: v.allowed - v.worse_by)

    def check(self, dense: Any, pruned: Any) -> list[Verdict]:
        """
        Return the verdicts if none is a refusal.

        Raises
        ------
        ClinicalGuardError
            Naming the subgroups, both values and the margin.
        """
        verdicts = self.verdicts(dense, pruned)
        bad = [v for v in verdicts if v.refused]
        if bad:
            told = "; ".join(
                f"{v.subgroup}: {v.dense:.4g} became {v.pruned:.4g}, worse by {v.worse_by:.3g} (allowed {v.allowed:g})"
                for v in bad
            )
            raise ClinicalGuardError(f"the prune is refused: {told}; prune less, or recover longer")
        return verdicts

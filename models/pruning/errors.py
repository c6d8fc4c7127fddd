"""What can go wrong in pruning; each message names the layer and the next step."""

from data.errors import WristwiseError


class PruningError(WristwiseError, ValueError):
    """A prune cannot be planned or applied as asked."""


class UnsupportedLayerError(PruningError):
    """The planner met a layer for which it has no rule."""


class PlanError(PruningError):
    """A plan does not fit the model, would empty a layer, or was edited into nonsense."""


class CalibrationError(PruningError):
    """Data is needed (gradients, activations, a metric) and is missing or unusable."""


class TargetError(PruningError):
    """The target (bytes, latency, loss) cannot be reached."""


class ClinicalGuardError(PruningError):
    """A prune worsens a subgroup beyond the agreed margin and is refused."""

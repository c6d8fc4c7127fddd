"""A dependency: one axis of one weight, and the channel that each of its positions belongs to."""

from dataclasses import dataclass
from enum import Enum

from models.pruning.channels import Ids


class Role(Enum):
    """What the weight does with the channels along the axis."""

    MAKES = "makes"  # the axis produces the channels: filters of a kernel, a bias, a gate block of an LSTM
    READS = "reads"  # the axis consumes them linearly: zero it and the channel is gone (how a twin is masked)
    CARRIES = "carries"  # one number per channel that passes through: batch-norm gamma, a depthwise kernel


@dataclass(frozen=True)
class Dependency:
    """
    One axis of one weight that must be cut when channels go.

    Attributes
    ----------
    layer : str
        Name of the layer in the graph (nested layers as ``outer/inner``).
    weight : int
        Index into ``layer.weights``.
    axis : int
        Axis of that weight.
    ids : ndarray of int64, shape (weight.shape[axis],)
        Channel id of every position along the axis. An id may occur many times (after a Flatten).
    role : Role
        Whether the weight makes, reads or carries the channels.
    """

    layer: str
    weight: int
    axis: int
    ids: Ids
    role: Role

"""The contract of a task: signals to windows, network outputs to estimates, estimates to metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording

Outputs = Mapping[str, NDArray[np.float32]]
Metrics = dict[str, float | None]


@dataclass(frozen=True)
class WindowSpec:
    """
    The grid on which a task looks at a stream: window k spans [k * step_s, k * step_s + length_s).

    Parameters
    ----------
    length_s, step_s : float
        Length of a window, and distance between the starts of two.
    context_s : float, default=0.0
        How far before a window's start `Task.prepare` may look (filter warm-up, earlier windows). A row of
        `Windows` depends on nothing outside [start - context_s, start + length_s): that is what makes streaming
        and offline the same.
    """

    length_s: float
    step_s: float
    context_s: float = 0.0

    def count(self, end_s: float) -> int:
        """Return how many whole windows lie in [0, end_s)."""
        if end_s + 1e-6 < self.length_s:
            return 0
        return int(np.floor((end_s - self.length_s) / self.step_s + 1e-6)) + 1


@dataclass(frozen=True)
class ChannelSpec:
    """A channel that a task can use; `required` says that without it there is no answer."""

    name: str
    required: bool = False


@dataclass(frozen=True)
class Windows:
    """
    Arrays ready for a network, one row a window.

    Parameters
    ----------
    inputs : mapping of str to ndarray of float32, shape (n_windows, ...)
        By name of the network's input.
    start_s, end_s : ndarray of float64, shape (n_windows,)
        Span of each window in seconds since the stream's zero.
    quality : ndarray of float32, shape (n_windows,)
        In [0, 1]: 0 means that nothing can be said of this window.
    extras : mapping of str to ndarray, shape (n_windows, ...)
        What `decode` needs besides the network's output (a classical estimate, stillness, ...).
    """

    inputs: Mapping[str, NDArray[np.float32]]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    quality: NDArray[np.float32]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.start_s.size)

    def take(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Windows:
        """Return those rows."""
        return Windows(
            {k: v[rows] for k, v in self.inputs.items()},
            self.start_s[rows], self.end_s[rows], self.quality[rows],
            {k: v[rows] for k, v in self.extras.items()},
        )  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """
    What a task says of a span.

    Parameters
    ----------
    kind : str
        What is estimated: ``heart_rate``, ``sleep_stage``, ``fall``, ``activity``, ...
    start_s, end_s : float
        Span in seconds since the stream's zero.
    value : float, str or None
        None: the task looked and cannot say.
    uncertainty : float or None
        Half width of the 90 % interval for a number; 1 - probability for a class.
    quality : float
        In [0, 1]; what the gate made of the signal.
    extras : mapping
        JSON-able details (class probabilities, time of impact, ...).
    """

    kind: str
    start_s: float
    end_s: float
    value: float | str | None
    uncertainty: float | None = None
    quality: float = 1.0
    extras: Mapping[str, Any] = field(default_factory=dict)


class Decoder(Protocol):
    """Turns network outputs into estimates, window after window; one a stream, never shared."""

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        """Take the next rows in order and return what can be said now."""
        ...

    def finish(self) -> list[Estimate]:
        """Return what was held back (an offline decoder's whole answer; nothing for most causal ones)."""
        ...

    def state(self) -> dict[str, Any]:
        """Return a JSON-able state."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        ...


class Memoryless:
    """What a decoder inherits that judges each row by itself: it holds nothing back and has no state."""

    def finish(self) -> list[Estimate]:
        """Return nothing: nothing was held back."""
        return []

    def state(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on: there is nothing to restore."""
        del state


@runtime_checkable
class Task(Protocol):
    """
    One task, stateless. To add one: this object in `pipelines/<task>.py`, its network in
    `models/networks/<task>.py`, a row in each registry and a data set.
    """

    name: str  # as typed on the command line: "heart-rate"
    title: str
    version: str  # of the preprocessing; a bundle refuses another
    kind: str  # kind of its main estimate
    channels: tuple[ChannelSpec, ...]
    window: WindowSpec
    metric: str  # key of the main metric in `summarise`
    higher_is_better: bool
    network: bool  # False: a classical task without a bundle
    datasets: tuple[str, ...]  # names of adapters that carry a reference for it

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """
        Cut and clean `recording` into windows [first, last) of the grid, default all whole ones.

        Pure, and local: a row depends only on samples in [start - context_s, start + length_s).
        Missing optional channels, NaN, gaps and foreign rates have an answer: quality 0 at worst.

        Raises
        ------
        ChannelError
            If a required channel is absent.
        """
        ...

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        """Return the reference for each window by name of the network's output; NaN where unknown."""
        ...

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> Decoder:
        """
        Return a new decoder; causal unless `offline`.

        `config` is what was fitted beside the network (thresholds, calibration): `config` of the bundle's card.
        """
        ...

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return what the classical method says of the same windows."""
        ...

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """Return this recording's metrics (JSON-able) against its annotations."""
        ...

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return the metrics over recordings from what `score` returned for each."""
        ...

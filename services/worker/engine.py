"""What the worker can compute: every registered task with the bundle that runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from data.errors import BundleError
from models.bundle import Bundle, shipped
from models.runtime import Model
from pipelines.task import Decoder, Outputs, Task, Windows

_log = logging.getLogger("wristwise.worker")


class Predictor(Protocol):
    """What turns windows into outputs."""

    def predict(self, windows: Windows) -> Outputs:
        """Return the network's outputs, one row a window."""
        ...


@dataclass(frozen=True)
class Ability:
    """
    One task, ready to run.

    Parameters
    ----------
    version : str
        Of the model that `predictor` runs (of the task itself, for a task without a network).
    sequence : bool
        The network keeps state over rows, which cannot be saved, or the task judges in retrospect: a run is
        computed whole.
    """

    task: Task
    predictor: Predictor | None
    version: str
    config: Mapping[str, Any]
    sequence: bool = False

    def decoder(self) -> Decoder:
        """Return a fresh decoder; offline where the whole run is computed at once anyway."""
        return self.task.decoder(offline=self.sequence, config=self.config)

    def predict(self, windows: Windows) -> Outputs:
        """Return the outputs for `windows`; none for a task without a network."""
        # A run is computed whole, so its windows can be seen in relation to all of it.
        settle: Callable[[Windows], Windows] | None = getattr(self.task, "settle", None) if self.sequence else None
        if settle is not None:
            windows = settle(windows)
        return self.predictor.predict(windows) if self.predictor is not None else {}

    @property
    def required(self) -> frozenset[str]:
        """Channels without which the task says nothing."""
        return frozenset(c.name for c in self.task.channels if c.required)

    @property
    def wanted(self) -> frozenset[str]:
        """Channels that the task can use."""
        return frozenset(c.name for c in self.task.channels)


def shipped_abilities(tasks: Iterable[Task] | None = None) -> tuple[Ability, ...]:
    """Return an ability for each registered task whose bundle is shipped; a missing one is logged and left out."""
    # Here, not above: the registry brings all tasks with their libraries, and an API beside need not wait for them.
    from pipelines.registry import TASKS

    found = []
    for task in TASKS.values() if tasks is None else tasks:
        try:
            found.append(ability(task, shipped(task) if task.network else None))
        except BundleError as error:
            _log.warning("task %s is not computed: %s", task.name, error)
    return tuple(found)


def ability(task: Task, bundle: Bundle | None) -> Ability:
    """
    Return `task` with `bundle`.

    Raises
    ------
    BundleError
        If the bundle is for another task or another version of its preprocessing.
    """
    retrospective = bool(getattr(task, "retrospective", False))
    if bundle is None:
        return Ability(task, None, task.version, {}, retrospective)
    bundle.check_task(task)
    # "exact": what the watch says of the same samples, the server says too (docs/mock-watch.md).
    return Ability(task, Model(bundle, "exact"), bundle.version, bundle.config, bundle.sequence or retrospective)

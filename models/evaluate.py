"""Scoring a bundle on recordings, through LiteRT: how everybody, we too, measures on data never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from data.adapters.registry import adapter
from data.errors import ChannelError, DataSetError, RecordingError
from data.location import data_root
from data.recording import Recording
from data.wfdb_folder import read_folder
from models.bundle import Bundle
from models.runtime import Model, RuntimeName
from pipelines.task import Estimate, Task, Windows


def looks_back(task: Task, offline: bool | None) -> bool:
    """Return whether to answer once all is known: as asked, else as the task does (a night is judged when over)."""
    return bool(getattr(task, "retrospective", False)) if offline is None else offline


def infer(task: Task, recording: Recording, model: Model | None, *, offline: bool | None = None) -> list[Estimate]:
    """
    Return what `task` says of `recording`: prepare, predict, decode, as the service and the watch do.

    Parameters
    ----------
    model : Model or None
        None for a classical task (`Task.network` is False).
    offline : bool, optional
        Let the decoder look ahead; default: as the task does.
    """
    return decode(task, whole(task, recording), model, offline=offline)


def whole(task: Task, recording: Recording) -> Windows:
    """Return the windows of a finished recording: a task with `whole` also judges what is left behind the last."""
    prepare: Callable[[Recording], Windows] = getattr(task, "whole", task.prepare)
    return prepare(recording)


def decode(task: Task, windows: Windows, model: Model | None, *, offline: bool | None = None) -> list[Estimate]:
    """Return the estimates for windows that are prepared already."""
    late = looks_back(task, offline)
    windows = settled(task, windows) if late else windows
    decoder = task.decoder(offline=late, config=model.bundle.config if model else None)
    outputs = model.predict(windows) if model else {}
    return [*decoder.update(outputs, windows), *decoder.finish()]


def settled(task: Task, windows: Windows) -> Windows:
    """Return the windows of a finished stream: a task with `settle` puts them in relation to all of it."""
    settle: Callable[[Windows], Windows] | None = getattr(task, "settle", None)
    return windows if settle is None else settle(windows)


def open_model(task: Task, folder: Path | None = None, runtime: RuntimeName = "litert") -> Model | None:
    """Return the bundle in `folder`, or the shipped one, ready to predict; None for a classical task."""
    if not task.network:
        return None
    from models.bundle import shipped

    bundle = Bundle.open(folder) if folder else shipped(task)
    bundle.check_task(task)
    return Model(bundle, runtime)


def recordings_of(task: Task, folder: Path | None, dataset: str | None) -> Iterable[Recording]:
    """
    Return the recordings of a WFDB folder, or of a data set below `WRISTWISE_DATA`.

    Raises
    ------
    DataSetError
        If neither or both are named, or the set is not there.
    """
    if (folder is None) == (dataset is None):
        raise DataSetError("name what to score: either --recordings DIR (WFDB records) or --dataset NAME")
    if folder is not None:
        return read_folder(folder)
    assert dataset is not None  # narrowed by the check above
    if dataset not in task.datasets:
        raise DataSetError(
            f"data set {dataset!r} has no reference for task {task.name!r}; these have: {', '.join(task.datasets)}"
        )
    return adapter(dataset).read(data_root())


def evaluate(
    task: Task,
    recordings: Iterable[Recording],
    model: Model | None,
    *,
    offline: bool | None = None,
    on_recording: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """
    Score a model, and the task's classical baseline beside it, on recordings with a reference.

    Returns
    -------
    dict
        ``task``, ``bundle`` (version), ``n_recordings``, ``n_windows``, ``metrics``, ``baseline``,
        ``per_recording`` and ``refused`` (recordings that lack what the task needs, with the reason).

    Raises
    ------
    RecordingError
        If no recording could be scored.
    """
    scores: list[dict[str, Any]] = []
    baseline: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    n_windows = 0
    for recording in recordings:
        if on_recording:
            on_recording(recording.id)
        try:
            windows = whole(task, recording)
            own = task.score(decode(task, windows, model, offline=offline), recording)
            classical = task.score(task.baseline(windows), recording)
        except ChannelError as error:
            refused.append({"id": recording.id, "why": str(error)})
            continue
        n_windows += len(windows)
        scores.append({"id": recording.id, "subject": recording.subject, **own})
        baseline.append(classical)
    _require_scores(scores, refused)
    return {
        "task": task.name,
        "bundle": model.bundle.version if model else None,
        "n_recordings": len(scores),
        "n_windows": n_windows,
        "metrics": task.summarise(scores),
        "baseline": task.summarise(baseline),
        "per_recording": scores,
        "refused": refused,
    }


def _require_scores(scores: Sequence[object], refused: Sequence[dict[str, str]]) -> None:
    if not scores:
        why = f"; the first was refused because {refused[0]['why']}" if refused else ""
        raise RecordingError(f"no recording could be scored{why}")

"""Which recordings a run trains on, and what their licences are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from data.adapters.registry import adapter
from data.errors import ChannelError, DataSetError
from data.recording import Recording
from models.training.recipe import Recipe


def load(
    recipe: Recipe, root: Path, *, open_data: bool = False, per_set: int | None = None,
    on_recording: Callable[[str], None] | None = None,
) -> list[Recording]:  # fmt: skip
    """
    Return the recordings of every data set of `recipe` that stands below `root`.

    Parameters
    ----------
    open_data : bool, default=False
        Leave out sets without an open licence.
    per_set : int, optional
        At most so many recordings a set, spread over its whole length (for a quick run).

    Raises
    ------
    DataSetError
        If none of the sets is there.
    """
    # A recipe may name other sets for those who want open licences only.
    names = getattr(recipe, "open_datasets", recipe.datasets) if open_data else recipe.datasets
    chosen = [adapter(name) for name in names]
    usable = [a for a in chosen if a.present(root) and (a.open_licence or not open_data)]
    if not usable:
        kind = "open " if open_data else ""
        raise DataSetError(
            f"{root} holds none of the {kind}data sets that {recipe.task.name!r} trains on "
            f"({', '.join(names)}); set WRISTWISE_DATA, or see `wristwise data list`"
        )
    recordings: list[Recording] = []
    for one in usable:
        found = _usable(recipe, one.read(root), on_recording)
        recordings += found if per_set is None else _spread(found, per_set)
    return recordings


def licences(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """Return one entry a data set for the card: name, licence, whether open, recordings and subjects."""
    entries = []
    for name in dict.fromkeys(r.dataset for r in recordings):
        own = [r for r in recordings if r.dataset == name]
        known = adapter(name)
        entries.append(
            {
                "name": name, "licence": known.licence, "open_licence": known.open_licence, "url": known.url,
                "n_recordings": len(own), "n_subjects": len({r.subject for r in own}),
            }
        )  # fmt: skip
    return entries


def _usable(recipe: Recipe, recordings: Any, on_recording: Callable[[str], None] | None) -> list[Recording]:
    needed = [c.name for c in recipe.task.channels if c.required]
    wanted: Callable[[Recording], bool] = getattr(recipe, "trains_on", lambda _: True)
    found = []
    for recording in recordings:
        if on_recording:
            on_recording(f"{recording.dataset} {recording.id}")
        try:
            for name in needed:
                recording.require(name)
        except ChannelError:
            continue  # some records of a set lack a channel: the set's adapter page says which
        if wanted(recording):
            found.append(recording)
    return found


def _spread(recordings: list[Recording], n: int) -> list[Recording]:
    step = max(1, len(recordings) // n)
    return list(islice(recordings[::step], n))

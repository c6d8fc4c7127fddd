"""*Models*: each shipped model's card: what it is for, what it was trained on, how it was pruned, how it does."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from data.errors import BundleError
from models.bundle import ZOO, shipped


@cache
def view() -> list[dict[str, Any]]:
    """Return the cards of all shipped bundles; they cannot change while we run."""
    from pipelines.registry import TASKS

    return [card for task in TASKS.values() if task.network for card in _card(task)]


def _card(task: Any) -> list[dict[str, Any]]:
    try:
        bundle = shipped(task)
    except BundleError:
        return []
    card = bundle.card
    numbers = {k: v for k, v in card.get("metrics", {}).items() if isinstance(v, int | float)}
    return [
        {
            "task": task.name, "title": task.title, "version": bundle.version, "sizes": card["sizes"],
            "parent": card.get("parent", {}), "method": card.get("method", {}), "metrics": numbers,
            "how": card.get("metrics", {}).get("how", ""),
            "data_sets": card.get("training", {}).get("data_sets", []),
            "pareto": pareto(task.name) is not None,
            "subgroups": card.get("subgroups", {}),
        }
    ]  # fmt: skip


def pareto(task_name: str) -> Path | None:
    """Return the picture of accuracy against bytes that ships with a task's bundle, if there is one."""
    from pipelines.registry import TASKS

    path = ZOO / task_name.replace("-", "_") / "pareto.png"
    return path if task_name in TASKS and path.is_file() else None

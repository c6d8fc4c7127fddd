"""*Models*: each shipped model's card: what it is for, what it was trained on, how it was pruned, how it does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from data.errors import BundleError
from models.bundle import shipped
from services.page.drawing import scatter

# Measures that a card gives for groups, as `measure_group`; a longer one before a shorter that begins it.
_MEASURES = (
    "mae_bpm_at_80", "mae_bpm_answered", "mae_bpm", "coverage", "interval_covers", "false_alarms_per_hour",
    "specificity", "sensitivity", "f1", "kappa", "accuracy",
)  # fmt: skip
_GROUP = re.compile(rf"^({'|'.join(_MEASURES)})_(.+)$")
# Or in words, as `wrist walk: MAE of 806 windows`.
_SPOKEN = re.compile(r"^(?P<group>[^:]+): (?P<measure>\D+?)(?: of (?P<n>\d+) windows)?$")
# What follows a measure's name and is no group.
_NO_GROUP = frozenset({"macro", "mean", "macro_4"})
PARETO = Path(__file__).parent.parent / "pareto.json"


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
    figures, groups = split(card.get("metrics") or {})
    groups |= _given(card.get("subgroups"))
    method, parent = card.get("method") or {}, card.get("parent") or {}
    return [
        {
            "task": task.name, "title": task.title, "version": bundle.version,
            "sizes": _sizes(card["sizes"], parent, method.get("parameters") or {}), "method": method,
            "figures": figures, "tables": tables(groups),
            "how": (card.get("metrics") or {}).get("how", ""),
            "data_sets": (card.get("training") or {}).get("data_sets", []), "pareto": pareto(task.name),
        }
    ]  # fmt: skip


def _sizes(sizes: Mapping[str, Any], parent: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return dense beside shipped: the file, what it needs to be sent, the parameters."""
    rows = (
        ("file", parent.get("tflite_bytes"), sizes.get("tflite_bytes")),
        ("gzip", parent.get("gzip_bytes"), sizes.get("gzip_bytes")),
        ("parameters", parameters.get("dense"), parameters.get("pruned")),
        ("arena", parent.get("arena_bytes"), sizes.get("arena_bytes")),
    )
    return [
        {"name": name, "dense": dense, "shipped": now, "share": now / dense if dense else None}
        for name, dense, now in rows
        if now is not None
    ]


def split(metrics: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """
    Return (figures, groups) of a card's metrics.

    A figure has its interval beside it where the card gives one (`name_low`, `name_high`); a measure of a group
    (`mae_bpm_wrist`, `f1_walk`) stands in a table of its own: {group: {measure: figure}}.
    """
    numbers = {k: float(v) for k, v in metrics.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    figures: list[dict[str, Any]] = []
    groups: dict[str, dict[str, Any]] = {}
    for name, value in numbers.items():
        if name.removesuffix("_low").removesuffix("_high") != name:
            continue
        figure = {"name": name, "value": value, "low": numbers.get(f"{name}_low"), "high": numbers.get(f"{name}_high")}
        found, spoken = _GROUP.match(name), _SPOKEN.match(name)
        if spoken:
            row = groups.setdefault(spoken["group"], {})
            row[spoken["measure"]] = figure
            if spoken["n"]:
                row["windows"] = {**figure, "value": float(spoken["n"])}
        elif found and found[2] not in _NO_GROUP and name not in _MEASURES:
            groups.setdefault(found[2], {})[found[1]] = figure
        else:
            figures.append(figure)
    return figures, groups


def tables(groups: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return groups of which the same is measured as a table each: its measures, and a row a group."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for group, row in groups.items():
        found.setdefault(tuple(row), {})[group] = row
    return [{"measures": measures, "rows": rows} for measures, rows in found.items()]


def _given(subgroups: Any) -> dict[str, dict[str, Any]]:
    """Return what a card says of subgroups itself: {group: number or {measure: number}}."""
    found: dict[str, dict[str, Any]] = {}
    for group, said in (subgroups or {}).items() if isinstance(subgroups, Mapping) else ():
        by_measure = said if isinstance(said, Mapping) else {"value": said}
        found[str(group)] = {
            str(k): {"name": k, "value": float(v), "low": None, "high": None}
            for k, v in by_measure.items()
            if isinstance(v, int | float)
        }
    return found


@cache
def _drawn() -> Mapping[str, Any]:
    loaded: dict[str, Any] = json.loads(PARETO.read_text(encoding="utf-8")) if PARETO.is_file() else {}
    return loaded


def pareto(task_name: str) -> dict[str, Any] | None:
    """
    Return the pruning benchmark of a task: error against bytes, with a picture; None where it was not run.

    ``front`` marks the points that no other beats in both: they alone are worth choosing.
    """
    result = _drawn().get(task_name)
    if result is None:
        return None
    points = sorted(result["points"], key=lambda p: (p["bytes"], p["error"]))
    best = float("inf")
    for point in points:
        point["front"] = point["error"] < best
        best = min(best, point["error"])
    families = [f for f in ("dense", "units", "weights", "chain", "random", "control") if _has(points, f)]
    return {**result, "points": points, "families": families, "picture": scatter(points)}


def _has(points: list[dict[str, Any]], family: str) -> bool:
    return any(p["family"] == family for p in points)

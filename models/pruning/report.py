"""Reports of a prune: JSON, Markdown and the Pareto picture."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.pruning.footprint import Footprint
from models.pruning.plan import PruningPlan
from models.pruning.search import PlanLike, Pruned

_NOTHING = 0.02  # a saving below this share of bytes and of latency is called nothing


@dataclass(frozen=True)
class FrontPoint:
    """One point of the Pareto picture: a label, bytes of the file and the loss."""

    label: str
    bytes: float
    loss: float


def bought_nothing(dense: Footprint, pruned: Footprint) -> bool:
    """Tell whether a prune saved less than 2 % of bytes, of gzip bytes, of latency and of arena."""
    pairs = (
        (dense.bytes, pruned.bytes),
        (dense.gzip, pruned.gzip),
        (dense.latency_us, pruned.latency_us),
        (dense.arena, pruned.arena),
    )
    return all(math.isnan(a) or math.isnan(b) or b > (1 - _NOTHING) * a for a, b in pairs)


def write_report(found: Pruned, front: Sequence[FrontPoint], folder: Path, name: str, gate: dict[str, Any]) -> None:
    """Write ``report.json``, ``report.md`` and ``pareto.png`` into a folder."""
    entry = report_entry(found, front, name, gate)
    (folder / "report.json").write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(_markdown(found, name), encoding="utf-8")
    pareto_picture(front, folder / "pareto.png", f"{name}: loss against bytes", "loss")


def report_entry(found: Pruned, front: Sequence[FrontPoint], name: str, gate: dict[str, Any]) -> dict[str, Any]:
    """Return everything that is known of a prune, ready for JSON (NaN becomes None)."""
    entry = {
        "model": name,
        "loss": {"dense": found.loss_dense, "pruned": found.loss},
        "dense": asdict(found.dense),
        "predicted": asdict(found.predicted),
        "measured": asdict(found.measured),
        "bought_nothing": bought_nothing(found.dense, found.measured),
        "rounds": found.rounds,
        "plan": json.loads(found.plan.to_json()),
        "curves": found.curves.rows() if found.curves is not None else [],
        "front": [asdict(p) for p in front],
        "gate": gate,
    }
    clean: dict[str, Any] = without_nan(entry)
    return clean


def without_nan(value: Any) -> Any:
    """Replace NaN and infinities by None, all the way down: JSON has no word for them."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(found: Pruned, name: str) -> str:
    rows = [
        ("bytes", found.dense.bytes, found.predicted.bytes, found.measured.bytes),
        ("bytes after gzip", found.dense.gzip, found.predicted.gzip, found.measured.gzip),
        ("latency, us", found.dense.latency_us, found.predicted.latency_us, found.measured.latency_us),
        ("arena in tflite-micro, bytes", found.dense.arena, found.predicted.arena, found.measured.arena),
        ("loss on held-out rows", found.loss_dense, float("nan"), found.loss),
    ]
    lines = [f"# {name}, pruned", "", "| | dense | predicted | measured |", "|---|---:|---:|---:|"]
    lines += [f"| {what} | {number(a)} | {number(b)} | {number(c)} |" for what, a, b, c in rows]
    if bought_nothing(found.dense, found.measured):
        lines += ["", "**This prune bought nothing**: bytes, latency and arena moved by less than 2 %."]
    lines += ["", "## What went", "", *_what_went(found.plan)]
    return "\n".join([*lines, "", "![Pareto](pareto.png)", ""])


def _what_went(plan: PlanLike) -> list[str]:
    if not isinstance(plan, PruningPlan):
        return ["```json", plan.to_json(), "```"]
    lines = ["| layers | units | left | why |", "|---|---:|---:|---|"]
    return lines + [
        f"| {', '.join(c.layers)} | {c.n_units} | {c.n_units - len(c.remove)} | {c.why} |" for c in plan.cuts
    ]


def number(value: float | None) -> str:
    """Return a number for a table, four significant digits, thousands set apart; a dash for what is unknown."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def pareto_picture(front: Sequence[FrontPoint], path: Path, title: str, ylabel: str) -> None:
    """Draw loss against bytes, one marker per label, and the line of points that nothing beats in both."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for label in dict.fromkeys(p.label for p in front):
        own = [p for p in front if p.label == label]
        axes.scatter([p.bytes for p in own], [p.loss for p in own], label=label, s=28)
    best = undominated(front)
    axes.plot([p.bytes for p in best], [p.loss for p in best], color="0.6", linewidth=1, zorder=0)
    axes.set(xscale="log", xlabel="bytes of the file", ylabel=ylabel, title=title)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def undominated(front: Sequence[FrontPoint]) -> list[FrontPoint]:
    """Return the points that no other beats in bytes and loss together, by bytes."""
    ordered = sorted(front, key=lambda p: (p.bytes, p.loss))
    best: list[FrontPoint] = []
    for point in ordered:
        if not best or point.loss < best[-1].loss:
            best.append(point)
    return best

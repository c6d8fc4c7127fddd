"""What the page's *Models* view draws of the pruning benchmark: services/page/pareto.json, from benchmarks/results."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
OUT = ROOT / "services" / "page" / "pareto.json"
COMMAND = "python -m benchmarks.pareto"


def points(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one point for each way of pruning and rate: gzip bytes and error, means over the seeds."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in result["dense"]:
        found["dense", "dense"].append((row["gzip"], row["error"]))
    for row in result["rows"]:
        family = "random" if "random" in row["method"] else row["part"]
        found[family, f"{row['method']}, {100 * row['rate']:.0f} %"].append((row["gzip"], row["error"]))
    for row in result.get("chain", ()):
        if row["method"] != "dense":
            found["chain", row["method"].removeprefix("... ")].append((row["gzip"], row["error"]))
    return [
        {"family": family, "label": label, "bytes": round(fmean(b for b, _ in pairs)), "error": _short(pairs)}
        for (family, label), pairs in found.items()
    ]


def _short(pairs: list[tuple[float, float]]) -> float:
    return float(f"{fmean(e for _, e in pairs):.4g}")


def main() -> None:
    """Write what is drawn, for each task whose network the benchmark pruned."""
    drawn: dict[str, dict[str, Any]] = {}
    for path in sorted(RESULTS.glob("pruning_*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if not result.get("label"):  # other runs of the same task are told in docs/pruning.md
            drawn[result["case"]] = {
                "unit": result["unit"], "seeds": len(result["dense"]), "command": result["command"],
                "held": result["notes"].get("subjects_held"), "points": points(result),
            }  # fmt: skip
    OUT.write_text(json.dumps(drawn, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

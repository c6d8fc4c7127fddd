"""
Methods of pruning x rates x seeds on the tasks' networks; tf_keras.applications; the goals that follow from them.

    python -m benchmarks.pruning            every sweep (resumes), then the goals and docs/pruning.md
    python -m benchmarks.pruning --goals    only the goals and the page, from the result files that are there
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from models.pruning.bench_pages import write_pages
from models.pruning.bench_result import interval, verdict

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RESULT = RESULTS / "pruning.json"
# One epoch of the heart-rate recipe is 250 batches whatever the rows; six recordings a set keep a sweep within an hour.
_FEW = "units, L2, local;units, Taylor, global;from scratch;weights, threshold, global;weights, Taylor, global"
_SIX = ["--epochs", "6", "--per-set", "6"]
_MAIN = "units, L2, local;units, Taylor;knapsack;from scratch;weights, threshold, global;weights, Taylor, global"
_LONGER = "units, Taylor, iterative;from scratch"
SWEEPS: tuple[tuple[str, list[str]], ...] = (
    ("fall-detection", []),
    ("fall-detection", ["--methods", _MAIN, "--rates", "0.8", "--label", "spread"]),
    ("heart-rate", ["--methods", _FEW, "--rates", "0.5,0.8", "--recover", "1", *_SIX]),
    ("heart-rate", ["--methods", _LONGER, "--rates", "0.8", "--recover", "4", *_SIX, "--label", "longer"]),
    ("sleep-staging", ["--methods", _FEW, "--rates", "0.5,0.8", "--recover", "4"]),
)
LSTM = ("lstm", "bilstm", "sleep-staging")


def main() -> int:
    """Run what is missing and write goals and page."""
    if "--goals" not in sys.argv:
        for case, options in SWEEPS:
            _run("pruning", case, *options)
        _run("applications")
    goals = [goal for path in sorted(RESULTS.glob("pruning_*.json")) for goal in case_goals(_read(path))]
    goals += application_goals(_read(RESULTS / "applications.json"))
    RESULT.write_text(json.dumps({"goals": goals}, indent=1) + "\n", encoding="utf-8")
    write_pages(RESULTS, ROOT / "docs")
    return 0


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "wristwise.py", "bench", *arguments], cwd=ROOT, check=True)


def _read(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return entry


def case_goals(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the goals of one case from its chain: the smallest and the fastest file, and whether it did harm."""
    links = _links(entry)
    if not links:
        return []
    name = " ".join(filter(None, (entry["case"], entry.get("label"))))
    rows = (
        ("bytes after gzip", "gzip", 10),
        ("bytes in the Huffman container", "container", 20),
        ("latency in LiteRT", "latency_us", 2 if entry["case"] in LSTM else 4),
    )
    return [_goal(f"{name}: {what}", key, wanted, links, entry) for what, key, wanted in rows] + _control_goal(entry)


def _goal(title: str, key: str, wanted: float, links: list[dict[str, Any]], entry: dict[str, Any]) -> dict[str, Any]:
    """
    Return one goal: the smallest link whose interval covers zero or better, which is what the goal asks.

    Where the mean rises all the same by more than a twentieth, the line says so: three seeds do not tell much.
    """
    dense, n = links[0], len(entry["dense"])
    judged = {r["method"]: verdict(r["rise"], r["low"], dense["error"], n) for r in links[1:]}
    fine = [r for r in links[1:] if any(judged[r["method"]])]
    best = min(fine or links[1:], key=lambda r: r[key])
    ratio = dense["gzip" if key == "container" else key] / best[key]
    harmless, undecided = judged[best["method"]]
    remark = "no harm seen" if harmless else "seeds differ too much to tell" if undecided else "not without harm"
    return {
        "goal": title,
        "target": f"{wanted}x less than the dense float32 file, interval covers zero",
        "measured": f"{ratio:.1f}x, {remark} ({best['method'].removeprefix('... ')}, {best['mode']})",
        "interval": f"error {dense['error']:.3g}, rises by {best['rise']:+.3g}, {_span(best)}",
        "reached": bool(fine) and ratio >= wanted,
        "command": entry["command"],
    }


def _span(link: dict[str, Any]) -> str:
    if abs(link["low"]) == float("inf"):
        return "one seed"
    return f"95 % {link['low']:+.3g} to {link['high']:+.3g}"


def _links(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the chain's links as means over seeds, with the paired rise of the error over the dense file's."""
    rows = entry.get("chain") or []
    if not rows:
        return []
    first = {r["seed"]: r["error"] for r in rows if r["method"] == rows[0]["method"]}
    links = []
    for name in dict.fromkeys(r["method"] for r in rows):
        own = [r for r in rows if r["method"] == name]
        rise, low, high = interval([r["error"] - first[r["seed"]] for r in own])
        means = {k: sum(r[k] for r in own) / len(own) for k in ("gzip", "container", "latency_us", "error")}
        links.append({"method": name, "mode": own[0]["mode"], "rise": rise, "low": low, "high": high, **means})
    return links


def _control_goal(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return whether the best pruned network beats one trained from scratch at that size."""
    control = {(r["rate"], r["seed"]): r["error"] for r in entry["rows"] if r["method"].startswith("from scratch")}
    if not control:
        return []
    rate = 0.8 if any(k[0] == 0.8 for k in control) else max(k[0] for k in control)
    pruned: dict[str, list[float]] = {}
    for r in entry["rows"]:
        if r["part"] == "units" and r["rate"] == rate and "random" not in r["method"] and (rate, r["seed"]) in control:
            pruned.setdefault(r["method"], []).append(r["error"] - control[rate, r["seed"]])
    best = min(pruned, key=lambda m: sum(pruned[m]) / len(pruned[m]))
    mean, low, high = interval(pruned[best])
    return [
        {
            "goal": f"{entry['case']}: pruned beats from scratch at that size ({rate:.0%} of the parameters out)",
            "target": "error lower",
            "measured": f"{mean:+.3g} {entry['unit']} ({best})",
            "interval": f"95 % {low:+.3g} to {high:+.3g}",
            "reached": mean < 0,
            "command": entry["command"],
        }
    ]


def application_goals(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how many families work."""
    works = sum(r["works"] for r in entry["rows"])
    worst = max(r["error"] for r in entry["rows"] if r["works"])
    return [
        {
            "goal": "families of tf_keras.applications cut in half, equal to the masked network",
            "target": "each works, or the reason; 1e-4",
            "measured": f"{works} of {len(entry['rows'])}, largest difference {worst:.0e}",
            "reached": works == len(entry["rows"]),
            "command": entry["command"],
        }
    ]


if __name__ == "__main__":
    sys.exit(main())

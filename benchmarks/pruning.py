"""
Methods of pruning x rates x seeds on the tasks' networks; tf_keras.applications; the goals that follow from them.

    python -m benchmarks.pruning            every sweep (resumes), then the goals and docs/pruning.md
    python -m benchmarks.pruning --goals    only the goals and the page, from the result files that are there
    python -m benchmarks.pruning --asked    only what one call asks for: a target met, a bundle a set of sensors
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.pruning.bench_pages import write_pages
from models.pruning.bench_result import interval, verdict
from models.pruning.representatives import REPRESENTATIVES

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RESULT = RESULTS / "pruning.json"
TOYS = RESULTS / "representatives.json"  # goals of the representative networks: in docs/pruning.md, not in README
TASKS = ("fall-detection", "heart-rate", "sleep-staging")
RECURRENT = ("lstm", "bilstm", "sleep-staging")


# One heart-rate bin is 1.5 BPM, so that 0.067 bins are 0.1 BPM.
TARGET = (
    "heart-rate", "--max-bytes", "20000", "--max-latency-us", "20", "--max-loss", "0.067", "--epochs", "6",
    "--per-set", "6",
)  # fmt: skip
SENSORS = ("sleep-staging", "--method", "sensors", "--epochs", "4")
WORK = ROOT / "runs" / "bench" / "asked"


def main() -> int:
    """Run what is missing and write goals and page."""
    if "--goals" not in sys.argv and "--asked" not in sys.argv:
        for case in (*TASKS, *REPRESENTATIVES):
            _run("bench", "pruning", case)
        _run("bench", "applications")
    if "--goals" not in sys.argv:
        asked()
    goals = _goals_of(TASKS) + sleep_goals() + asked_goals() + application_goals(_read(RESULTS / "applications.json"))
    RESULT.write_text(json.dumps({"goals": goals}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    toys = {"goals": _goals_of(REPRESENTATIVES)}
    TOYS.write_text(json.dumps(toys, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_pages(RESULTS, ROOT / "docs")
    return 0


def _goals_of(cases: Sequence[str]) -> list[dict[str, Any]]:
    paths = [RESULTS / f"pruning_{case.replace('-', '_')}.json" for case in cases]
    return [goal for path in paths if path.is_file() for goal in case_goals(_read(path))]


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "wristwise.py", *arguments], cwd=ROOT, check=True)


def asked() -> None:
    """Run the two calls of `wristwise prune` whose answers stand in the tables, and keep their reports."""
    for arguments, report, kept in ((TARGET, "report.json", "target"), (SENSORS, "sensors.json", "sensors")):
        folder = WORK / arguments[0]
        if not (folder / report).is_file():
            _run("prune", *arguments, "--out", str(folder))
        entry = {"command": _line(arguments)} | _read(folder / report)
        for long in ("curves", "front", "plan", "gate"):
            entry.pop(long, None)
        (RESULTS / f"{kept}_{arguments[0].replace('-', '_')}.json").write_text(json.dumps(entry, indent=1) + "\n")


def sleep_goals() -> list[dict[str, Any]]:
    """
    Return what the shipped sleep network saves against its dense parent, step by step as both are shipped.

    The parent's weights here are fresh ones: bytes and time are those of trained ones, and they compress alike. What it
    does to kappa over seeds is in the table of `benchmarks.sleep`, which trains both on every fold.
    """
    from models.bundle import shipped
    from models.compress.pack import pack
    from models.export.convert import to_tflite
    from models.networks.sleep_staging import RECIPE
    from models.pruning.footprint import footprint
    from models.training.sequences import stepwise

    dense = footprint(to_tflite(stepwise(RECIPE.build(seed=0))))
    model = shipped(RECIPE.task).model
    small = footprint(model)
    rows = (
        ("gzip", dense.gzip / small.gzip, 10),
        ("Huffman container", dense.gzip / len(pack(model, smallest=True).data), 20),
        ("latency of a step, LiteRT here", dense.latency_us / small.latency_us, 2),
    )
    return [
        {
            "goal": f"sleep-staging, shipped LSTMs in float: {what}",
            "target": f"≥ {wanted}×",
            "measured": f"{ratio:.1f}×",
            "reached": ratio >= wanted,
            "command": "python -m benchmarks.pruning --goals",
        }
        for what, ratio, wanted in rows
    ]


def _line(arguments: Sequence[str]) -> str:
    return "wristwise prune " + " ".join(arguments)


def asked_goals() -> list[dict[str, Any]]:
    """Return whether one call met bytes, latency and loss together."""
    path = RESULTS / "target_heart_rate.json"
    if not path.is_file():
        return []
    entry = _read(path)
    size, rise = entry["measured"], entry["loss"]["pruned"] - entry["loss"]["dense"]
    return [
        {
            "goal": "heart-rate: one call, prune to a size, a latency and a loss",
            "target": "≤ 20 KB, ≤ 20 us, ≤ 0.1 BPM worse",
            "measured": f"{size['bytes']:.0f} B, {size['latency_us']:.1f} us, {1.5 * rise:+.2f} BPM",
            "reached": size["bytes"] <= 20_000 and size["latency_us"] <= 20 and rise <= 0.067,
            "command": entry["command"],
        }
    ]


def _read(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return entry


def case_goals(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the goals of one case from its chain: the smallest and the fastest file, and whether it did harm."""
    links = _links(entry)
    if not links:
        return []
    rows = (
        ("gzip", "gzip", 10),
        ("Huffman container", "container", 20),
        ("latency, LiteRT here", "latency_us", 2 if entry["case"] in RECURRENT else 4),
        ("latency, Cortex-M4F predicted", "m4f_us", None),
    )
    found = [_goal(f"{entry['case']}: {what}", key, wanted, links, entry) for what, key, wanted in rows]
    return found + _control_goals(entry)


def _goal(
    title: str, key: str, wanted: int | None, links: list[dict[str, Any]], entry: dict[str, Any]
) -> dict[str, Any]:
    """
    Return one goal: the smallest link that did no harm if small enough, else the smallest whose interval covers zero.

    An interval that covers zero only because the seeds disagree, while the mean rises by more than a twentieth, decides
    nothing: such a goal is neither reached nor missed.
    """
    dense, n = links[0], len(entry["dense"])
    whole = dense["gzip" if key == "container" else key]
    judged = {r["method"]: verdict(r["rise"], r["low"], dense["error"], n) for r in links[1:]}
    fine = [r for r in links[1:] if any(judged[r["method"]])]
    sure = [r for r in fine if judged[r["method"]][0] and whole / r[key] >= (wanted or 1)]
    best = min(sure or fine or links[1:], key=lambda r: r[key])
    ratio = whole / best[key]
    harmless, undecided = judged[best["method"]]
    met = bool(fine) and wanted is not None and ratio >= wanted
    floor = entry.get("floor_us") if key == "latency_us" and wanted else None
    told = "" if floor is None else f" (LiteRT's floor {floor:.1f} of {dense[key]:.1f} us)"
    remark = "" if harmless else ", seeds disagree" if undecided else ", worse"
    return {
        "goal": title,
        "target": "–" if wanted is None else f"≥ {wanted}×",
        "measured": f"{ratio:.1f}×{told}, {best['mode']}; error {dense['error']:.3g} {best['rise']:+.2g}{remark}",
        "interval": _span(best),
        "reached": None if wanted is None else "undecided" if met and not harmless else met,
        "command": entry["command"],
    }


def _span(link: dict[str, Any]) -> str:
    return "one seed" if abs(link["low"]) == float("inf") else f"{link['low']:+.2g} to {link['high']:+.2g}"


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
        means = {k: sum(r[k] for r in own) / len(own) for k in ("gzip", "container", "latency_us", "m4f_us", "error")}
        links.append({"method": name, "mode": own[0]["mode"], "rise": rise, "low": low, "high": high, **means})
    return links


def _control_goals(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return whether the best pruned network beats one trained from scratch at that size: alone, and taught."""
    goals = []
    for control, named in (("from scratch", "alone"), ("from scratch, taught by the dense", "taught by the dense")):
        known = {(r["rate"], r["seed"]): r["error"] for r in entry["rows"] if r["method"] == control}
        pruned: dict[str, list[float]] = {}
        rate = max((k[0] for k in known), default=0.0)
        units = [r for r in entry["rows"] if r["part"] == "units" and "random" not in r["method"]]
        for r in units:
            if r["rate"] == rate and (rate, r["seed"]) in known:
                pruned.setdefault(r["method"], []).append(r["error"] - known[rate, r["seed"]])
        if not pruned:
            continue
        best = min(pruned, key=lambda m: sum(pruned[m]) / len(pruned[m]))
        mean, low, high = interval(pruned[best])
        goals.append({
            "goal": f"{entry['case']}: pruned against from scratch at that size, {named} ({rate:.0%} out)",
            "target": "error lower",
            "measured": f"{mean:+.2g} {entry['unit']}, {best.removeprefix('units, ')}",
            "interval": f"{low:+.2g} to {high:+.2g}",
            "reached": high < 0,
            "command": entry["command"],
        })  # fmt: skip
    return goals


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

"""Falls: folds by subject; events, each set on its own; old people only ever as activities."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.folds import Folds, goal, write
from models.bundle import shipped
from models.export.measure import arena_bytes

RESULT = Path(__file__).parent / "results" / "falls.json"
COMMAND = "python -m benchmarks.falls"
N_FOLDS = 5
Rows = list[dict[str, Any]]


def share(rows: Rows, good: Callable[[dict[str, Any]], bool]) -> float:
    """Return the share of rows for which `good` holds; NaN for none."""
    return float(np.mean([good(r) for r in rows])) if rows else float("nan")


def per_hour(rows: Rows) -> float:
    """Return false alarms an hour."""
    hours = sum(r["hours"] for r in rows)
    return float(sum(r["false_alarms"] for r in rows) / hours) if hours else float("nan")


def operating(rows: Rows, sensitivity: float) -> dict[str, float]:
    """Return specificity by age where the falls of WEDA reach `sensitivity`: a point of the curve, to compare by."""
    falls = np.array([r["probability"] for r in rows if r["label"] == "fall"])
    threshold = float(np.quantile(falls, 1 - sensitivity))
    quiet = {
        group: share(
            [r for r in rows if r["label"] == "adl" and r["age_group"] == group], lambda r: r["probability"] < threshold
        )
        for group in ("young", "old")
    }
    return {"threshold": threshold, **quiet}


def goals(weda: Rows, sets: dict[str, Rows], at_97: dict[str, float], card: Any, arena: int) -> list[dict[str, Any]]:
    """Return the figures beside what was wanted."""
    falls = [r for r in weda if r["label"] == "fall"]
    latency = float(np.median([s for r in falls for s in r["latency_s"]]))
    sens = share(falls, _found)
    young = [r for r in weda if r["label"] == "adl" and r["age_group"] == "young"]
    old = [r for r in weda if r["label"] == "adl" and r["age_group"] == "old"]
    size, parent = card["sizes"]["tflite_bytes"], card["parent"]["tflite_bytes"]
    wisdm, stress = per_hour(sets["wisdm"]), per_hour(sets["stress-predict"])
    smart = [r for r in sets["smartfallmm"] if r["label"] == "fall"]
    return [
        goal("WEDA at sensitivity 0.97: specificity young / elders", "≥ 0.97 / ≥ 0.995",
             f"{at_97['young']:.3f} / {at_97['old']:.3f}", at_97["young"] >= 0.97 and at_97["old"] >= 0.995, COMMAND),
        goal("WEDA at the shipped threshold: sensitivity, specificity young / elders", "≥ 0.97",
             f"{sens:.3f}, {share(young, _quiet):.3f} / {share(old, _quiet):.3f}", sens >= 0.97, COMMAND),
        goal("false alarms in scripted activity, young / elders", "≤ 2 /h / ≤ 0.2 /h",
             f"{per_hour(young):.1f} / {per_hour(old):.1f} /h",
             per_hour(young) <= 2 and per_hour(old) <= 0.2, COMMAND),
        goal("latency from impact to detection, median", "≤ 2.5 s", f"{latency:.2f} s", latency <= 2.5, COMMAND),
        goal("WISDM / stress-predict, false alarms", "≤ 0.5 /h / ≤ 0.05 /h", f"{wisdm:.2f} / {stress:.2f} /h",
             wisdm <= 0.5 and stress <= 0.05, COMMAND),
        goal("SmartFallMM (weak labels), sensitivity", "–", f"{share(smart, _found):.3f}", None, COMMAND),
        goal("shipped fall file, arena", "≤ 12 KB, ≤ 16 KB", f"{size} B, {arena} B",
             size <= 12_000 and arena <= 16_000, COMMAND),
        goal("pruning: size against dense", "-80 %", f"{100 * size / parent - 100:.0f} %",
             size <= 0.2 * parent, COMMAND),
    ]  # fmt: skip


def _activities(rows: Rows) -> list[str]:
    return sorted({r["activity"] for r in rows if r["activity"]})


def _found(row: dict[str, Any]) -> bool:
    return bool(row["found"] > 0)


def _quiet(row: dict[str, Any]) -> bool:
    return bool(row["false_alarms"] == 0)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/falls"), help="folder of the run, resumed")
    folds = Folds("fall-detection", N_FOLDS, parser.parse_args().out)
    subjects = {r.subject: r.dataset for r in folds.recordings}
    sets: dict[str, Rows] = {name: [] for name in set(subjects.values())}
    for row in folds.rows():
        sets[subjects[row["subject"]]].append(row)
    bundle = shipped(folds.recipe.task)
    at_97 = operating(sets["weda-fall"], 0.97)
    by_activity = {
        name: {a: per_hour([r for r in rows if r["activity"] == a]) for a in _activities(rows)}
        for name, rows in sets.items() if name in ("wisdm", "stress-predict")
    }  # fmt: skip
    write(
        RESULT,
        {
            "how": f"{N_FOLDS} folds by subject, one seed; staged falls only",
            "at_sensitivity_0.97": at_97, "false_alarms_per_hour_by_activity": by_activity,
            "goals": goals(sets["weda-fall"], sets, at_97, bundle.card, arena_bytes(bundle.model)),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()

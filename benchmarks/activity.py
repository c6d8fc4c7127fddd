"""Activity: folds by subject over WISDM, WEDA-FALL and SmartFallMM, each set on its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.folds import Folds, goal, write
from models.bundle import shipped
from models.motion_pictures import draw_activity

RESULT = Path(__file__).parent / "results" / "activity.json"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
COMMAND = "python -m benchmarks.activity"
OTHERS = ("smartfallmm", "weda-fall")  # short staged trials
N_FOLDS = 4


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/activity"), help="folder of the run, resumed")
    folds = Folds("activity", N_FOLDS, parser.parse_args().out)
    task, rows = folds.recipe.task, folds.rows()
    subjects = {r.subject: r.dataset for r in folds.recordings}
    by_set = {
        name: dict(task.summarise([r for r in rows if subjects[r["subject"]] == name]))
        for name in sorted(set(subjects.values()))
    }
    wisdm, card = by_set["wisdm"]["f1_macro"] or 0.0, shipped(task).card
    sizes, dense = card["sizes"], card["parent"]["tflite_bytes"]
    draw_activity([r for r in rows if subjects[r["subject"]] == "wisdm"], PICTURES)
    others = ", ".join(f"{by_set[name]['f1_macro'] or 0.0:.2f}" for name in OTHERS)
    write(
        RESULT,
        {
            "how": f"{N_FOLDS} folds by subject, one seed",
            "by_set": by_set,
            "goals": [
                goal("WISDM, leave-subjects-out: macro-F1", "≥ 0.90", f"{wisdm:.3f}", wisdm >= 0.9, COMMAND),
                goal("SmartFallMM, WEDA-FALL: macro-F1", "–", others, None, COMMAND),
                goal("shipped activity file, dense", "–", f"{sizes['tflite_bytes']} B, {dense} B", None, COMMAND),
            ],
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""Write the figures of the shipped folds, and the data trained on, onto the heart-rate bundle's card."""

from __future__ import annotations

import json
from pathlib import Path

from data.location import data_root
from models.bundle import CARD_FILE, ZOO, Bundle
from models.networks.heart_rate import RECIPE
from models.run.loading import licences, load
from models.run.report import card_text

FOLDER = ZOO / "heart_rate"
RESULTS = Path(__file__).parent / "results" / "heart_rate.json"
HOW = (
    "benchmarks/results/heart_rate.json, job shipped-fold*: 3 folds by subject, no scored subject was trained on; "
    "the shipped file is trained on all treadmill recordings"
)
SCORED = ("spc2015", "bami-1", "spc-arm")  # the headline's mean over recordings; `wrist` stands beside it


def main() -> None:
    """Renew card.json and card.md."""
    recordings = load(RECIPE, data_root())
    sets = json.loads(RESULTS.read_text(encoding="utf-8"))["as shipped"]["pruned"]
    n = sum(sets[name]["n_recordings"] for name in SCORED)
    mean = sum(sets[name]["mae_bpm"] * sets[name]["n_recordings"] for name in SCORED) / n
    metrics: dict[str, object] = {"how": HOW, "mae_bpm": round(mean, 3)}
    for name, row in sets.items():
        key = name.replace("-", "_")
        metrics |= {f"mae_bpm_{key}": row["mae_bpm"], f"mae_bpm_at_80_{key}": row["mae_bpm_at_80"]}
    path = FOLDER / CARD_FILE
    card = json.loads(path.read_text(encoding="utf-8"))
    card["training"]["data_sets"] = licences(recordings)
    card["training"]["subjects"] = sorted({f"{r.dataset}/{r.subject}" for r in recordings})
    card["metrics"] = metrics
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (FOLDER / "card.md").write_text(card_text(Bundle.open(FOLDER)), encoding="utf-8")


if __name__ == "__main__":
    main()

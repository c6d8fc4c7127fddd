"""Write the figures of the shipped folds, and the data trained on, onto the heart-rate bundle's card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.location import data_root
from data.recording import Recording
from models.bundle import CARD_FILE, ZOO, Bundle
from models.networks.heart_rate import RECIPE
from models.run.loading import licences, load
from models.run.report import card_text

RESULTS = Path(__file__).parent / "results" / "heart_rate.json"
HOW = (
    "benchmarks/results/{}: 3 folds by subject, no scored subject was trained on; the shipped file is "
    "trained on all; 'answered' is what the gate let pass"
)
HEADLINE = ("spc2015", "bami-1", "spc-arm")  # `mae_bpm` is the mean over these recordings; `wrist` stands beside it


def main() -> None:
    """Renew the shipped bundle's card."""
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    renew(ZOO / "heart_rate", result, RESULTS, load(RECIPE, data_root()))


def renew(folder: Path, result: Mapping[str, Any], source: Path, recordings: Sequence[Recording]) -> None:
    """Write a result's figures and calibration, and the data trained on, into card.json and card.md of `folder`."""
    path = folder / CARD_FILE
    card = json.loads(path.read_text(encoding="utf-8"))
    card["training"]["data_sets"] = licences(recordings)
    card["training"]["subjects"] = sorted({f"{r.dataset}/{r.subject}" for r in recordings})
    card["config"] = dict(result["calibration"])
    card["metrics"] = {"how": HOW.format(source.name), **figures(result)}
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card_text(Bundle.open(folder)), encoding="utf-8")


def figures(result: Mapping[str, Any], kind: str = "pruned") -> dict[str, float]:
    """Return the card's figures: of each set, and of each activity and band of heart rate."""
    sets = result[kind]
    n = sum(sets[name]["n_recordings"] for name in HEADLINE)
    mean = sum(sets[name]["mae_bpm"] * sets[name]["n_recordings"] for name in HEADLINE) / n
    out: dict[str, float] = {"mae_bpm": round(mean, 3)}
    for name, row in sets.items():
        key = name.replace("-", "_")
        keep = ("mae_bpm", "mae_bpm_at_80", "coverage", "mae_bpm_answered", "interval_covers")
        out |= {f"{k}_{key}": row[k] for k in keep}
    for groups in result["subgroups"].values():
        for name, row in groups.items():
            out[f"{name}: MAE of {row['n_windows']:.0f} windows"] = row["mae_bpm_windows"]
            out[f"{name}: share answered"] = row["coverage"]
            out[f"{name}: MAE of those"] = row["mae_bpm_answered"]
    return out


if __name__ == "__main__":
    main()

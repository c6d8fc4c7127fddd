"""Write the figures of the folds onto the sleep bundle's card: finished nights, as it goes, one sensor, subgroups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.bundle import CARD_FILE, ZOO, Bundle
from models.run.report import card_text

FOLDER = ZOO / "sleep_staging"
RESULTS = Path(__file__).parent / "results" / "sleep.json"
_KAPPAS = ("kappa_2", "kappa_3", "kappa_4")


def main() -> None:
    """Renew card.json and card.md."""
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    metrics: dict[str, Any] = {
        "how": f"benchmarks/results/sleep.json: {result['how']}; no scored subject was trained on, the shipped file is "
        "trained on all",
        "n_recordings": len(result["per_night"]),
        **{k: v for k, v in result["whole_night"].items() if v is not None},
    }
    metrics |= {f"{k} as it goes": result["causal"][k] for k in _KAPPAS}
    for name in result["sensors"].keys() - {"both"}:
        metrics |= {f"{k}, {name}": result["sensors"][name][k] for k in _KAPPAS}
    for name, row in result["subgroups"].items():
        metrics |= {f"{k}, {name} ({row['nights']} nights)": row[k] for k in ("kappa_2", "kappa_4", "tst_bias_min")}
    path = FOLDER / CARD_FILE
    card = json.loads(path.read_text(encoding="utf-8"))
    card["metrics"] = metrics
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (FOLDER / "card.md").write_text(card_text(Bundle.open(FOLDER)), encoding="utf-8")


if __name__ == "__main__":
    main()

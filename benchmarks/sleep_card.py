"""Write the figures of the folds onto the sleep bundle's card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.sleep import RESULT
from models.bundle import CARD_FILE, ZOO, Bundle
from models.run.report import card_text

_KAPPAS = ("kappa_2", "kappa_3", "kappa_4")


def main() -> None:
    """Renew the shipped bundle's card."""
    path = ZOO / "sleep_staging" / CARD_FILE
    card = json.loads(path.read_text(encoding="utf-8"))
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    how = f"benchmarks/results/{RESULT.name}: {result['how']}; the shipped file is trained on all"
    card["metrics"] = {"how": how, **figures(result)}
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(card_text(Bundle.open(path.parent)), encoding="utf-8")


def figures(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the card's figures: finished nights, nights as they go, one sensor, and kinds of nights."""
    found: dict[str, float] = {"n_recordings": len(result["per_night"])}
    found |= {name: round(value, 4) for name, value in result["whole_night"].items() if value is not None}
    found |= {f"{name}_causal": round(result["causal"][name], 4) for name in _KAPPAS}
    for sensors in ("motion only", "heart rate only"):
        found |= {f"{sensors}: {name}": round(result["sensors"][sensors][name], 4) for name in _KAPPAS}
    for kind, row in result["subgroups"].items():
        found |= {f"{kind}: {name}": round(row[name], 4) for name in (*_KAPPAS, "tst_bias_min")}
    return found


if __name__ == "__main__":
    main()

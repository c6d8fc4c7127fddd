"""The report of a run: the card in words, and pictures that the task draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.bundle import Bundle


def card_text(bundle: Bundle) -> str:
    """Return the card in words, as Markdown."""
    return "\n".join([f"# {bundle.task} {bundle.version}", "", *_card_lines(bundle.card)]) + "\n"


def write_report(bundle: Bundle, folder: Path) -> Path:
    """Write `report.md` beside the bundle and `card.md` in it; return the report's path."""
    text = card_text(bundle)
    (bundle.folder / "card.md").write_text(text, encoding="utf-8")
    path = folder / "report.md"
    path.write_text(text, encoding="utf-8")
    return path


def _card_lines(card: Any) -> list[str]:
    sizes, training, parameters = card["sizes"], card["training"], card["method"]["parameters"]
    lines = [
        "| | |", "|---|---|",
        f"| file | {sizes['tflite_bytes']} bytes, {sizes['gzip_bytes']} gzip |",
        f"| dense float32 parent | {card['parent']['tflite_bytes']} bytes |",
        f"| parameters | {parameters['dense']} dense, {parameters['pruned']} pruned |",
        f"| made by | `{training['command']}` |",
    ]  # fmt: skip
    for name, value in card.get("metrics", {}).items():
        lines.append(f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |")
    lines += ["", "Trained on:", ""]
    for data_set in training["data_sets"]:
        mark = "" if data_set["open_licence"] else " **(not an open licence)**"
        lines.append(
            f"- {data_set['name']}: {data_set['n_recordings']} recordings, {data_set['n_subjects']} subjects, "
            f"{data_set['licence']}{mark}"
        )
    return lines

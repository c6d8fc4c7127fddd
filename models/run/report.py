"""The report of a run: the card in words, and pictures that the task draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.bundle import Bundle

Paint = Callable[[list[Any], Path], list[Path]]


def card_text(bundle: Bundle) -> str:
    """Return the card in words, as Markdown."""
    return "\n".join([f"# {bundle.task} {bundle.version}", "", *_card_lines(bundle.card)]) + "\n"


def write_report(bundle: Bundle, folder: Path, paint: Paint | None = None) -> Path:
    """
    Write `report.md` beside the bundle and `card.md` in it; return the report's path.

    Parameters
    ----------
    bundle : Bundle
    folder : Path
        Of the run, with its ``fold_*.json``.
    paint : callable, optional
        A recipe's ``pictures(per_recording, folder)``: draws what the folds said and returns the files.
    """
    text = card_text(bundle)
    (bundle.folder / "card.md").write_text(text, encoding="utf-8")
    folds = sorted(folder.glob("fold_*.json"))
    rows = [row for fold in folds for row in json.loads(fold.read_text(encoding="utf-8"))["per_recording"]]
    pictures = paint(rows, folder) if paint and rows else []
    text += "".join(f"\n![{path.stem.replace('_', ' ')}]({path.name})\n" for path in pictures)
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

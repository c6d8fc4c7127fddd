"""
The rhythm network on five folds of CinC 2017: confusion, interval of the mean F1, errors by group; and its card.

    WRISTWISE_DATA=... python -m benchmarks.ecg_rhythm           # trains what `wristwise run ecg-rhythm` has not yet
    WRISTWISE_DATA=... python -m benchmarks.ecg_rhythm --ship    # and puts the run's bundle into models/zoo

Folds are those of `wristwise run ecg-rhythm --folds 5`, stratified by rhythm; the run is resumed where it stands.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.folds import Folds, write
from data.recording import Recording
from models.bundle import CARD_FILE, ZOO, Bundle
from models.ecg_rhythm_pictures import confusion_table, draw_confusion
from models.run.report import card_text
from pipelines.beat_detection import detect_beats
from pipelines.ecg_rhythm import CLASSES, TASK

RESULT = Path(__file__).parent / "results" / "ecg_rhythm.json"
PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
COMMAND = "wristwise run ecg-rhythm --folds 5"
N_FOLDS = 5
N_DRAWS = 1000
_SURE = 0.7  # strips shown are those that the network was sure of
Row = Mapping[str, Any]


def groups(recording: Recording) -> list[str]:
    """Return the groups that a strip belongs to: by heart rate, and by length."""
    ecg = recording.require("ecg")
    beats = detect_beats(ecg.samples, ecg.fs_hz).time_s
    length = "under 20 s" if ecg.end_s < 20 else "20 to 31 s" if ecg.end_s <= 31 else "over 31 s"
    if beats.size < 4:
        return [length, "hardly a beat"]
    bpm = 60.0 / float(np.median(np.diff(beats)))
    return [length, "under 60 BPM" if bpm < 60 else "60 to 100 BPM" if bpm <= 100 else "over 100 BPM"]


def interval(rows: Sequence[Row]) -> list[float]:
    """Return the 95 % interval of the mean F1 over strips drawn anew."""
    rng = np.random.default_rng(0)
    draws = [
        TASK.summarise([rows[k] for k in rng.integers(0, len(rows), len(rows))])["f1_mean"] for _ in range(N_DRAWS)
    ]
    return [round(float(np.percentile([d for d in draws if d is not None], q)), 4) for q in (2.5, 97.5)]


def by_group(rows: Sequence[Row], recordings: Sequence[Recording]) -> dict[str, dict[str, Any]]:
    """Return strips, share named wrongly and mean F1 of each group of heart rate, length and rhythm."""
    members: dict[str, list[Row]] = {}
    of = {r.id: r for r in recordings}
    for row in rows:
        for name in [*groups(of[row["id"]]), f"labelled {row['wanted']}"]:
            members.setdefault(name, []).append(row)
    return {
        name: {"n": len(own), "wrong": round(float(np.mean([r["wanted"] != r["found"] for r in own])), 4)}
        | ({} if name.startswith("labelled") else {"f1_mean": TASK.summarise(own)["f1_mean"]})
        for name, own in sorted(members.items())
    }


def examples(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return the first right and the first wrong strip of each rhythm of which the network was sure."""
    shown = []
    for wanted in CLASSES:
        for right in (True, False):
            sure = [
                r for r in rows
                if r["wanted"] == wanted and (r["found"] == wanted) == right and max(r["probability"]) > _SURE
            ]  # fmt: skip
            shown += [{k: r[k] for k in ("id", "wanted", "found")} for r in sure[:1]]
    return shown


def result(folds: Folds) -> dict[str, Any]:
    """Return everything that the page and the card say."""
    rows = sorted(folds.rows(), key=lambda r: str(r["id"]))
    return {
        "command": COMMAND, "split": f"{N_FOLDS} folds of strips, stratified by rhythm (there are no patient ids)",
        "n": len(rows), **TASK.summarise(rows), "f1_mean_interval": interval(rows), "classes": list(CLASSES),
        "confusion": confusion_table(rows), "groups": by_group(rows, folds.recordings), "examples": examples(rows),
    }  # fmt: skip


def ship(bundle: Path, figures: Mapping[str, Any]) -> None:
    """Put the run's bundle into the zoo, its card with the groups' errors."""
    folder = ZOO / "ecg_rhythm"
    for file in bundle.iterdir():
        if file.name in {"model.tflite", "check.npz", CARD_FILE}:
            shutil.copyfile(file, folder / file.name)
    path = folder / CARD_FILE
    card = json.loads(path.read_text(encoding="utf-8"))
    how = "; strips carry no patient ids, so one person may be on both sides"
    card["metrics"] = {**card["metrics"], "how": card["metrics"]["how"].removesuffix(how) + how}
    card["metrics"]["f1_mean_interval_95"] = " to ".join(f"{v:.3f}" for v in figures["f1_mean_interval"])
    for name, row in figures["groups"].items():
        card["metrics"][f"wrong_{name.replace(' ', '_')}"] = f"{100 * row['wrong']:.1f} % of {row['n']}"
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card_text(Bundle.open(folder)), encoding="utf-8")


def main() -> None:
    """Measure, write, and ship where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs") / "ecg-rhythm")
    parser.add_argument("--ship", action="store_true", help="put the bundle into models/zoo")
    asked = parser.parse_args()
    folds = Folds(TASK.name, N_FOLDS, asked.out)
    figures = result(folds)
    write(RESULT, figures)
    draw_confusion(folds.rows(), PICTURES)
    if asked.ship:
        ship(asked.out / "bundle", figures)
    print(json.dumps({k: figures[k] for k in ("f1_mean", "f1_mean_interval", "confusion")}))


if __name__ == "__main__":
    main()

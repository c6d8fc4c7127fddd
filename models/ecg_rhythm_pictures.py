"""The picture of a rhythm run's report: what strips were labelled against what they were found to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.ecg_rhythm import CLASSES, TASK

NAMES = ("normal", "fibrillation", "other", "noisy")


def confusion_table(per_recording: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return strips by label (rows) and answer (columns), in the order of `CLASSES`."""
    return [[sum((r["wanted"], r["found"]) == (a, b) for r in per_recording) for b in CLASSES] for a in CLASSES]


def draw_confusion(per_recording: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write `ecg_rhythm_confusion.png` into `folder`; return its path."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    table = np.array(confusion_table(per_recording))
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), n in np.ndenumerate(table):
        axis.text(j, i, str(n), ha="center", va="center", color="white" if share[i, j] > 0.6 else "black")
    axis.set_xticks(range(len(NAMES)), NAMES, fontsize=8)
    axis.set_yticks(range(len(NAMES)), NAMES, fontsize=8)
    mean = TASK.summarise(per_recording)["f1_mean"]
    axis.set(xlabel="found", ylabel="labelled")
    axis.set_title(f"{table.sum()} strips, mean F1 of normal, fibrillation, other: {mean or 0:.3f}", fontsize=8)
    path = folder / "ecg_rhythm_confusion.png"
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return [path]

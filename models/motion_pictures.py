"""Pictures of falls and activity, drawn from scored rows: timeline, ROC, false alarms by activity, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.activities import CLASSES
from pipelines.activity import confusion_matrix
from pipelines.falls.scoring import fall_spans
from pipelines.falls.trigger import AFTER, BEFORE
from pipelines.motion_grid import AXES, GRID_HZ

Rows = Sequence[Mapping[str, Any]]
_AROUND_S = 6.0
_FALL, _CALM = "#b3261e", "#3f83c4"


def draw_falls(rows: Rows, recordings: Sequence[Recording], threshold: float, folder: Path) -> list[Path]:
    """
    Draw what `scoring.score` said of recordings; nothing of what there are no rows for.

    Parameters
    ----------
    rows : sequence of mapping
        With ``id``.
    recordings : sequence of Recording
        Those of the rows: traces of the timeline, and which falls have a known moment (the ROC is of those).
    threshold : float
        The working point.
    """
    timed = {r.id for r in recordings if fall_spans(r)}
    pictures = [_roc(rows, timed, threshold, folder), _timeline(rows, recordings, threshold, folder)]
    return [p for p in [*pictures, _alarms(rows, folder)] if p]


def shown_in_timeline(rows: Rows) -> list[Mapping[str, Any]]:
    """Return the middle one of the falls found, the hardest activity that was let pass, and the worst false alarm."""
    by_probability = sorted(rows, key=lambda r: float(r["probability"]))
    found = [r for r in by_probability if r["label"] == "fall" and r.get("latency_s")]
    calm = [r for r in by_probability if r["label"] == "adl" and r["impacts"] and not r["false_alarms"]]
    wrong = [r for r in by_probability if r["label"] == "adl" and r["false_alarms"]]
    return [group[at] for group, at in ((found, len(found) // 2), (calm, -1), (wrong, -1)) if group]


def draw_activity(rows: Rows, folder: Path) -> list[Path]:
    """Draw the confusion of `Activity.score` over recordings; nothing where no class is known."""
    matrix = confusion_matrix(rows)
    if not matrix.sum():
        return []
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure, (axis,) = _figure(1, (4.6, 4.0))
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(share):
        if value >= 0.005:
            colour = "white" if value > 0.5 else "black"
            axis.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=8)
    axis.set_xticks(range(len(CLASSES)), CLASSES, rotation=45, ha="right")
    axis.set_yticks(range(len(CLASSES)), CLASSES)
    axis.set(xlabel="said", ylabel="was, % of each")
    return [_save(figure, folder, "activity_confusion.png")]


def roc(positive: Sequence[float], negative: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of negatives and of positives at or above each threshold, from the highest down."""
    high, low = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    cuts = np.unique(np.concatenate([high, low, [np.inf]]))[::-1]
    return (low[None] >= cuts[:, None]).mean(axis=1), (high[None] >= cuts[:, None]).mean(axis=1)


def _roc(rows: Rows, timed: set[str], threshold: float, folder: Path) -> Path | None:
    falls = [r["probability"] for r in rows if r["label"] == "fall" and r["id"] in timed]
    sets = {
        "young": [r["probability"] for r in rows if r["label"] == "adl" and r["age_group"] == "young"],
        "old": [r["probability"] for r in rows if r["label"] == "adl" and r["age_group"] == "old"],
    }
    if not falls or not any(sets.values()):
        return None
    figure, (axis,) = _figure(1, (4.2, 3.4))
    for (name, quiet), colour in zip(sets.items(), (_CALM, "#7a52b3"), strict=True):
        if quiet:
            x, y = roc(falls, quiet)
            axis.step(x, y, where="post", color=colour, lw=1.4, label=f"activities of the {name}")
            point = np.mean(np.array(quiet) >= threshold), np.mean(np.array(falls) >= threshold)
            axis.plot(*point, "o", color=colour, ms=6)
    axis.set(xlim=(-0.01, 0.3), ylim=(0.7, 1.005), xlabel="activities called a fall", ylabel="falls found")
    axis.legend(loc="lower right", fontsize=8)
    axis.grid(alpha=0.3)
    return _save(figure, folder, "fall_roc.png")


def _timeline(rows: Rows, recordings: Sequence[Recording], threshold: float, folder: Path) -> Path | None:
    own = {r.id: r for r in recordings}
    shown = [row for row in shown_in_timeline(rows) if row["id"] in own]
    if not shown:
        return None
    figure, axes = _figure(len(shown), (4.0 * len(shown), 2.9))
    for axis, row in zip(axes, shown, strict=True):
        _trace(axis, row, own[row["id"]], threshold)
    axes[0].set_ylabel("g, and probability × 4")
    return _save(figure, folder, "fall_timeline.png")


def _trace(axis: Any, row: Mapping[str, Any], recording: Recording, threshold: float) -> None:
    at_s, _ = max(row["impacts"], key=lambda impact: impact[1])
    axes = [recording.require(name).slice(at_s - _AROUND_S, at_s + _AROUND_S) for name in AXES]
    n = min(a.samples.size for a in axes)
    size = np.linalg.norm(np.stack([a.samples[:n] for a in axes]), axis=0)
    axis.plot(axes[0].times()[:n] - at_s, size, color="0.4", lw=0.8)
    for start, end in fall_spans(recording):
        axis.axvspan(start - at_s, end - at_s, color=_FALL, alpha=0.1, lw=0)
    axis.axvspan(-BEFORE / GRID_HZ, AFTER / GRID_HZ, color="0.5", alpha=0.1, lw=0)
    for when, probability in row["impacts"]:
        if abs(when - at_s) <= _AROUND_S:
            axis.bar(when - at_s, 4 * probability, 0.15, color=_FALL if probability >= threshold else _CALM)
    for latency in row.get("latency_s") or []:
        axis.axvline(latency, color=_FALL, ls="--", lw=1)
    axis.set(title=f"{recording.dataset}: {row['activity']}", xlabel="s from the impact", xlim=(-_AROUND_S, _AROUND_S))
    axis.title.set_fontsize(9)


def _alarms(rows: Rows, folder: Path) -> Path | None:
    quiet = [r for r in rows if r["label"] == "adl" and r["activity"]]
    hours: dict[str, float] = {}
    alarms: dict[str, int] = {}
    for row in quiet:
        hours[row["activity"]] = hours.get(row["activity"], 0.0) + row["hours"]
        alarms[row["activity"]] = alarms.get(row["activity"], 0) + row["false_alarms"]
    worst = sorted((n for n in alarms if alarms[n]), key=lambda n: alarms[n] / hours[n])
    if not worst:
        return None
    figure, (axis,) = _figure(1, (6.2, 0.9 + 0.24 * len(worst)))
    axis.barh(worst, [alarms[n] / hours[n] for n in worst], color=_CALM)
    for place, name in enumerate(worst):
        axis.text(alarms[name] / hours[name], place, f" {alarms[name]} in {hours[name]:.2f} h", va="center", fontsize=7)
    axis.set_xlabel(f"false alarms an hour ({len(alarms) - len(worst)} other activities: none)")
    axis.margins(x=0.25)
    axis.tick_params(labelsize=8)
    return _save(figure, folder, "fall_false_alarms.png")


def _figure(n: int, size: tuple[float, float]) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False)
    return figure, axes[0]


def _save(figure: Any, folder: Path, name: str) -> Path:
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return folder / name

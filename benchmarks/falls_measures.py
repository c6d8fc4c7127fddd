"""What is counted over the scored rows of falls and activities: shares, rates, and points of the ROC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from data.recording import Recording
from models.runtime import Model
from pipelines.fall_detection import TASK
from pipelines.falls import scoring
from pipelines.falls.decoding import MERGE_S
from pipelines.task import Estimate, Outputs, Windows

Rows = list[dict[str, Any]]
Predict = Callable[[Windows], Outputs]


def falls(rows: Rows) -> Rows:
    """Return the rows that hold a fall."""
    return [r for r in rows if r["label"] == "fall"]


def activities(rows: Rows, group: str = "") -> Rows:
    """Return the rows that hold none, of one age group where one is named."""
    return [r for r in rows if r["label"] == "adl" and group in ("", r["age_group"])]


def share(rows: Rows, good: Callable[[dict[str, Any]], bool]) -> float:
    """Return the share of rows for which `good` holds; NaN for none."""
    return float(np.mean([good(r) for r in rows])) if rows else float("nan")


def found(row: dict[str, Any]) -> bool:
    """Return whether an alarm found the fall."""
    return bool(row["found"] > 0)


def quiet(row: dict[str, Any]) -> bool:
    """Return whether there was no false alarm."""
    return bool(row["false_alarms"] == 0)


def per_hour(rows: Rows, threshold: float | None = None) -> float:
    """Return false alarms an hour: as scored, or as they would be at another threshold (without stillness check)."""
    hours = sum(r["hours"] for r in rows)
    alarms = sum(r["false_alarms"] if threshold is None else _events(r, threshold) for r in rows)
    return float(alarms / hours) if hours else float("nan")


def by_activity(rows: Rows) -> dict[str, dict[str, float]]:
    """Return recordings, hours and false alarms of each activity in which there was one."""
    out = {}
    for name in sorted({r["activity"] for r in rows if r["activity"]}):
        own = [r for r in rows if r["activity"] == name]
        if alarms := sum(r["false_alarms"] for r in own):
            hours = sum(r["hours"] for r in own)
            out[name] = {"recordings": len(own), "hours": round(hours, 3), "alarms": alarms}
    return out


def auc(rows: Rows) -> float:
    """Return the area under the ROC of falls against activities."""
    value = scoring.auc([r["probability"] for r in falls(rows)], [r["probability"] for r in activities(rows)])
    return float("nan") if value is None else value


def at_sensitivity(rows: Rows, sensitivity: float) -> dict[str, float]:
    """Return specificity and false alarms by age where the falls reach `sensitivity`: a point to compare by."""
    threshold = float(np.quantile([r["probability"] for r in falls(rows)], 1 - sensitivity))
    out = {"threshold": threshold}
    for group in ("young", "old"):
        own = activities(rows, group)
        out[group] = share(own, lambda r: r["probability"] < threshold)
        out[f"false_alarms_per_hour_{group}"] = per_hour(own, threshold)
    return out


def sensitivity_at(rows: Rows, specificity: float, group: str = "young") -> float:
    """Return the sensitivity where so large a share of a group's activities raises no alarm."""
    calm = np.array([r["probability"] for r in activities(rows, group)])
    threshold = float(np.sort(calm)[int(np.ceil(specificity * calm.size)) - 1])
    return share(falls(rows), lambda r: r["probability"] > threshold)


def rejected(rows: Rows) -> float:
    """Return the share of windows that the trigger kept from the network."""
    return 1 - float(sum(len(r["impacts"]) for r in rows)) / float(sum(r["windows"] for r in rows))


def score_with(predict: Predict, config: dict[str, Any], recordings: Sequence[Recording]) -> Rows:
    """Return the scores of recordings by any function from windows to probabilities."""
    rows = []
    for recording in recordings:
        windows = TASK.prepare(recording)
        windows = windows.take(windows.extras["wanted"])
        said: list[Estimate] = TASK.decoder(config=config).update(predict(windows), windows) if len(windows) else []
        row = TASK.score(said, recording)
        rows.append({"id": recording.id, "subject": recording.subject, "dataset": recording.dataset, **row})
    return rows


def of_bundle(model: Model, recordings: Sequence[Recording], **config: float) -> Rows:
    """Return the scores of recordings by a bundle, with parts of its decoder's config changed."""
    return score_with(model.predict, {**model.bundle.config, **config}, recordings)


def _events(row: dict[str, Any], threshold: float) -> int:
    last_s, n = -np.inf, 0
    for at_s, probability in row["impacts"]:
        if probability >= threshold:
            n += at_s - last_s >= MERGE_S
            last_s = at_s
    return n

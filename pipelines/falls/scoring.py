"""Events against what is known of a recording: sensitivity, specificity, false alarms an hour, latency, AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.falls.decoding import DETECTED
from pipelines.motion_grid import AXES
from pipelines.task import Estimate, Metrics, Windows

OLD_FROM = 60  # years: the elders of WEDA-FALL are 77 and older, its young 46 and younger
# Falls are marked by hand, to half a second at best.
_EARLY_S, _LATE_S = 0.5, 1.0
_Z95 = 1.96


def fall_spans(recording: Recording) -> list[tuple[float, float]]:
    """Return [start, end) in seconds of each fall that is annotated with its moment."""
    marks = recording.annotations.get("fall")
    if marks is None:
        return []
    starts = [t for t, label in zip(marks.t_s, marks.label, strict=True) if label == "(FALL"]
    ends = [t for t, label in zip(marks.t_s, marks.label, strict=True) if label == "FALL)"]
    return [(float(s), float(next((e for e in ends if e >= s), s + 3.0))) for s in starts]


def is_fall(recording: Recording) -> bool | None:
    """Return whether the recording holds a fall; None where nothing says so."""
    if fall_spans(recording):
        return True
    label = recording.meta.get("label", "").lower()
    return {"fall": True, "adl": False}.get(label)


def age_group(recording: Recording) -> str:
    """Return ``young``, ``old`` or "" from the header's ``age`` (years) or ``age_group``."""
    try:
        return "old" if float(recording.meta.get("age", "")) >= OLD_FROM else "young"
    except ValueError:
        group = recording.meta.get("age_group", "").lower()
        return "old" if group in {"old", "elder"} else "young" if group == "young" else ""


def reference(recording: Recording, windows: Windows) -> NDArray[np.float32]:
    """
    Return 1, 0 or NaN for the impact of each window.

    In a fall with a known moment the strongest impact in the span is 1, those over a second earlier are 0 and the rest,
    rolling and getting up, is unknown. Without a moment the strongest impact of the recording stands for the fall.
    """
    wanted, at = windows.extras["wanted"], windows.extras["impact_s"]
    answer = np.full(len(windows), np.nan, np.float32)
    fall = is_fall(recording)
    if fall is None or not wanted.any():
        return answer
    if not fall:
        answer[wanted] = 0
        return answer
    peak = np.where(wanted, windows.extras["peak_g"], -np.inf)
    spans = fall_spans(recording)
    if not spans:
        answer[int(peak.argmax())] = 1
        return answer
    for start, end in spans:
        inside = wanted & (at >= start - _EARLY_S) & (at <= end + _LATE_S)
        if inside.any():
            answer[int(np.where(inside, peak, -np.inf).argmax())] = 1
    answer[wanted & (at < spans[0][0] - 1.0)] = 0
    return answer


def score(estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
    """
    Return one recording's outcome.

    Events count, not windows. In a recording with a fall, an event before the fall is a false alarm and one after it
    belongs to it; where the moment is unknown any event finds it. ``probability`` is the strongest of the fall's own
    span, or of the recording where there is none; ``impacts`` are time and probability of all that were judged.
    """
    spans, fall = fall_spans(recording), is_fall(recording)
    events = [e for e in estimates if e.value == DETECTED]
    own = [e for e in estimates if not spans or any(_inside(e, span) for span in spans)]
    row: dict[str, Any] = {
        "label": {True: "fall", False: "adl", None: "unknown"}[fall], "activity": recording.meta.get("activity", ""),
        "age_group": age_group(recording), "hours": recording.end_s / 3600,
        "probability": max((float(e.extras["confidence"]) for e in own), default=0.0),
        "impacts": [[round(e.start_s, 2), float(e.extras["confidence"])] for e in estimates],
    }  # fmt: skip
    if not fall:
        return row | {"false_alarms": len(events), "alarm_s": [round(e.start_s, 2) for e in events]}
    if not spans:
        return row | {"falls": 1, "found": int(bool(events)), "false_alarms": 0, "latency_s": []}
    found, latency = 0, []
    for start, end in spans:
        own = [e for e in events if _inside(e, (start, end))]
        found += bool(own)
        latency += [round(own[0].end_s - impact_time(recording, start, end), 3)] if own else []
    false = sum(e.start_s < spans[0][0] - _EARLY_S for e in events)
    return row | {"falls": len(spans), "found": found, "false_alarms": int(false), "latency_s": latency}


def _inside(estimate: Estimate, span: tuple[float, float]) -> bool:
    return span[0] - _EARLY_S <= estimate.start_s <= span[1] + _LATE_S


def impact_time(recording: Recording, start_s: float, end_s: float) -> float:
    """Return when the acceleration is largest in a fall's span, from the samples themselves."""
    axes = [recording.require(name).slice(start_s, end_s) for name in AXES]
    n = min(a.samples.size for a in axes)
    if not n or all(np.isnan(a.samples[:n]).all() for a in axes):
        return start_s
    size = np.linalg.norm(np.nan_to_num(np.stack([a.samples[:n] for a in axes])), axis=0)
    return float(axes[0].times()[int(size.argmax())])


def summarise(scores: Sequence[Mapping[str, Any]]) -> Metrics:
    """
    Return the metrics over recordings.

    ``false_alarms_per_hour`` is over recordings without a fall. ``auc`` compares the strongest probability of each
    recording with a fall to that of each without. ``trigger_rejects`` is the share of windows for which no network
    need run. ``*_low`` and ``*_high``: 95 % interval (Wilson), of recordings.
    """
    falls = [s for s in scores if s["label"] == "fall"]
    adl = [s for s in scores if s["label"] == "adl"]
    metrics: Metrics = {"n_falls": float(sum(s["falls"] for s in falls)), "n_adl": float(len(adl))}
    metrics |= _share("sensitivity", sum(s["found"] for s in falls), sum(s["falls"] for s in falls))
    metrics |= _share("specificity", sum(s["false_alarms"] == 0 for s in adl), len(adl))
    metrics["false_alarms_per_hour"] = _rate(adl)
    for group in ("young", "old"):
        own = [s for s in adl if s["age_group"] == group]
        metrics |= _share(f"specificity_{group}", sum(s["false_alarms"] == 0 for s in own), len(own))
        metrics[f"false_alarms_per_hour_{group}"] = _rate(own)
    latency = [value for s in falls for value in s.get("latency_s", [])]
    metrics["latency_s"] = float(np.median(latency)) if latency else None
    metrics["latency_s_95"] = float(np.quantile(latency, 0.95)) if latency else None
    windows = sum(s.get("windows", 0) for s in scores)
    metrics["trigger_rejects"] = 1 - sum(len(s["impacts"]) for s in scores) / windows if windows else None
    metrics["auc"] = auc([s["probability"] for s in falls], [s["probability"] for s in adl])
    return metrics


def auc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Return the area under the ROC curve (ties count half); None if a class is empty."""
    n, m = len(positive), len(negative)
    if not n or not m:
        return None
    from scipy.stats import rankdata  # heavy, and a server scores nothing

    ranks = rankdata([*positive, *negative])
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def _rate(adl: Sequence[Mapping[str, Any]]) -> float | None:
    hours = sum(s["hours"] for s in adl)
    return sum(s["false_alarms"] for s in adl) / hours if hours else None


def _share(name: str, hits: int, n: int) -> Metrics:
    if not n:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    p, z2 = hits / n, _Z95**2
    centre, half = p + z2 / (2 * n), _Z95 * float(np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)))
    return {
        name: p,
        f"{name}_low": max(0.0, (centre - half) / (1 + z2 / n)),
        f"{name}_high": min(1.0, (centre + half) / (1 + z2 / n)),
    }

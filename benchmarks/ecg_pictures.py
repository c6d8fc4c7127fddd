"""
The pictures of docs/ecg.md: errors of the beats left out, the check for fibrillation, strips of each rhythm.

    WRISTWISE_DATA=... python -m benchmarks.ecg_pictures

Drawn from benchmarks/results (beats_left_out, ecg_rhythm, irregular_rhythm) and the recordings: run those first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.adapters.registry import adapter
from data.location import data_root
from data.recording import Recording

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PICTURES = ROOT / "docs" / "pictures"
SHOWN = 4  # records with the most errors
SPAN_S = 8.0
_INK, _MISSED, _EXTRA = "0.25", "tab:red", "tab:orange"


def _result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)


def _save(figure: Any, name: str) -> None:
    figure.savefig(PICTURES / name, dpi=75, metadata={"Software": None})
    print(f"docs/pictures/{name}")


def _seconds(text: str) -> NDArray[np.float64]:
    return np.array([float(t) for t in text.split()])


def _curve(text: str) -> NDArray[np.float64]:
    return np.array([[float(v) for v in point.split(",")] for point in text.split()])


def failing_records() -> None:
    """Draw the eight seconds with the most errors of each of the worst mitdb records, left out of training."""
    rows = [r for r in _result("beats_left_out")["per_record"] if r["dataset"] == "mitdb"]
    worst = sorted(rows, key=lambda r: float(r["f1"]))[:SHOWN]
    recordings = {r.id: r for r in adapter("mitdb").read(data_root())}
    figure, axes = _figure(SHOWN, 1, 10.0, 1.9 * SHOWN)
    for axis, row in zip(axes[:, 0], worst, strict=True):
        missed, extra = _seconds(row["missed_s"]), _seconds(row["extra_s"])
        wrong = np.sort(np.concatenate([missed, extra]))
        start = float(wrong[np.argmax([((wrong >= t) & (wrong < t + SPAN_S - 1)).sum() for t in wrong])]) - 0.5
        _strip(axis, recordings[row["id"]], start, missed, extra)
        axis.set_title(
            f"record {row['id']}: F1 {100 * row['f1']:.2f} %, {row['missed']} missed, {row['extra']} extra of "
            f"{row['hits'] + row['missed']}", fontsize=9, loc="left",
        )  # fmt: skip
    axes[-1, 0].set_xlabel("s")
    axes[0, 0].legend(loc="upper right", fontsize=7, ncols=3)
    _save(figure, "ecg_failing_records.png")


def _strip(
    axis: Any, recording: Recording, start: float, missed: NDArray[np.float64], extra: NDArray[np.float64]
) -> None:
    ecg = recording.require("ecg").slice(start, start + SPAN_S)
    axis.plot(ecg.times(), ecg.samples, lw=0.8, color=_INK)
    top = float(np.nanmax(ecg.samples))
    truth = recording.annotations["beats"].t_s
    for times, colour, mark, label in (
        (truth, "tab:green", "|", "annotated beat"), (missed, _MISSED, "v", "missed"), (extra, _EXTRA, "x", "extra"),
    ):  # fmt: skip
        inside = times[(times >= start) & (times < start + SPAN_S)]
        axis.plot(inside, np.full(inside.size, top * 1.15), mark, color=colour, ms=7, label=label)
    axis.set(xlim=(start, start + SPAN_S))
    axis.tick_params(labelsize=7)


def fibrillation() -> None:
    """Draw sensitivity against specificity of the check on intervals, and the point at which it works."""
    result = _result("irregular_rhythm")
    figure, axes = _figure(1, 1, 3.8, 3.4)
    axis = axes[0, 0]
    for name, label in (("ecg", "beats of an ECG"), ("as_pulses", "as a PPG gives them")):
        curve, at = _curve(result["roc"][name]), result[name]
        axis.plot(1 - curve[:, 1], curve[:, 0], lw=1.2, label=f"{label}, AUC {at['auc']:.3f}")
        axis.plot(1 - at["specificity"], at["sensitivity"], "o", ms=5, color=axis.lines[-1].get_color())
    axis.set(xlim=(0, 0.15), ylim=(0.85, 1.0), xlabel="false alarms, share of windows", ylabel="sensitivity")
    axis.set_title(f"afdb, records left out; threshold {result['threshold']}", fontsize=9)
    axis.legend(loc="lower right", fontsize=8)
    _save(figure, "ecg_fibrillation.png")


def strips() -> None:
    """Draw one right and one wrong strip of each class with the beats that were found."""
    from pipelines.beat_detection import detect_beats

    shown = _result("ecg_rhythm")["examples"]
    recordings = {r.id: r for r in adapter("challenge-2017").read(data_root()) if r.id in {s["id"] for s in shown}}
    figure, axes = _figure(len(shown), 1, 10.0, 1.2 * len(shown))
    for axis, row in zip(axes[:, 0], shown, strict=True):
        ecg = recordings[row["id"]].require("ecg").slice(2.0, 12.0)
        beats = detect_beats(ecg.samples, ecg.fs_hz).time_s + ecg.t0_s
        axis.plot(ecg.times(), ecg.samples, lw=0.7, color=_INK)
        axis.plot(beats, np.interp(beats, ecg.times(), ecg.samples), ".", ms=5, color="tab:red")
        axis.set_title(f"{row['id']}: labelled {row['wanted']}, found {row['found']}", fontsize=8, loc="left", pad=2)
        axis.set(xlim=(2, 12), yticks=[])
        axis.tick_params(labelsize=6)
    _save(figure, "ecg_rhythm_strips.png")


def main() -> None:
    """Draw all three."""
    PICTURES.mkdir(exist_ok=True)
    failing_records()
    fibrillation()
    strips()


if __name__ == "__main__":
    main()

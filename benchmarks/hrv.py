"""
Heart-rate variability against the truth of annotated records, and neurokit2 (Kubios' correction) beside ours.

    WRISTWISE_DATA=... python -m benchmarks.hrv        # a minute; needs the extra peers

Spans of five minutes: nsr2db, days of people without arrhythmia; mitdb, many ectopic beats. The truth is the RMSSD and
SDNN of intervals between two beats annotated as normal; both tools get all beats, unlabelled. Records in atrial
fibrillation or flutter have no NN intervals and are left out, as are spans with fewer than half of theirs normal.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.folds import goal, write
from data.adapters.registry import adapter
from data.location import data_root
from data.recording import Recording
from pipelines.hrv import STANDARD_S, variability

RESULT = Path(__file__).parent / "results" / "hrv.json"
COMMAND = "python -m benchmarks.hrv"
NORMAL = frozenset("NLR")
EVERY_S = {"nsr2db": 3600.0, "mitdb": STANDARD_S}
FIBRILLATING = frozenset({"AFIB", "AFL", "VFL"})
_PEER_HZ = 1000  # neurokit2 counts in samples


def spans(recording: Recording) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield the beats of each span of five minutes, and which are normal."""
    beats = recording.annotations["beats"]
    normal = np.isin(np.array(beats.label), list(NORMAL))
    for start in np.arange(0.0, beats.t_s[-1] - STANDARD_S, EVERY_S[recording.dataset]):
        inside = (beats.t_s >= start) & (beats.t_s < start + STANDARD_S)
        if inside.sum() > 100:
            yield beats.t_s[inside], normal[inside]


def truth(beats_s: NDArray[np.float64], normal: NDArray[np.bool_]) -> dict[str, float]:
    """Return RMSSD and SDNN in ms of intervals between two normal beats."""
    intervals, nn = np.diff(beats_s), normal[1:] & normal[:-1]
    steps = np.diff(intervals)[nn[1:] & nn[:-1]]
    return {"rmssd_ms": float(np.sqrt((steps**2).mean()) * 1e3), "sdnn_ms": float(intervals[nn].std(ddof=1) * 1e3)}


def peer(beats_s: NDArray[np.float64]) -> dict[str, float]:
    """Return the same and LF/HF by neurokit2, its artefact correction before."""
    import neurokit2

    if not hasattr(np, "trapz"):  # neurokit2 0.2.12 asks for the name that numpy 2.4 took away
        np.trapz = np.trapezoid  # type: ignore[attr-defined] # noqa: NPY201
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peaks = np.round((beats_s - beats_s[0]) * _PEER_HZ).astype(int)
        _, clean = neurokit2.signal_fixpeaks(peaks, sampling_rate=_PEER_HZ, method="Kubios")
        time = neurokit2.hrv_time(clean, sampling_rate=_PEER_HZ)
        frequency = neurokit2.hrv_frequency(clean, sampling_rate=_PEER_HZ)
    return {
        "rmssd_ms": float(time["HRV_RMSSD"].iloc[0]), "sdnn_ms": float(time["HRV_SDNN"].iloc[0]),
        "lf_hf": float(frequency["HRV_LFHF"].iloc[0]),
    }  # fmt: skip


def rows(name: str) -> list[dict[str, Any]]:
    """Return truth, ours and the peer's for each span of a data set."""
    found = []
    for recording in adapter(name).read(data_root()):
        rhythm = recording.annotations.get("rhythm")
        if rhythm is not None and FIBRILLATING & set(rhythm.label):
            continue
        for beats_s, normal in spans(recording):
            if (normal[1:] & normal[:-1]).mean() < 0.5:
                continue
            own = variability(beats_s)
            found.append(
                {"id": recording.id, "truth": truth(beats_s, normal), "ours": vars(own), "peer": peer(beats_s)}
            )
    return found


def figures(table: list[dict[str, Any]]) -> dict[str, Any]:
    """Return spans, share that we refused, and median and 90th percentile of the relative error in per cent."""
    said = [row for row in table if row["ours"]["rmssd_ms"] is not None]
    result: dict[str, Any] = {"spans": len(table), "refused": round(1 - len(said) / len(table), 4)}
    for who in ("ours", "peer"):
        for measure in ("rmssd_ms", "sdnn_ms"):
            error = [abs(row[who][measure] / row["truth"][measure] - 1) * 100 for row in said]
            result[f"{who}_{measure}"] = [round(float(np.percentile(error, q)), 2) for q in (50, 90)]
    pairs = [(r["ours"]["lf_hf"], r["peer"]["lf_hf"]) for r in said if r["ours"]["lf_hf"] and r["peer"]["lf_hf"] > 0]
    logs = np.log(np.array(pairs))
    result["lf_hf_correlation_of_logs"] = round(float(np.corrcoef(logs.T)[0, 1]), 3)
    result["lf_hf_ours_over_peer_median"] = round(float(np.exp(np.median(logs[:, 0] - logs[:, 1]))), 3)
    return result


def main() -> None:
    """Measure and write the result."""
    result = {name: figures(rows(name)) for name in EVERY_S}
    goals = []
    for name, which in (("nsr2db", "on normal days"), ("mitdb", "among ectopic beats")):
        ours, other = result[name]["ours_rmssd_ms"], result[name]["peer_rmssd_ms"]
        goals.append(
            goal(
                f"RMSSD {which} against annotated NN: median error (90 % of spans)", "neurokit2's or below",
                f"{ours[0]:.1f} % ({ours[1]:.0f} %), neurokit2 {other[0]:.1f} % ({other[1]:.0f} %)",
                ours[0] <= other[0], COMMAND,
            )
        )  # fmt: skip
    write(RESULT, {"command": COMMAND, **result, "goals": goals})


if __name__ == "__main__":
    main()

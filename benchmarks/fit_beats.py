"""
Fit the scorers of the R-peak detector, and measure them on records left out.

    WRISTWISE_DATA=... python -m benchmarks.fit_beats

Four folds by subject over mitdb (DS1, MLII) and wrist (chest ECG) give benchmarks/results/beats_left_out.json; the
shipped numbers (pipelines/beat_detection/weights.py) are fitted on all of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.disturbances import DISTURBANCES, disturbed
from benchmarks.number_module import array_lines, header
from data.adapters.registry import adapter
from data.location import data_root
from data.recording import Recording
from models.training.beat_scorers import fit
from models.training.folds import subject_folds
from pipelines.beat_detection import detect_beats
from pipelines.beat_detection.matching import match_beats, rates
from pipelines.beat_detection.selection import Scorer

HERE = Path(__file__).parent
COMMAND = "python -m benchmarks.fit_beats"
N_FOLDS = 4
# Its reference has 84 bad intervals (the data set's own): scored, not learned from.
BAD_REFERENCE = {"s4_run"}


def main() -> None:
    """Fit, measure, write."""
    recordings = [r for name in ("mitdb", "wrist") for r in adapter(name).read(data_root())]
    rows: list[dict[str, Any]] = []
    counts = {name: np.zeros(3, np.int64) for name in DISTURBANCES}
    for train, test in subject_folds([r.subject for r in recordings], N_FOLDS, seed=1):
        scorers = fit([r for r, use in zip(recordings, train, strict=True) if use and r.id not in BAD_REFERENCE])
        outside = [r for r, use in zip(recordings, test, strict=True) if use]
        rows += [score(r, scorers) for r in outside]
        for name, total in counts.items():
            total += np.sum([among(r, scorers, name) for r in outside if r.dataset == "mitdb"], axis=0)
        print(json.dumps(rows[-1]), flush=True)
    result: dict[str, Any] = {"command": COMMAND, "split": f"{N_FOLDS} folds by subject", "tolerance_ms": 150}
    for name in ("mitdb", "wrist"):
        own = [r for r in rows if r["dataset"] == name]
        result[name] = rates(*(sum(r[k] for r in own) for k in ("hits", "extra", "missed")))
    result["mitdb_disturbed"] = {name: rates(*(int(n) for n in total)) for name, total in counts.items()}
    result["per_record"] = sorted(rows, key=lambda r: str(r["id"]))
    (HERE / "results" / "beats_left_out.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_weights(fit([r for r in recordings if r.id not in BAD_REFERENCE]))
    print(json.dumps({k: result[k] for k in ("mitdb", "wrist")}))


def score(recording: Recording, scorers: tuple[Scorer, Scorer]) -> dict[str, Any]:
    """Return the counts of one record, and the seconds at which each error is."""
    ecg = recording.require("ecg")
    found = detect_beats(ecg.samples, ecg.fs_hz, scorers=scorers)
    m = match_beats(recording.annotations["beats"].t_s, found.time_s)
    counts = {"hits": m.hits, "extra": m.extra.size, "missed": m.missed.size}
    where = {"extra_s": m.extra, "missed_s": m.missed}
    return {
        "id": recording.id, "dataset": recording.dataset, **counts, "f1": rates(*counts.values())["f1"],
        **{name: " ".join(f"{t:.2f}" for t in times) for name, times in where.items()},
    }  # fmt: skip


def among(recording: Recording, scorers: tuple[Scorer, Scorer], disturbance: str) -> tuple[int, int, int]:
    """Return hits, extra and missed of one record with a disturbance laid over."""
    ecg = recording.require("ecg")
    samples, fs_hz = disturbed(disturbance, ecg.samples, ecg.fs_hz, sum(map(ord, recording.id)))
    found = detect_beats(samples, fs_hz, scorers=scorers)
    m = match_beats(recording.annotations["beats"].t_s, found.time_s)
    return m.hits, m.extra.size, m.missed.size


def write_weights(scorers: tuple[Scorer, Scorer]) -> None:
    """Write the module that holds the numbers."""
    lines = [*header("Numbers of the R-peak detector's two scorers", COMMAND), ""]
    lines += ["from pipelines.beat_detection.selection import Scorer", ""]
    for scorer, stage in zip(scorers, ("ONE", "TWO"), strict=True):
        arrays = {
            "MEAN": scorer.mean, "DEVIATION": scorer.deviation, "W0": scorer.weights[0], "W1": scorer.weights[1],
            "B0": scorer.biases[0], "B1": np.atleast_1d(scorer.biases[1]),
        }  # fmt: skip
        for name, values in arrays.items():
            lines += array_lines(f"_{stage}_{name}", values)
        own = [f"_{stage}_{n}" for n in arrays]
        columns = ", ".join(str(c) for c in scorer.columns)
        lines += [f"STAGE_{stage} = Scorer(", f"    ({columns}),", f"    {own[0]}, {own[1]},",
                  f"    ({own[2]}, {own[3]}), ({own[4]}, {own[5]}),", ")  # fmt: skip"]  # fmt: skip
    path = HERE.parent / "pipelines" / "beat_detection" / "weights.py"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()

"""
Other people's heart-rate tools on the same windows: neurokit2, heartpy and biosppy beside ours.

    wristwise bench heart-rate --peers          # needs: pip install 'wristwise[peers]'; three minutes

Peers see the first light channel of each 8 s window, alone, as their documentation shows: none of them reads the
accelerometer. Where a tool gives no rate, the recording's last one stands in, and the share of those is stated. Our
network's errors are those of `benchmarks.heart_rate`, in which no scored subject was trained on; its time is measured
here.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.adapters.registry import adapter
from data.location import data_root
from data.recording import Recording
from models.evaluate import decode, open_model
from pipelines.heart_rate import TASK
from pipelines.heart_rate_scores import reference_bpm
from pipelines.spectral import cut, settled

_EVERY = 4  # peers are slow: every fourth window
_PLAUSIBLE = (30.0, 220.0)
OURS = "wristwise, subjects left out"
RESULTS = Path(__file__).parent / "results"
Peer = Callable[[NDArray[np.float64], float], float]


def neurokit(samples: NDArray[np.float64], fs_hz: float) -> float:
    """Return neurokit2's mean rate of a window, NaN where it finds none."""
    import neurokit2

    clean = neurokit2.ppg_clean(samples, sampling_rate=fs_hz)
    peaks = neurokit2.ppg_findpeaks(clean, sampling_rate=fs_hz)["PPG_Peaks"]
    return float(60 * fs_hz / np.mean(np.diff(peaks))) if len(peaks) > 1 else float("nan")


def heartpy(samples: NDArray[np.float64], fs_hz: float) -> float:
    """Return heartpy's rate of a window, NaN where it finds none."""
    import heartpy as hp

    filtered = hp.filter_signal(samples, [0.7, 3.5], sample_rate=fs_hz, order=3, filtertype="bandpass")
    _, measures = hp.process(hp.scale_data(filtered), fs_hz)
    return float(measures["bpm"])


def biosppy(samples: NDArray[np.float64], fs_hz: float) -> float:
    """Return biosppy's mean rate of a window, NaN where it finds none."""
    from biosppy.signals import ppg

    found = ppg.ppg(samples, sampling_rate=fs_hz, show=False)
    return float(np.mean(found["heart_rate"])) if len(found["heart_rate"]) else float("nan")


PEERS: dict[str, Peer] = {"neurokit2": neurokit, "heartpy": heartpy, "biosppy": biosppy}


def of_peer(peer: Peer, recording: Recording) -> dict[str, float]:
    """Return error, share without an answer, and milliseconds a window."""
    light = recording.channels["ppg"]
    n = TASK.window.count(light.end_s)
    starts = TASK.window.step_s * np.arange(0, n, _EVERY, dtype=np.float64)
    truth = reference_bpm(recording, starts + TASK.window.length_s)
    rows = settled(cut(light, starts, TASK.window.length_s))
    with contextlib.suppress(Exception):
        peer(rows[0].astype(np.float64), light.fs_hz)  # what it imports is not its time
    last, errors, missing, began = float("nan"), [], 0, time.perf_counter()
    for row, true in zip(rows, truth, strict=True):
        try:
            found = peer(row.astype(np.float64), light.fs_hz)
        except Exception:  # peers raise their own kinds on windows that they cannot read
            found = float("nan")
        if not _PLAUSIBLE[0] <= found <= _PLAUSIBLE[1]:
            missing += 1
            found = last
        last = found
        if np.isfinite(true) and np.isfinite(found):
            errors.append(abs(found - true))
    took = (time.perf_counter() - began) * 1e3 / len(rows)
    return {"mae_bpm": float(np.mean(errors)), "no_answer": missing / len(rows), "ms_per_window": took}


def ours(recording: Recording) -> dict[str, dict[str, float]]:
    """Return the same of the bundle and of the classical tracker."""
    model = open_model(TASK)
    began = time.perf_counter()
    windows = TASK.prepare(recording)
    prepared = time.perf_counter() - began
    out = {}
    for name, classical in ((OURS, False), ("wristwise classical", True)):
        began = time.perf_counter()
        estimates = TASK.baseline(windows) if classical else decode(TASK, windows, model)
        took = (prepared + time.perf_counter() - began) * 1e3 / max(1, len(windows))
        scored = TASK.score(estimates, recording)
        out[name] = {"mae_bpm": scored["mae_bpm_full"], "no_answer": 0.0, "ms_per_window": took}
    return out


def compare() -> dict[str, Any]:
    """Return the table: by data set and tool, means over recordings."""
    table: dict[str, Any] = {}
    for name in ("spc2015", "bami-1", "wrist"):
        rows: dict[str, list[dict[str, float]]] = {}
        for recording in adapter(name).read(data_root()):
            label = "spc-arm" if recording.meta.get("activity") == "arm exercise" else name
            found = {peer: of_peer(run, recording) for peer, run in PEERS.items()} | ours(recording)
            for tool, row in found.items():
                rows.setdefault(f"{label}/{tool}", []).append(row)
        for key, several in rows.items():
            label, tool = key.split("/", 1)
            means = {k: round(float(np.nanmean([r[k] for r in several])), 3) for k in several[0]}
            table.setdefault(label, {})[tool] = means
    left_out = json.loads((RESULTS / "heart_rate.json").read_text(encoding="utf-8"))["pruned"]
    for label, tools in table.items():
        # The shipped bundle was trained on all of these people: only its time counts here.
        tools[OURS]["mae_bpm"] = left_out[label]["mae_bpm"]
    return table


def main() -> None:
    """Compare, print and keep the table."""
    warnings.simplefilter("ignore")  # peers warn at almost every window
    table = compare()
    (RESULTS / "peers_heart_rate.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()

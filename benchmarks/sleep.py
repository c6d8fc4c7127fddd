"""Sleep: every night by networks that never saw its wearer; finished nights, as they go, one sensor, the peers."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.folds import goal, write
from benchmarks.sleep_folds import SENSORS, LeftOut
from data.recording import Recording
from models.evaluate import decode, open_model
from pipelines.sleep.agreement import mean_over_nights
from pipelines.sleep.night import summarise_night
from pipelines.sleep.stages import FROM_LABEL
from pipelines.sleep_staging import TASK

RESULT = Path(__file__).parent / "results" / "sleep.json"
COMMAND = "python -m benchmarks.sleep"
PEERS_COMMAND = "wristwise bench sleep --peers"
SEEDS = (0, 1, 2)
FOLDS = 7
_START = dt.datetime(2026, 1, 1, 22, tzinfo=dt.UTC)
_KAPPAS = ("kappa_2", "kappa_3", "kappa_4")


def measured(folds: Sequence[LeftOut]) -> dict[str, Any]:
    """Return means over nights and seeds: of the pruned and the dense network, of finished nights and as they go."""
    found: dict[str, Any] = {
        "whole_night": _means(folds), "causal": _means(folds, offline=False),
        "dense": _means(folds, kind="dense"), "dense_causal": _means(folds, kind="dense", offline=False),
        "sensors": {name: _means(folds, sensors=name) for name in SENSORS},
        "sensors_causal": {name: _means(folds, sensors=name, offline=False) for name in SENSORS},
        "per_seed": [
            {kind: {k: mean_over_nights(f.scores(kind))[k] for k in _KAPPAS} for kind in ("pruned", "dense")}
            for f in folds
        ],
    }  # fmt: skip
    rows = [f.scores() for f in folds]
    found["per_night"] = [
        {
            "id": same[0]["id"],
            **{k: _mean([s[k] for s in same]) for k in (*_KAPPAS, "tst_bias_min", "wake_specificity")},
        }
        for same in zip(*rows, strict=True)
    ]
    found["subgroups"] = subgroups(folds[0].recordings, found["per_night"])
    return found


def subgroups(recordings: Sequence[Recording], per_night: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return means over kinds of nights: by length, by share of wake, by share of epochs with motion, by heart rate."""
    told = [TASK.prepare(r) for r in recordings]
    hours = np.array([len(w) / 120 for w in told])
    wake = np.array([np.mean(np.array(r.annotations["stage"].label) == "W") for r in recordings])
    moved = np.array([np.mean(np.nan_to_num(w.extras["counts"]).sum(1) > 0) for w in told])
    pulse = np.array([np.nanmedian(w.extras["hr"]) for w in told])
    kinds = {
        "shorter than 7 h": hours < 7, "7 h or longer": hours >= 7,
        "awake for less than 7 %": wake < 0.07, "awake for 7 % or more": wake >= 0.07,
        "motion in fewer epochs than the median": moved < np.median(moved),
        "motion in as many or more": moved >= np.median(moved),
        "heart rate below 66 BPM": pulse < 66, "heart rate of 66 BPM or more": pulse >= 66,
    }  # fmt: skip
    figures = (*_KAPPAS, "tst_bias_min")
    return {
        name: {"nights": int(own.sum()), **{
            f: _mean([row[f] for row, use in zip(per_night, own, strict=True) if use]) for f in figures
        }} for name, own in kinds.items()
    }  # fmt: skip


def report_ms(recordings: Sequence[Recording]) -> float:
    """Return the median milliseconds from a night's windows to its report, on one core."""
    model, taken = open_model(TASK), []
    for recording in recordings[:7]:
        windows = TASK.prepare(recording)
        decode(TASK, windows, model)  # the interpreter is made on first use
        began = time.perf_counter()
        said = decode(TASK, windows, model)
        codes = np.array([FROM_LABEL[e.value] if isinstance(e.value, str) else -1 for e in said], np.int8)
        summarise_night(codes, _START)
        taken.append((time.perf_counter() - began) * 1e3)
    return float(np.median(taken))


def goals(result: dict[str, Any], card: Any) -> list[dict[str, Any]]:
    """Return the figures beside what was wanted."""
    whole, causal, dense = result["whole_night"], result["causal"], result["dense"]

    def span(name: str) -> str:
        return f"95 % over nights {whole[f'{name}_low']:.3f} to {whole[f'{name}_high']:.3f}"

    def row(name: str, target: str, measured: str, reached: bool | None, interval: str = "") -> dict[str, Any]:
        return goal(name, target, measured, reached, COMMAND, interval)

    k2, k3, k4 = (whole[k] for k in _KAPPAS)
    spec, sens = whole["wake_specificity"], whole["sleep_sensitivity"]
    sizes, parent = card["sizes"], card["parent"]["tflite_bytes"]
    gaps = [f"{whole[k] - dense[k]:+.3f}" for k in _KAPPAS]
    ratio, ms = result["latency_ratio"], result["report_ms"]
    return [
        row("sleep-wake κ", "≥ 0.60", f"{k2:.3f}", k2 >= 0.6, span("kappa_2")),
        row("wake specificity at sleep sensitivity ≥ 0.97", "≥ 0.65", f"{spec:.3f} at {sens:.3f}",
            spec >= 0.65 and sens >= 0.97),
        row("three classes: accuracy, κ", "≥ 0.82, ≥ 0.56", f"{whole['accuracy_3']:.3f}, {k3:.3f}",
            whole["accuracy_3"] >= 0.82 and k3 >= 0.56, span("kappa_3")),
        row("four classes: accuracy, κ, macro-F1", "≥ 0.71, ≥ 0.52, ≥ 0.64",
            f"{whole['accuracy_4']:.3f}, {k4:.3f}, {whole['f1_macro_4']:.3f}",
            whole["accuracy_4"] >= 0.71 and k4 >= 0.52 and whole["f1_macro_4"] >= 0.64, span("kappa_4")),
        row("total sleep time: bias, mean absolute error", "within ±5 min, ≤ 12 min",
            f"{whole['tst_bias_min']:+.1f}, {whole['tst_mae_min']:.1f} min",
            abs(whole["tst_bias_min"]) <= 5 and whole["tst_mae_min"] <= 12),
        row("causal against whole night: κ of 2, 3, 4 classes", "loss stated",
            ", ".join(f"{causal[k]:.3f} / {whole[k]:.3f}" for k in _KAPPAS), None),
        row(f"pruned less dense over {len(result['seeds'])} seeds: κ of 2, 3, 4 classes", "not worse", ", ".join(gaps),
            min(whole[k] - dense[k] for k in _KAPPAS) >= -0.005),
        row("shipped LSTM, gzip", "≤ 16 KB", f"{sizes['gzip_bytes']} B (raw {sizes['tflite_bytes']}, dense {parent})",
            sizes["gzip_bytes"] <= 16_000),
        row("its latency against the dense network's, LiteRT, one thread", "≤ 0.5", f"{ratio:.2f}", ratio <= 0.5),
        row("a night on one core, from epochs to report", "≤ 50 ms", f"{ms:.0f} ms", ms <= 50),
        row("one sensor: κ of 2, 3, 4 classes", "–", "; ".join(
            f"{name} {_all_kappas(result['sensors'][name])}" for name in ("motion only", "heart rate only")), None),
        goal("others on the same nights and folds: κ of 2, 3, 4 classes", "–", ", ".join(
            f"{name} {_all_kappas(found)}" for name, found in result["peers"].items()), None, PEERS_COMMAND),
    ]  # fmt: skip


def _all_kappas(found: dict[str, Any]) -> str:
    return " / ".join(f"{found[k]:.3f}" for k in _KAPPAS if k in found)


def bench(out: Path, *, peers: bool = False, seeds: Sequence[int] = SEEDS, folds: int = FOLDS) -> dict[str, Any]:
    """
    Return the result: figures over `seeds` (resumed from `out`), the shipped file's size and speed, the peers.

    Without `peers`, those that stand in the result file stay: they do not change with us.
    """
    from benchmarks.sleep_latency import ratio

    runs = [LeftOut(out, seed, folds=folds) for seed in seeds]
    nights = runs[0].recordings
    result: dict[str, Any] = {
        "how": f"{len(runs[0].left_out)} folds by subject over {len(nights)} nights, {len(seeds)} seeds; means over "
        "nights and seeds, intervals by resampling nights",
        "seeds": list(seeds), **measured(runs), "latency_ratio": ratio(), "report_ms": report_ms(nights),
    }  # fmt: skip
    if peers:
        from benchmarks.sleep_peers import peers as others

        result["peers"] = others(nights)
    elif RESULT.is_file():
        result["peers"] = json.loads(RESULT.read_text(encoding="utf-8")).get("peers", {})
    result["goals"] = goals(result, open_model(TASK).bundle.card)  # type: ignore[union-attr]
    return result


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/sleep"), help="folder of the folds, resumed")
    parser.add_argument("--peers", action="store_true", help="the classical rules and boosting anew")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--folds", type=int, default=FOLDS, help="by subject; 21 leave one out at a time")
    given = parser.parse_args()
    seeds = tuple(int(seed) for seed in given.seeds.split(","))
    write(RESULT, bench(given.out, peers=given.peers, seeds=seeds, folds=given.folds))


def _means(folds: Sequence[LeftOut], kind: str = "pruned", sensors: str = "both", *, offline: bool = True) -> Any:
    """Return means over nights of each night's mean over seeds, so that intervals are over nights."""
    rows = [f.scores(kind, sensors, offline=offline) for f in folds]
    nights = [
        {k: _mean([s[k] for s in same]) for k in same[0] if k not in {"id", "subject"}}
        for same in zip(*rows, strict=True)
    ]  # fmt: skip
    return mean_over_nights(nights)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


if __name__ == "__main__":
    main()

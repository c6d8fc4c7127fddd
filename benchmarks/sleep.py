"""Sleep: folds by subject over the nights of sleep-accel; whole nights, as they go, and the rules beside them."""

from __future__ import annotations

import argparse
import datetime as dt
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.folds import Folds, goal, write
from models.evaluate import decode, open_model
from pipelines.sleep.agreement import mean_over_nights, night_agreement
from pipelines.sleep.night import summarise_night
from pipelines.sleep.rules import cole_kripke, oakley, sadeh
from pipelines.sleep.stages import FROM_LABEL, Stage
from pipelines.sleep_staging import TASK, reference_stages

RESULT = Path(__file__).parent / "results" / "sleep.json"
COMMAND = "python -m benchmarks.sleep"
N_FOLDS = 3
_START = dt.datetime(2026, 1, 1, 22, tzinfo=dt.UTC)
RULES = {"Cole-Kripke": cole_kripke, "Sadeh": sadeh, "Oakley": oakley}


def rules(folds: Folds) -> dict[str, dict[str, float | None]]:
    """Return each published rule's agreement for wake and sleep, on the same nights."""
    found: dict[str, dict[str, float | None]] = {}
    for name, rule in RULES.items():
        scores = []
        for recording in folds.recordings:
            windows = TASK.prepare(recording)
            asleep = rule(np.nan_to_num(windows.extras["counts"]))
            codes = np.where(asleep, Stage.LIGHT, Stage.WAKE).astype(np.int8)
            scores.append(night_agreement(reference_stages(recording, windows), codes))
        means = mean_over_nights(scores)
        found[name] = {k: means[k] for k in ("kappa_2", "wake_specificity", "sleep_sensitivity", "tst_bias_min")}
    return found


def report_ms(folds: Folds) -> float:
    """Return the median milliseconds from a night's windows to its report, on one core."""
    model, taken = open_model(TASK), []
    for recording in folds.recordings[:7]:
        windows = TASK.prepare(recording)
        decode(TASK, windows, model)  # the interpreter is made on first use
        began = time.perf_counter()
        said = decode(TASK, windows, model)
        codes = np.array([FROM_LABEL[e.value] if isinstance(e.value, str) else -1 for e in said], np.int8)
        summarise_night(codes, _START)
        taken.append((time.perf_counter() - began) * 1e3)
    return float(np.median(taken))


def goals(whole: dict[str, Any], causal: dict[str, Any], card: Any, ms: float) -> list[dict[str, Any]]:
    """Return the figures beside what was wanted."""

    def span(name: str) -> str:
        return f"95 % over nights {whole[f'{name}_low']:.3f} to {whole[f'{name}_high']:.3f}"

    k2, k3, k4 = (whole[f"kappa_{n}"] for n in (2, 3, 4))
    spec, sens = whole["wake_specificity"], whole["sleep_sensitivity"]
    sizes, dense = card["sizes"], card["parent"]["tflite_bytes"]
    return [
        goal("sleep-wake κ", "≥ 0.60", f"{k2:.3f}", k2 >= 0.6, COMMAND, span("kappa_2")),
        goal("wake specificity at sleep sensitivity ≥ 0.97", "≥ 0.65", f"{spec:.3f} at {sens:.3f}",
             spec >= 0.65 and sens >= 0.97, COMMAND),
        goal("three classes: accuracy, κ", "≥ 0.82, ≥ 0.56", f"{whole['accuracy_3']:.3f}, {k3:.3f}",
             whole["accuracy_3"] >= 0.82 and k3 >= 0.56, COMMAND, span("kappa_3")),
        goal("four classes: accuracy, κ, macro-F1", "≥ 0.71, ≥ 0.52, ≥ 0.64",
             f"{whole['accuracy_4']:.3f}, {k4:.3f}, {whole['f1_macro_4']:.3f}",
             whole["accuracy_4"] >= 0.71 and k4 >= 0.52 and whole["f1_macro_4"] >= 0.64, COMMAND, span("kappa_4")),
        goal("total sleep time: bias, mean absolute error", "within ±5 min, ≤ 12 min",
             f"{whole['tst_bias_min']:+.1f}, {whole['tst_mae_min']:.1f} min",
             abs(whole["tst_bias_min"]) <= 5 and whole["tst_mae_min"] <= 12, COMMAND),
        goal("causal against whole night: κ of 2, 3, 4 classes", "loss stated",
             ", ".join(f"{causal[f'kappa_{n}']:.3f} / {whole[f'kappa_{n}']:.3f}" for n in (2, 3, 4)), None, COMMAND),
        goal("shipped LSTM, gzip", "≤ 16 KB", f"{sizes['gzip_bytes']} B (raw {sizes['tflite_bytes']}, dense {dense})",
             sizes["gzip_bytes"] <= 16_000, COMMAND),
        goal("a night on one core, from epochs to report", "≤ 50 ms", f"{ms:.0f} ms", ms <= 50, COMMAND),
    ]  # fmt: skip


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/sleep"), help="folder of the run, resumed")
    folds = Folds("sleep-staging", N_FOLDS, parser.parse_args().out)
    whole = mean_over_nights(folds.scored(offline=True))
    causal = mean_over_nights(folds.scored(offline=False))
    card = open_model(TASK).bundle.card  # type: ignore[union-attr]
    result = {
        "how": f"{N_FOLDS} folds by subject over {len(folds.recordings)} nights, one seed; means over nights",
        "whole_night": whole, "causal": causal, "rules": rules(folds),
        "goals": goals(whole, causal, card, report_ms(folds)),
    }  # fmt: skip
    write(RESULT, result)


if __name__ == "__main__":
    main()

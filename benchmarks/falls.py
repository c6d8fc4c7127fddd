"""Falls: folds by subject, equal in age and set, over seeds; events; old people only ever as activities."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import falls_measures as measure
from benchmarks.falls_measures import Rows
from benchmarks.folds import Folds, goal, write
from data.recording import Recording
from models.bundle import shipped
from models.export.measure import arena_bytes
from models.motion_pictures import draw_falls
from models.runtime import Model
from pipelines.fall_detection import INPUT, OUTPUT
from pipelines.motion_grid import AXES
from pipelines.task import Outputs, Windows

RESULT = Path(__file__).parent / "results" / "falls.json"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
COMMAND = "python -m benchmarks.falls"
N_FOLDS, N_SEEDS = 5, 2
LIFE = ("wisdm", "stress-predict")  # people who never fall


def by_set(folds: Folds) -> dict[str, Rows]:
    """Return each recording's score by the fold that had not seen its subject, by data set."""
    dataset = {r.subject: r.dataset for r in folds.recordings}
    rows: dict[str, Rows] = {name: [] for name in dict.fromkeys(dataset.values())}
    for row in folds.rows():
        rows[dataset[row["subject"]]].append(row)
    return rows


def figures(sets: Mapping[str, Rows]) -> dict[str, Any]:
    """Return one seed's figures."""
    weda = sets["weda-fall"]
    at_97 = measure.at_sensitivity(weda, 0.97)
    young, old = measure.activities(weda, "young"), measure.activities(weda, "old")
    return {
        "auc_weda": measure.auc(weda), "auc_smartfallmm": measure.auc(sets["smartfallmm"]),
        "at_sensitivity_0.97": at_97,
        "shipped": {
            "sensitivity": measure.share(measure.falls(weda), measure.found),
            "specificity_young": measure.share(young, measure.quiet),
            "specificity_old": measure.share(old, measure.quiet),
            "false_alarms_per_hour_young": measure.per_hour(young), "false_alarms_per_hour_old": measure.per_hour(old),
            "sensitivity_smartfallmm": measure.share(measure.falls(sets["smartfallmm"]), measure.found),
            **{f"false_alarms_per_hour_{name}": measure.per_hour(sets[name]) for name in LIFE},
        },
        "life_at_sensitivity_0.97": {name: measure.per_hour(sets[name], at_97["threshold"]) for name in LIFE},
        "latency_s": float(np.median([s for r in measure.falls(weda) for s in r["latency_s"]])),
        "trigger_rejects": {name: measure.rejected(rows) for name, rows in sets.items()},
    }  # fmt: skip


def dense_beside_pruned(folds: Folds) -> dict[str, dict[str, float]]:
    """Return what the folds' networks say of WEDA-FALL before and after pruning and int8, at one threshold."""
    import tf_keras

    rows: dict[str, Rows] = {"dense": [], "pruned int8": []}
    for bundle, outside in folds.outside():
        weda = [r for r in outside if r.dataset == "weda-fall"]
        network = tf_keras.models.load_model(bundle.folder / "dense.keras", compile=False)

        def predict(windows: Windows, network: Any = network) -> Outputs:
            return {OUTPUT: network.predict(windows.inputs[INPUT], batch_size=2048, verbose=0)}

        rows["dense"] += measure.score_with(predict, dict(bundle.config), weda)
        rows["pruned int8"] += measure.of_bundle(Model(bundle), weda)
    return {name: _compared(own) for name, own in rows.items()}


def _compared(rows: Rows) -> dict[str, float]:
    return {
        "auc": measure.auc(rows),
        "sensitivity": measure.share(measure.falls(rows), measure.found),
        "specificity_young": measure.share(measure.activities(rows, "young"), measure.quiet),
        "sensitivity_at_specificity_0.97": measure.sensitivity_at(rows, 0.97),
    }


def narrow(folds: Folds, sets: Mapping[str, Rows]) -> dict[str, Any]:
    """Return how a watch whose sensor ends at ±2 g does, at the common threshold and at its own."""
    common: Rows = []
    own: Rows = []
    thresholds = []
    for bundle, outside in folds.outside():
        clipped = [clipped_at(r, 2.0) for r in outside if r.dataset == "weda-fall"]
        model = Model(bundle)
        common += measure.of_bundle(model, clipped)
        own += measure.of_bundle(model, clipped, range_g=2.0)
        thresholds.append(float(bundle.config["threshold_2g"]))
    threshold = float(np.mean(thresholds))
    return {
        "common threshold": _compared(common), "own threshold": {"threshold": threshold, **_compared(own)},
        "life_at_own_threshold": {name: measure.per_hour(sets[name], threshold) for name in LIFE},
    }  # fmt: skip


def clipped_at(recording: Recording, limit_g: float) -> Recording:
    """Return the recording as a sensor of ±`limit_g` would have it."""
    channels = {
        name: replace(channel, samples=np.clip(channel.samples, -limit_g, limit_g)) if name in AXES else channel
        for name, channel in recording.channels.items()
    }
    return replace(recording, channels=channels)


def goals(
    seeds: Sequence[dict[str, Any]], pruning: Mapping[str, Mapping[str, float]], card: Mapping[str, Any], arena: int
) -> list[dict[str, Any]]:
    """Return the figures beside what was wanted: means over seeds, with the least and the most of any."""

    def over(pick: Callable[[dict[str, Any]], float]) -> tuple[float, str]:
        values = [pick(s) for s in seeds]
        return float(np.mean(values)), f"{min(values):.3g}–{max(values):.3g}"

    young, young_range = over(lambda s: s["at_sensitivity_0.97"]["young"])
    old, old_range = over(lambda s: s["at_sensitivity_0.97"]["old"])
    ship = {k: over(lambda s, k=k: s["shipped"][k]) for k in seeds[0]["shipped"]}  # type: ignore[misc]
    wisdm, stress = (ship[f"false_alarms_per_hour_{name}"] for name in LIFE)
    latency = over(lambda s: s["latency_s"])[0]
    trigger = min(value for s in seeds for value in s["trigger_rejects"].values())
    dense, pruned = pruning["dense"], pruning["pruned int8"]
    size, parent = card["sizes"]["tflite_bytes"], card["parent"]["tflite_bytes"]
    spread = f"over {len(seeds)} seeds"
    return [
        goal("WEDA at sensitivity 0.97: specificity young / elders", "≥ 0.97 / ≥ 0.995", f"{young:.3f} / {old:.3f}",
             young >= 0.97 and old >= 0.995, COMMAND, f"{young_range} / {old_range} {spread}"),
        goal("WEDA at the shipped threshold: sensitivity, specificity young / elders", "≥ 0.97, ≥ 0.97 / ≥ 0.995",
             f"{ship['sensitivity'][0]:.3f}, {ship['specificity_young'][0]:.3f} / {ship['specificity_old'][0]:.3f}",
             ship["sensitivity"][0] >= 0.97 and ship["specificity_young"][0] >= 0.97
             and ship["specificity_old"][0] >= 0.995, COMMAND,
             f"{ship['sensitivity'][1]}, {ship['specificity_young'][1]} / {ship['specificity_old'][1]} {spread}"),
        goal("false alarms in scripted activity, young / elders", "≤ 2 /h / ≤ 0.2 /h",
             f"{ship['false_alarms_per_hour_young'][0]:.1f} / {ship['false_alarms_per_hour_old'][0]:.1f} /h",
             ship["false_alarms_per_hour_young"][0] <= 2 and ship["false_alarms_per_hour_old"][0] <= 0.2, COMMAND,
             f"{ship['false_alarms_per_hour_young'][1]} / {ship['false_alarms_per_hour_old'][1]} {spread}"),
        goal("latency from impact to detection, median", "≤ 2.5 s", f"{latency:.2f} s", latency <= 2.5, COMMAND),
        goal("WISDM / stress-predict, false alarms", "≤ 0.5 /h / ≤ 0.05 /h", f"{wisdm[0]:.2f} / {stress[0]:.2f} /h",
             wisdm[0] <= 0.5 and stress[0] <= 0.05, COMMAND, f"{wisdm[1]} / {stress[1]} {spread}"),
        goal("SmartFallMM (weak labels), sensitivity", "–", f"{ship['sensitivity_smartfallmm'][0]:.3f}", None, COMMAND),
        goal("trigger: windows kept from the network, least of the four sets", "≥ 95 %", f"{100 * trigger:.1f} %",
             trigger >= 0.95, COMMAND),
        goal("shipped fall file, arena", "≤ 12 KB, ≤ 16 KB", f"{size} B, {arena} B",
             size <= 12_000 and arena <= 16_000, COMMAND),
        goal("pruning: sensitivity against dense at one threshold; size", "not lower, -80 %",
             f"{pruned['sensitivity']:.3f} against {dense['sensitivity']:.3f}, {100 * size / parent - 100:.0f} %",
             pruned["sensitivity"] >= dense["sensitivity"] and size <= 0.2 * parent, COMMAND),
    ]  # fmt: skip


def main() -> None:
    """Measure, draw and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/falls"), help="folder of the runs, resumed")
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    chosen = parser.parse_args()
    runs = [Folds("fall-detection", N_FOLDS, chosen.out / f"seed_{k}", seed=k) for k in range(chosen.seeds)]
    first, sets = runs[0], by_set(runs[0])
    seeds = [figures(by_set(run)) for run in runs]
    bundle, pruning = shipped(first.recipe.task), dense_beside_pruned(first)
    thresholds = [float(b.config["threshold"]) for b, _ in first.outside()]
    draw_falls(first.rows(), first.recordings, float(np.mean(thresholds)), PICTURES)
    write(
        RESULT,
        {
            "how": f"{N_FOLDS} folds by subject with equal parts of each set and age, {len(runs)} seeds (folds too); "
            "thresholds from folds inside the training subjects; staged falls only; details of seed 0",
            "seeds": seeds, "thresholds": thresholds, "pruning": pruning, "range_2g": narrow(first, sets),
            "false_alarms_by_activity": {name: measure.by_activity(measure.activities(r)) for name, r in sets.items()},
            "goals": goals(seeds, pruning, bundle.card, arena_bytes(bundle.model)),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()

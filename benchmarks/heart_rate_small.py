"""
The heart-rate network below 4 KB: the folds' dense parents cut to 5 channels of 32, and what that costs.

    python -m benchmarks.heart_rate_small --out runs/bench/heart-rate     # after benchmarks.heart_rate; ten minutes
    wristwise run heart-rate-small --folds 0                              # the bundle of models/zoo/heart_rate_small

Into `benchmarks/results/heart_rate_small.json`; resumes. The card of the zoo's bundle gets the figures.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.folds import goal, write
from benchmarks.heart_rate import FOLDS, every_recording, jobs, kept_examples, key, of_job, scored
from benchmarks.heart_rate_card import renew
from benchmarks.heart_rate_gate import Scored, fit
from benchmarks.heart_rate_summary import SETS, metrics, subgroups, together
from data.recording import Recording
from models.bundle import ZOO
from models.networks.heart_rate import SMALL
from models.run import stages
from models.runtime import Model
from models.training.recipe import Examples

COMMAND = "python -m benchmarks.heart_rate_small --out runs/bench/heart-rate"
RESULT = Path(__file__).parent / "results" / "heart_rate_small.json"
FOLDER = ZOO / "heart_rate_small"


def cut(fold: int, out: Path, examples: Examples, recordings: list[Recording]) -> None:
    """Cut one fold's dense parent, recover and quantise it, and keep what it says of the fold's test recordings."""
    import tf_keras

    job = next(j for j in jobs(recordings) if j.name == f"fold{fold}-seed0")
    own = of_job(job, examples)
    dense = tf_keras.models.load_model(out / job.name / "dense.keras")
    pruned, method = stages.prune(SMALL, dense, own, seed=0, epochs=SMALL.prune_target.recover_epochs)
    few = own.take(np.linspace(0, len(own) - 1, 400).astype(np.intp))
    few = replace(few, inputs={"spectra": few.inputs["spectra"].astype(np.float32)})
    tflite = stages.export(SMALL, pruned, few)
    folder = out / f"small{fold}"
    bundle = stages.bundle(SMALL, tflite, few, [], folder, {"method": method, "training": {}, "parent": {}})
    model = Model(bundle)
    said: dict[str, Any] = {
        key(r): model.predict(SMALL.task.prepare(r))["logits"] for r in recordings if key(r) in job.test
    }
    np.savez_compressed(folder / "logits.npz", **{k: v.astype(np.float16) for k, v in said.items()})


def table(out: Path, recordings: list[Recording]) -> dict[str, Any]:
    """Return the small network's figures beside the shipped one's."""
    rows: list[Scored] = []
    sizes = []
    for fold in range(FOLDS):
        folder = out / f"small{fold}"
        sizes.append((folder / "model.tflite").stat().st_size)
        with np.load(folder / "logits.npz") as said:
            rows += [scored(r, SMALL.task.prepare(r), said[key(r)]) for r in recordings if key(r) in said]
    calibrated = together(rows)
    result: dict[str, Any] = {
        "how": "the folds of benchmarks.heart_rate, seed 0: the same dense parents, cut further",
        "bytes": sizes, "calibration": fit(rows), "subgroups": subgroups(calibrated),
        "pruned": {name: metrics([t for r, t in calibrated if r.set == name]) for name in SETS},
    }  # fmt: skip
    shipped = json.loads((RESULT.parent / "heart_rate.json").read_text(encoding="utf-8"))["pruned"]
    text = ", ".join(
        f"{name} {m['mae_bpm']:.2f} ({shipped[name]['mae_bpm']:.2f})" for name, m in result["pruned"].items()
    )
    result["goals"] = [
        goal("heart rate below 4 KB: file", "≤ 4 KB", f"{max(sizes)} B", max(sizes) <= 4096, COMMAND),
        goal("its MAE in BPM (the shipped file's)", "stated", text, None, COMMAND),
    ]
    return result


def main() -> None:
    """Run the folds that are not there, write the table, and the figures on the zoo's card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    recordings = every_recording()
    missing = [k for k in range(FOLDS) if not (out / f"small{k}" / "logits.npz").is_file()]
    if missing:
        from models.tensorflow_setup import quiet

        quiet()
        examples = kept_examples(recordings, out / "examples.npz")
        for fold in missing:
            cut(fold, out, examples, recordings)
    result = table(out, recordings)
    write(RESULT, result)
    if FOLDER.is_dir():
        renew(FOLDER, result, RESULT, recordings)
    print(json.dumps({k: v for k, v in result.items() if k != "subgroups"}, indent=1))


if __name__ == "__main__":
    main()

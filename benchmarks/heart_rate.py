"""
The heart-rate tables: folds by subject over three seeds, dense beside pruned; across data sets; arm exercise unseen.

    python -m benchmarks.heart_rate --out runs/bench/heart-rate          # resumes; about an hour on one core
    python -m benchmarks.heart_rate --out runs/bench/heart-rate --summary

Every job is one training, whose networks' logits on its test recordings are kept in `--out`; the summary decodes
those anew, into `benchmarks/results/heart_rate.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.folds import goal, write
from benchmarks.heart_rate_gate import Scored
from benchmarks.heart_rate_summary import COMMAND, Trained, summary, together
from data.adapters.registry import adapter
from data.location import data_root
from data.recording import Recording
from models.heart_rate_pictures import Shown, draw
from models.networks.heart_rate import RECIPE
from models.run import stages
from models.runtime import Model
from models.training.folds import subject_folds
from models.training.recipe import Examples
from pipelines.heart_rate import HeartRateDecoder
from pipelines.heart_rate_scores import reference_bpm
from pipelines.task import Windows

FOLDS, SEEDS = 3, (0, 1, 2)
SHOWN = ("spc2015/10", "bami-1/Subject_16", "spc2015/S02_T02", "wrist/s8_walk")  # over time, in the docs
EPOCHS, RECOVER_EPOCHS = 2, 2


@dataclass(frozen=True)
class Job:
    """One training: who is trained on, who is scored."""

    name: str
    seed: int
    train: frozenset[str]  # recordings, as dataset/id
    test: frozenset[str]


def set_of(recording: Recording) -> str:
    """Return the row of the tables that a recording belongs to: its data set, arm exercise apart."""
    return "spc-arm" if recording.meta.get("activity") == "arm exercise" else recording.dataset


def key(recording: Recording) -> str:
    """Return the recording's name in tables."""
    return f"{recording.dataset}/{recording.id}"


def jobs(recordings: Sequence[Recording]) -> Iterator[Job]:
    """Yield the trainings, the most telling first."""
    every = {key(r) for r in recordings}
    by_set = {name: {key(r) for r in recordings if set_of(r) == name} for name in map(set_of, recordings)}
    for seed in SEEDS:
        # Folds within each set, so that every fold trains on all of them.
        tested: list[set[str]] = [set() for _ in range(FOLDS)]
        for name in by_set:
            own = [r for r in recordings if set_of(r) == name]
            for k, (_, test) in enumerate(subject_folds([r.subject for r in own], FOLDS, seed)):
                tested[k] |= {key(r) for r, use in zip(own, test, strict=True) if use}
        for k, test_keys in enumerate(tested):
            yield Job(f"fold{k}-seed{seed}", seed, frozenset(every - test_keys), frozenset(test_keys))
        if seed == 0:
            for name, left_out in (("no-arm", "spc-arm"), ("no-wrist", "wrist")):
                yield Job(name, 0, frozenset(every - by_set[left_out]), frozenset(by_set[left_out]))
            for name in ("spc2015", "bami-1", "wrist"):
                yield Job(f"only-{name}", 0, frozenset(by_set[name]), frozenset(every - by_set[name]))


def run_job(job: Job, recordings: Sequence[Recording], examples: Examples, out: Path) -> None:
    """Train the dense parent, prune and quantise it, and keep what both say of the job's test recordings."""
    own = of_job(job, examples)
    dense = stages.train(RECIPE, own, seed=job.seed, epochs=EPOCHS)
    pruned, method = stages.prune(RECIPE, dense, own, seed=job.seed, epochs=RECOVER_EPOCHS)
    few = own.take(np.linspace(0, len(own) - 1, 400).astype(np.intp))
    few = replace(few, inputs={"spectra": few.inputs["spectra"].astype(np.float32)})
    tflite = stages.export(RECIPE, pruned, few)
    folder = out / job.name
    bundle = stages.bundle(RECIPE, tflite, few, [], folder, {"method": method, "training": {}, "parent": {}})
    model = Model(bundle)
    said: dict[str, Any] = {}
    for recording in recordings:
        if key(recording) in job.test:
            windows = RECIPE.task.prepare(recording)
            said[f"dense {key(recording)}"] = dense.predict(windows.inputs["spectra"], batch_size=256, verbose=0)
            said[f"pruned {key(recording)}"] = model.predict(windows)["logits"]
    dense.save(folder / "dense.keras")
    np.savez_compressed(folder / "logits.npz", **{k: v.astype(np.float16) for k, v in said.items()})
    about = {"job": job.name, "seed": job.seed, "bytes": len(tflite), "method": method}
    (out / f"{job.name}.json").write_text(json.dumps(about), encoding="utf-8")


def of_job(job: Job, examples: Examples) -> Examples:
    """Return the rows that a job trains on; drawn recordings belong to nobody and always serve."""
    names = np.array([f"{d}/{r}" for d, r in zip(*_parts(examples), strict=True)])
    return examples.take(np.isin(names, list(job.train)) | np.char.startswith(names, "synthetic/"))


def _parts(examples: Examples) -> tuple[list[str], list[str]]:
    sets = [_SET_OF_SUBJECT[str(s).split("-")[0].split("_")[0]] for s in examples.subject]
    return sets, [str(r) for r in examples.recording]


_SET_OF_SUBJECT = {"spc": "spc2015", "bami1": "bami-1", "wrist": "wrist", "exercise": "synthetic"}


def bench(out: Path, *, only: str = "", train: bool = True) -> None:
    """Run the jobs that are not there yet, then write the summary of all."""
    out.mkdir(parents=True, exist_ok=True)
    recordings = every_recording()
    if train:
        from models.tensorflow_setup import quiet

        quiet()
        examples = kept_examples(recordings, out / "examples.npz")
        for job in jobs(recordings):
            if job.name.startswith(only) and not (out / f"{job.name}.json").is_file():
                print(job.name, flush=True)
                run_job(job, recordings, examples, out)
    results = trained(out, recordings)
    table = summary(results)
    table["on the watch"] = on_the_watch(out)
    table["goals"] += watch_goals(table["on the watch"])
    write(Path(__file__).parent / "results" / "heart_rate.json", table)
    first = [row for r in results if r.job in (f"fold{k}-seed0" for k in range(FOLDS)) for row in r.pruned]
    shown = [Shown(r.key, r.set, r.activity, rows) for r, rows in together(first)]
    draw(shown, Path(__file__).parents[1] / "docs" / "pictures", SHOWN)
    print(json.dumps({k: v for k, v in table.items() if k != "per_recording"}, indent=1))


def trained(out: Path, recordings: Sequence[Recording]) -> list[Trained]:
    """Return what the finished jobs said, decoded anew: the belief and the gate may change without a training."""
    prepared = {key(r): (r, RECIPE.task.prepare(r)) for r in recordings}
    results = []
    for path in sorted(out.glob("*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        with np.load(out / about["job"] / "logits.npz") as said:
            both = {
                kind: [scored(*prepared[k], said[f"{kind} {k}"]) for k in prepared if f"{kind} {k}" in said]
                for kind in ("pruned", "dense")
            }
        results.append(Trained(about["job"], about["seed"], about["bytes"], both["pruned"], both["dense"]))
    return results


def scored(recording: Recording, windows: Windows, logits: NDArray[np.float32]) -> Scored:
    """Return the belief's rows for a recording's logits, where there is a reference."""
    judged = HeartRateDecoder({}, offline=False).judge({"logits": logits.astype(np.float32)}, windows)
    truth = reference_bpm(recording, windows.end_s)
    known = np.flatnonzero(np.isfinite(truth))
    activity = activities(recording, windows.end_s)
    return Scored(
        key(recording), set_of(recording), recording.subject, tuple(activity[k] for k in known), windows.end_s[known],
        truth[known], [judged[k] for k in known],
    )  # fmt: skip


def activities(recording: Recording, ends_s: NDArray[np.float64]) -> list[str]:
    """Return what was done in the middle of each window: by the recording's marks, else one for all."""
    marks = recording.annotations.get("activity")
    if marks is None or not marks.t_s.size:
        return [recording.meta.get("activity", "")] * ends_s.size
    at = np.searchsorted(marks.t_s, ends_s - RECIPE.task.window.length_s / 2, side="right") - 1
    return [marks.label[k] for k in np.maximum(at, 0)]


def on_the_watch(out: Path) -> dict[str, float]:
    """Return latency of a fold's dense float32 parent and of its pruned int8 file (same run), and the arena."""
    import tf_keras

    from models.export.convert import to_tflite
    from models.export.measure import arena_bytes, latency_us

    folder = out / "fold0-seed0"
    dense = to_tflite(tf_keras.models.load_model(folder / "dense.keras"), "float32")
    pruned = (folder / "model.tflite").read_bytes()
    return {
        "dense_us": float(latency_us(dense)), "pruned_us": float(latency_us(pruned)), "dense_bytes": float(len(dense)),
        "pruned_bytes": float(len(pruned)), "arena_bytes": float(arena_bytes(pruned)),
    }  # fmt: skip


def watch_goals(watch: dict[str, float]) -> list[dict[str, Any]]:
    """Return what the file costs beside what was wanted."""
    size, speed = watch["pruned_bytes"] / watch["dense_bytes"], watch["pruned_us"] / watch["dense_us"]
    return [
        goal("pruned int8 against dense float32: bytes", "≤ 25 %", f"{100 * size:.0f} %", size <= 0.25, COMMAND),
        goal("the same: latency, one thread, LiteRT", "≤ 50 %", f"{100 * speed:.0f} %", speed <= 0.5, COMMAND),
        goal("arena (tflite-micro)", "≤ 40 KB", f"{watch['arena_bytes'] / 1e3:.0f} KB",
             watch["arena_bytes"] <= 40e3, COMMAND),
    ]  # fmt: skip


def every_recording() -> list[Recording]:
    """Return the recordings of all sets with a reference, those too that the shipped recipe leaves out."""
    return [r for name in RECIPE.task.datasets for r in adapter(name).read(data_root())]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--summary", action="store_true", help="write the summary of what is there, train nothing")
    parser.add_argument("--only", default="", help="jobs whose name begins so")
    arguments = parser.parse_args()
    bench(arguments.out, only=arguments.only, train=not arguments.summary)


def kept_examples(recordings: Sequence[Recording], path: Path) -> Examples:
    """Return the training rows, made once: they are the same for every job."""
    if not path.is_file():
        made = RECIPE.examples(recordings, seed=0)
        half = made.inputs["spectra"].astype(np.float16)  # steps of 1/2000: far below int8's
        np.savez(
            path, spectra=half, logits=made.targets["logits"], weight=made.weight, subject=made.subject,
            recording=made.recording,
        )  # fmt: skip
    with np.load(path) as kept:
        # Half precision in memory too (400 MB less); a batch is widened when it is disturbed.
        return Examples(
            {"spectra": kept["spectra"]}, {"logits": kept["logits"]}, kept["weight"],
            kept["subject"], kept["recording"],
        )  # fmt: skip


if __name__ == "__main__":
    main()

"""
What each stage of Deep Compression buys, and what it costs: bytes as they are, after gzip, in the `.wwz` container that
numpy alone decodes, and in its smallest form, which takes LiteRT's schema too.

    python -m benchmarks.compression                 # trains (three seeds a network, kept in runs/), then measures
    python -m benchmarks.compression --zoo-only      # the shipped bundles only: seconds

Networks are trained on the impacts of WEDA-FALL (real data, folds by subject: a third of the subjects is held out and
measured on, the same in every seed). The dense parents are of sensible size: the convolutional network that the fall
task ships, and an LSTM and a bidirectional LSTM over the same signals. The figures go to
`benchmarks/results/compression.json`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESULT = Path(__file__).parent / "results" / "compression.json"
PAGE = Path(__file__).parent.parent / "docs" / "compression.md"
FILES = Path("runs") / "compression"
SEEDS = (0, 1, 2)
STAGES = tuple(f"{cut}, {kind}" for cut in ("dense", "cut", "cut, zeroed") for kind in ("float32", "int8"))
DATASET = "weda-fall"
REMOVED, ZEROED = 0.5, 0.6  # share of channels or units cut out, and of the weights left that are masked
GOAL_STAGE = "cut, int8, 16 values in all"
"""One stage for every network. It was chosen after a look at these figures, see docs/compression.md."""
# Of all that is measured, what the page shows: the way to the goal, and one step past it. The rest is in the result.
SHOWN = (
    "dense, float32", "dense, int8", "dense, int8, 16 values in all", "cut, float32", "cut, float32, 16 values",
    "cut, int8", "cut, int8, 16 values", GOAL_STAGE, "cut, zeroed, int8, 16 values in all",
)  # fmt: skip
HEADLINES = {"heart-rate": ("spc2015", "mae_bpm", 6), "fall-detection": ("weda-fall", "auc", 120)}
"""Data set, metric and recordings by which a shipped bundle is looked at again after clustering."""
COMMAND = "python -m benchmarks.compression"
_T95 = 4.303  # Student's t for three seeds, two sides


def lstm(units: int, *, both_ways: bool) -> Callable[[int], Any]:
    """Return a builder of an LSTM over the fall signals, joined by a sum where it runs both ways."""

    def build(seed: int) -> Any:
        import tf_keras

        from pipelines.fall_detection import INPUT, OUTPUT
        from pipelines.falls.view import LENGTH, SIGNALS

        layers = tf_keras.layers
        tf_keras.utils.set_random_seed(seed)
        entry = layers.Input((1, LENGTH, len(SIGNALS)), name=INPUT)
        x = layers.Conv2D(16, (1, 5), strides=(1, 3), activation="relu", name="shorten")(entry)
        x = layers.Reshape((int(x.shape[2]), 16), name="steps")(x)
        layer = layers.LSTM(units, name="lstm")
        x = layers.Bidirectional(layer, merge_mode="sum", name="both")(x) if both_ways else layer(x)
        return tf_keras.Model(entry, layers.Dense(1, activation="sigmoid", name=OUTPUT)(x))

    return build


def networks() -> dict[str, Callable[[int], Any]]:
    """Return the builders by name."""
    from models.networks.registry import recipe

    falls = recipe("fall-detection")
    return {
        "falls CNN": lambda seed: falls.build(seed=seed),
        "falls LSTM 48": lstm(48, both_ways=False),
        "falls BiLSTM 2x32": lstm(32, both_ways=True),
    }


def auc(score: NDArray[np.float32], target: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """Return the weighted area under the ROC curve, ties counted half."""
    order = np.unique(score, return_inverse=True)[1].reshape(-1)
    yes = np.bincount(order, weight * target)
    no = np.bincount(order, weight * (1 - target), yes.size)
    below = np.cumsum(no) - no / 2
    return float((yes * below).sum() / (yes.sum() * no.sum()))


def measure(tflite: bytes, test: Any) -> dict[str, float]:
    """Return sizes of a file and its AUC on the held-out rows, through LiteRT."""
    from models.compress.pack import pack
    from models.export.interpreters import load, run_rows
    from models.export.measure import sizes

    size = sizes(tflite)
    (inputs,), (target,) = test.inputs.values(), test.targets.values()
    (score,) = run_rows(load(tflite, "litert"), [inputs])
    return {
        "bytes": size.raw,
        "gzip": size.gzip,
        "wwz": len(pack(tflite).data),
        "smallest": len(pack(tflite, smallest=True).data),
        "auc": auc(score[:, 0], target[:, 0], test.weight),
    }


def train_files(build: Callable[[int], Any], train: Any, seed: int, epochs: tuple[int, int], out: Path) -> None:
    """Train one network, cut it, zero weights of the cut one, and keep the file of each stage in `out`."""
    import tf_keras

    from models.export.convert import to_tflite
    from models.export.gate import run_gate
    from models.networks.registry import recipe
    from models.pruning import L2Norm, apply_plan, plan_pruning
    from models.pruning.schedule import Polynomial
    from models.pruning.training import train_sparse
    from models.run import stages

    falls = copy.copy(recipe("fall-detection"))
    rows = stages.representative(train, 100)
    tf_keras.utils.set_random_seed(seed)
    dense = build(seed)
    falls.fit(dense, train, epochs=epochs[0], seed=seed)
    narrow = apply_plan(dense, plan_pruning(dense, L2Norm(), ratio=REMOVED))
    falls.fit(narrow, train, epochs=epochs[1], seed=seed, teacher=dense)
    # The recipe takes 16 steps a training epoch and more: the schedule ends well before training does.
    schedule = Polynomial(ZEROED, begin=0, end=10 * epochs[1], frequency=10)
    sparse, _ = train_sparse(
        narrow,
        schedule,
        lambda model, callbacks: falls.fit(
            model, train, epochs=epochs[1], seed=seed, teacher=dense, callbacks=callbacks
        ),
    )
    out.mkdir(parents=True, exist_ok=True)
    for name, model in (("dense", dense), ("cut", narrow), ("cut, zeroed", sparse)):
        for kind in ("float32", "int8"):
            file = to_tflite(model, kind, rows if kind == "int8" else None)
            report = run_gate(file, model, rows, runtimes=("litert", "micro"))
            report.raise_if_refused()
            (out / f"{name}, {kind}.tflite").write_bytes(report.tflite)
    count = {"parameters": dense.count_params(), "parameters_cut": narrow.count_params()}
    (out / "parameters.json").write_text(json.dumps(count), encoding="utf-8")


def chain(files: Path, test: Any) -> dict[str, Any]:
    """Return the figures of every stage of one network and seed, from its files."""
    from models.compress.clustering import cluster_tflite

    found = {}
    for stage in STAGES:
        file = (files / f"{stage}.tflite").read_bytes()
        found[stage] = measure(file, test)
        for bits in (5, 4):
            found[f"{stage}, {1 << bits} values"] = measure(cluster_tflite(file, bits), test)
            if stage.endswith("int8"):
                found[f"{stage}, {1 << bits} values in all"] = measure(cluster_tflite(file, bits, one_book=True), test)
    counts: dict[str, Any] = json.loads((files / "parameters.json").read_text(encoding="utf-8"))
    return {**counts, "stages": found}


def examples() -> tuple[Any, Any]:
    """Return the rows of two thirds of the subjects, and of the rest."""
    from data.location import data_root
    from models.networks.registry import recipe
    from models.run.loading import load
    from models.training.folds import subject_folds

    falls = copy.copy(recipe("fall-detection"))
    falls.datasets = (DATASET,)
    recordings = load(falls, data_root())
    train, test = next(iter(subject_folds([r.subject for r in recordings], 3, 0)))
    rows = falls.examples(recordings, seed=0)
    inside = {r.subject for r, use in zip(recordings, train, strict=True) if use}
    outside = {r.subject for r, use in zip(recordings, test, strict=True) if use}
    return tuple(rows.take(np.isin(rows.subject, sorted(part))) for part in (inside, outside))  # type: ignore[return-value]


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return the mean over seeds and the ends of its 95 % interval."""
    mean = float(np.mean(values))
    half = _T95 * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return mean, mean - half, mean + half


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, for every stage, mean bytes, ratios to the dense float32 file, and the change of AUC with interval."""
    base = [run["stages"]["dense, float32"] for run in runs]
    table = {}
    for name in runs[0]["stages"]:
        own = [run["stages"][name] for run in runs]
        change = interval([a["auc"] - b["auc"] for a, b in zip(own, base, strict=True)])
        mean = {key: float(np.mean([one[key] for one in own])) for key in ("bytes", "gzip", "wwz", "smallest", "auc")}
        dense = float(np.mean([one["bytes"] for one in base]))
        table[name] = {
            **{key: round(value, 5 if key == "auc" else 0) for key, value in mean.items()},
            "gzip_ratio": round(dense / mean["gzip"], 2),
            "wwz_ratio": round(dense / mean["wwz"], 2),
            "smallest_ratio": round(dense / mean["smallest"], 2),
            "auc_change": [round(x, 5) for x in change],
            "no_significant_loss": bool(change[2] >= 0),
        }
    return table


def goals(networks_: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Return the goals for each network, all judged on the one stage `GOAL_STAGE`.

    Not on the best of the stages whose interval covers zero: of 24 stages that would pick the noisiest interval.
    """
    found = []
    for name, one in networks_.items():
        if len(one["seeds"]) < len(SEEDS):
            continue  # no interval yet
        row = one["summary"][GOAL_STAGE]
        mean, low, high = row["auc_change"]
        for key, wanted, words in (
            ("gzip_ratio", 10, "gzip"),
            ("wwz_ratio", 20, "container, numpy alone decodes"),
            ("smallest_ratio", 20, "container, LiteRT's schema decodes"),
        ):
            found.append(
                {
                    "goal": f"{name}: {words}",
                    "target": f"≥ {wanted}×",
                    "measured": f"{row[key]:.1f}×",
                    "interval": f"AUC {mean:+.4f}, {low:+.5f} to {high:+.5f}",
                    "reached": bool(row[key] >= wanted and row["no_significant_loss"]),
                    "command": COMMAND,
                }
            )
    return found


def headline(bundle: Any, model: bytes) -> dict[str, float]:
    """Return the task's own figure of a shipped bundle with another file, on a few recordings it was trained on."""
    from dataclasses import replace

    from data.adapters.registry import adapter
    from data.location import data_root
    from models.evaluate import evaluate, recordings_of
    from models.runtime import Model
    from pipelines.registry import TASKS

    if bundle.task not in HEADLINES:
        return {}
    dataset, name, n = HEADLINES[bundle.task]
    if not adapter(dataset).present(data_root()):
        return {}
    task = TASKS[bundle.task]
    recordings = list(recordings_of(task, None, dataset))
    few = recordings[:: max(1, len(recordings) // n)][:n]
    return {f"{name}, in sample": evaluate(task, few, Model(replace(bundle, model=model)))["metrics"][name]}


def zoo() -> dict[str, Any]:
    """Return the sizes of every shipped bundle, and how far 32 and 16 values a tensor move its stored answers."""
    from models.bundle import ZOO, Bundle
    from models.compress.clustering import cluster_tflite
    from models.compress.pack import pack
    from models.export.interpreters import load, run_rows
    from models.export.measure import sizes

    found = {}
    for folder in sorted(path.parent for path in ZOO.glob("*/card.json")):
        bundle = Bundle.open(folder)
        inputs, answers = bundle.stored_check()
        rows = [inputs[spec.name] for spec in bundle.inputs]
        dense = int(bundle.card.get("parent", {}).get("tflite_bytes", 0)) or None
        entry: dict[str, Any] = {"task": bundle.task, "dense_float32_bytes": dense}
        for label, file in {
            "shipped": bundle.model,
            "32 values": cluster_tflite(bundle.model, 5),
            "16 values": cluster_tflite(bundle.model, 4),
        }.items():
            size = sizes(file)
            now = run_rows(load(file, "litert"), rows)
            moved = [float(np.abs(a - answers[spec.name]).max()) for a, spec in zip(now, bundle.outputs, strict=True)]
            wwz, smallest = len(pack(file).data), len(pack(file, smallest=True).data)
            entry[label] = {"bytes": size.raw, "gzip": size.gzip, "wwz": wwz, "smallest": smallest}
            entry[label]["largest_change"] = max(moved)
            entry[label] |= headline(bundle, file)
            if dense:
                entry[label]["ratios"] = [round(dense / n, 2) for n in (size.raw, size.gzip, wwz, smallest)]
        found[folder.name] = entry
    return found


def save(result: dict[str, Any]) -> None:
    """Write the result file, goals renewed."""
    for one in result["networks"].values():
        one["summary"] = summary(list(one["seeds"].values()))
    result["goals"] = goals(result["networks"])
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def stages_table(networks_: dict[str, Any]) -> str:
    """Return the stages of every network that lead to the goal and past it, as one Markdown table."""
    lines = [
        "| network | stage | AUC, change (95 %) | bytes | gzip | .wwz | smallest |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in networks_.items():
        run = next(iter(one["seeds"].values()))
        title = f"{name}, {run['parameters']} parameters, {run['parameters_cut']} after the cut"
        for stage in (s for s in SHOWN if s in one["summary"]):
            row = one["summary"][stage]
            mean, low, high = row["auc_change"]
            change = f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
            change = change if row["no_significant_loss"] else f"**{change}**"
            sizes = " | ".join(f"{row[key]:.0f} ({row[f'{key}_ratio']:.1f}×)" for key in ("gzip", "wwz", "smallest"))
            lines.append(f"| {title} | {stage} | {row['auc']:.4f} {change} | {row['bytes']:.0f} | {sizes} |")
            title = ""
    return "\n".join(lines) + "\n"


def zoo_table(bundles: dict[str, Any]) -> str:
    """Return the shipped bundles as a Markdown table."""
    lines = [
        "The shipped bundles, as they are and with their weights clustered by tensor; figures on recordings they were",
        "trained on, so only the change means something. Nothing clustered is shipped.",
        "",
        "| bundle | dense float32 | weights | bytes | gzip | .wwz | smallest | ratio | figure |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in bundles.items():
        for label in ("shipped", "32 values", "16 values"):
            row = one[label]
            sizes = " | ".join(f"{row[key]}" for key in ("bytes", "gzip", "wwz", "smallest"))
            ratio = f"{row['ratios'][-1]:.1f}" if "ratios" in row else "–"
            figures = "; ".join(f"{key} {value:.4g}" for key, value in row.items() if "in sample" in key)
            lines.append(f"| {name} | {one['dense_float32_bytes']} | {label} | {sizes} | {ratio} | {figures} |")
    return "\n".join(lines) + "\n"


def write_page(result: dict[str, Any]) -> None:
    """Renew the tables in docs/compression.md; the goals are renewed by benchmarks/tables.py."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in (("stages", stages_table(result["networks"])), ("zoo", zoo_table(result["zoo"]))):
        before, rest = text.split(f"<!-- {name} -->\n", 1)
        after = rest.split(f"<!-- end {name} -->", 1)[1]
        text = f"{before}<!-- {name} -->\n{table}<!-- end {name} -->{after}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Run what is asked for and was not run before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo-only", action="store_true")
    parser.add_argument("--epochs", type=int, default=30, help="of the dense parent")
    parser.add_argument("--recover", type=int, default=20, help="after each cut")
    asked = parser.parse_args()
    from models.tensorflow_setup import quiet

    quiet()
    settings = {"epochs": asked.epochs, "recover": asked.recover, "data": DATASET, "cut": REMOVED, "zeroed": ZEROED}
    if asked.zoo_only:
        result = json.loads(RESULT.read_text(encoding="utf-8"))
        result |= {"zoo": zoo()}
        save(result)
        write_page(result)
        return
    train, test = examples()
    folder = FILES / "-".join(str(value) for value in settings.values())
    data = {"rows_train": len(train), "rows_test": len(test), "subjects_test": sorted(set(test.subject))}
    result = {"settings": settings, "command": COMMAND, "data": data, "zoo": zoo(), "networks": {}}
    for seed in SEEDS:
        for name, build in networks().items():
            files = folder / f"{name}, seed {seed}"
            if not (files / "parameters.json").is_file():
                train_files(build, train, seed, (asked.epochs, asked.recover), files)
            seeds = result["networks"].setdefault(name, {"seeds": {}})["seeds"]
            seeds[str(seed)] = chain(files, test)
            save(result)
            print(f"{name}, seed {seed}: done", file=sys.stderr, flush=True)
    write_page(result)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

"""The other tables of the benchmark: parts removed whole, sensors, recovery, int8, and what the seeds agree on."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from models.pruning.bench import Job, Method, dense_parent, plan_for_parameters
from models.pruning.cases import Case
from models.pruning.presets import preset

_ROWS = 512  # for rankings of parts, by the loss
_JUDGED = 8192  # rows that a file is run on in LiteRT, one by one


def parts_table(case: Case, dense: Any) -> dict[str, Any]:
    """Return what every layer and path would cost and save, and the network for every set of sensors."""
    from models.pruning.ranking import rank_layers, rank_paths, sensor_variants

    rows = case.held.take(_ROWS)
    found: dict[str, Any] = {
        what: [
            {"part": c.part, "loss_rise": c.loss_rise, "parameters": c.saved_parameters, "macs": c.saved_macs}
            for c in rank(dense, rows)
        ]
        for what, rank in (("layers", rank_layers), ("paths", rank_paths))
    }
    if len(dense.inputs) > 1:
        found["sensors"] = [
            {"sensors": v.sensors, "loss": v.loss, "parameters": v.parameters, "macs": v.macs}
            for v in sensor_variants(dense, rows)
        ]
    return found


def recovery_table(case: Case, dense: Any, seed: int, rate: float = 0.8) -> dict[str, float]:
    """Return the error after each kind of recovery from one and the same cut."""
    from models.pruning.recovery import copied, recalibrate
    from models.pruning.surgery import apply_plan

    job = Job(case.name, Method("", "units", "taylor"), rate, seed)
    cut = apply_plan(dense, plan_for_parameters(dense, case, job))
    errors = {"none": case.error(cut), "batch norm recalibrated": case.error(recalibrate(cut, case.data.take(1024)))}
    for name, teacher in (("fine-tuned", None), ("distilled from the parent", dense)):
        one = copied(cut)
        case.fit(one, case.recover_epochs, seed, teacher, ())
        errors[name] = case.error(one)
    return errors


def overlap_table(parents: list[Any], rates: tuple[float, ...]) -> list[dict[str, float]]:
    """Return how much global magnitude masks agree over seeds, beside what chance would give."""
    from models.pruning.weights import mask_overlap, plan_masks

    rows = []
    for rate in rates:
        found, chance = mask_overlap([plan_masks(p, sparsity=rate) for p in parents])
        rows.append({"rate": rate, "overlap": round(found, 4), "by_chance": round(chance, 4)})
    return rows


def chain_rows(case: Case, dense: Any, seed: int, folder: Path, rate: float = 0.8) -> list[dict[str, Any]]:
    """
    Return the whole chain, every link a row: units out, the task's number format, weights to zero, clusters, container.

    Errors are those of the file in LiteRT on held-out rows; `container` is the size in the Huffman container.
    """
    from models.compress.clustering import cluster_tflite
    from models.export.convert import to_tflite
    from models.pruning.bench import gradual, narrowed
    from models.pruning.training import train_sparse

    small = narrowed(case, dense, rate, seed, folder)

    def train(model: Any, callbacks: list[Any]) -> None:
        case.fit(model, case.recover_epochs, seed, dense, callbacks)

    sparse, _ = train_sparse(small, gradual(0.5, case, folder), train)
    mode: Any = case.mode
    rows = case.representative()

    def file(model: Any, kind: Any) -> bytes:
        return to_tflite(model, kind, rows if kind == "int8" else None, io="float32")

    files = {
        "dense": (file(dense, "float32"), "float32"),
        "dense, exported": (file(dense, mode), mode),
        f"{rate:.0%} of the parameters out as units": (file(small, "float32"), "float32"),
        "... exported": (file(small, mode), mode),
        "... and half of the weights zero": (file(sparse, mode), mode),
    }
    files["... and 16 values a tensor"] = (cluster_tflite(files["... and half of the weights zero"][0], 4), mode)
    return [_chain_row(case, dense, name, kind, data, seed) for name, (data, kind) in files.items()]


def _chain_row(case: Case, model: Any, name: str, mode: str, data: bytes, seed: int) -> dict[str, Any]:
    from models.compress.pack import pack
    from models.export.cost import CORTEX_M4F, cost
    from models.export.interpreters import load, run_rows
    from models.pruning.calibration import Calibration
    from models.pruning.cases import row_error
    from models.pruning.footprint import footprint

    held = case.held.take(_JUDGED)
    inputs, targets = next(Calibration(held.inputs, held.targets, batch=len(held)).batches(model))
    outputs = run_rows(load(data, "litert"), inputs)
    size, core = footprint(data), cost(data, CORTEX_M4F)
    return {
        "method": name, "mode": mode, "seed": seed, "error": round((case.judge or row_error)(outputs, targets), 6),
        "bytes": int(size.bytes), "gzip": int(size.gzip), "container": len(pack(data).data),
        "latency_us": round(size.latency_us, 2), "arena": size.arena,
        "m4f_us": round(core.latency_us, 1), "m4f_uj": round(core.energy_uj, 2),
    }  # fmt: skip


def extra_tables(case: Case, folder: Path, seeds: tuple[int, ...], rates: tuple[float, ...]) -> dict[str, Any]:
    """Return the tables that are made once per case, on the parent of the first seed; each is kept when it is made."""
    parents = [dense_parent(case, seed, folder) for seed in seeds]
    chains = [
        _kept(folder / f"chain_{seed}.json", partial(chain_rows, case, p, seed, folder))
        for seed, p in zip(seeds, parents, strict=True)
    ]
    return {
        "chain": [row for rows in chains for row in rows],
        "parts": _kept(folder / "parts.json", lambda: parts_table(case, parents[0])),
        "recovery": _kept(folder / "recovery.json", partial(recovery_table, case, parents[0], seeds[0]))
        if preset(case.name).recoveries
        else {},
        "overlap": overlap_table(parents, rates) if len(parents) > 1 else [],
    }


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    """Return a table from its file if it is there."""
    from models.pruning.report import without_nan

    if not path.is_file():
        path.write_text(json.dumps(without_nan(make())), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))

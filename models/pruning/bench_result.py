"""One result file a case: all rows, the dense parents, and the tables made once."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.pruning.bench import METHODS, SEEDS, Job
from models.pruning.sweep import preset_jobs

_TOLERATED = 0.05  # of the dense error
_AVERAGED = (
    "error", "parameters", "macs", "bytes", "gzip", "latency_us", "arena", "predicted_bytes", "predicted_arena",
)  # fmt: skip
# Half-width factor of a 95 % interval for a mean of n: Student's t over sqrt(n).
_T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}


def write_result(jobs: Sequence[Job], rows: list[dict[str, Any]], folder: Path, out: Path) -> Path:
    """Measure the dense parents, make the tables that are made once, and write ``pruning_<case>.json``."""
    from models.export.measure import latency_us
    from models.export.probes import conv_probe
    from models.pruning.bench import case_of, dense_parent, measured
    from models.pruning.bench_parts import extra_tables
    from models.pruning.report import without_nan

    first = jobs[0]
    subject = case_of(*first.case_options)
    seeds = tuple(s for s in dict.fromkeys(job.seed for job in jobs) if any(row["seed"] == s for row in rows))
    rates = tuple(dict.fromkeys(job.rate for job in jobs))
    entry = {
        "case": first.case,
        "command": _command(jobs),
        "unit": subject.unit,
        "mode": subject.mode,
        "epochs": {"dense": subject.epochs, "recovery": subject.recover_epochs},
        "notes": dict(subject.notes),
        "versions": {p: version(p) for p in ("tensorflow", "tf_keras", "ai-edge-litert", "numpy")},
        "floor_us": round(latency_us(conv_probe(1, 1, 1, 1, "float32"), 2000), 2),  # one operator on one number
        "dense": [{"seed": s} | measured(dense_parent(subject, s, folder), subject) for s in seeds],
        "rows": rows,
        **extra_tables(subject, folder, seeds, rates),
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"pruning_{first.case.replace('-', '_')}.json"
    path.write_text(json.dumps(without_nan(_short(entry)), separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def _command(jobs: Sequence[Job]) -> str:
    """Return the command line that makes these jobs: the case alone where they are those of its preset."""
    first = jobs[0]
    line = f"wristwise bench pruning {first.case}"
    seeds = tuple(dict.fromkeys(job.seed for job in jobs))
    own = set(preset_jobs(first.case, seeds))
    if own == set(jobs):
        return line if seeds == SEEDS else f"{line} --seeds {','.join(map(str, seeds))}"
    methods = list(dict.fromkeys(job.method.name for job in jobs))
    flags = [
        "" if methods == [m.name for m in METHODS] else f' --methods "{"; ".join(methods)}"',
        " --rates " + ",".join(f"{r:g}" for r in dict.fromkeys(job.rate for job in jobs)),
        " --seeds " + ",".join(map(str, seeds)),
        " --quick" * first.quick,
        *(
            f" --{name} {value}"
            for name, value in (
                ("recover", first.recover_epochs),
                ("epochs", first.epochs),
                ("per-set", first.per_set),
                ("max-rows", first.max_rows),
            )
            if value is not None
        ),
    ]
    return line + "".join(flags)


def _short(value: Any) -> Any:
    """Round floats to six significant digits: results are read by people, and diffs stay small."""
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_short(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """
    Return mean, low and high of a 95 % interval over seeds (Student's t); with one seed low and high are infinite.

    Examples
    --------
    >>> interval([1.0, 1.0, 1.0])
    (1.0, 1.0, 1.0)
    """
    values = np.asarray(differences, float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, -float("inf"), float("inf")
    factor = _T95.get(len(values), 2.0)
    half = factor * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def verdict(rise: float, low: float, base: float, n: int) -> tuple[bool, bool]:
    """
    Return (harmless, undecided) for a rise of the error over a dense error of `base`, `low` end of its interval.

    An interval over three seeds may cover zero only because it is wide: then the seeds say nothing.

    Examples
    --------
    >>> verdict(0.01, -0.1, 1.0, 3), verdict(0.4, -0.1, 1.0, 3), verdict(0.4, 0.2, 1.0, 3)
    ((True, False), (False, True), (False, False))
    """
    covers = n > 1 and low <= 0
    small = rise <= _TOLERATED * base
    return covers and small, covers and not small


def summary(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Return one line per method and rate: means over seeds, and the paired difference of error to the dense parent.

    `harmless` says that the interval covers zero or lies below and the mean rise is at most a twentieth of the dense
    error; `undecided` that only the first holds: the seeds differ too much to tell. `bought` says that bytes, gzip,
    latency or arena fell by 2 % or more.
    """
    dense = {d["seed"]: d for d in entry["dense"]}
    keys = dict.fromkeys((r["method"], r["rate"]) for r in entry["rows"])
    lines = []
    for method, rate in keys:
        own = [r for r in entry["rows"] if (r["method"], r["rate"]) == (method, rate)]
        mean, low, high = interval([r["error"] - dense[r["seed"]]["error"] for r in own])
        line: dict[str, Any] = {"method": method, "rate": rate, "n": len(own), "rise": mean, "low": low, "high": high}
        for key in _AVERAGED:
            values = [r[key] for r in own if r.get(key) is not None]
            line[key] = float(np.mean(values)) if values else float("nan")
        base = float(np.mean([d["error"] for d in entry["dense"]]))
        line["harmless"], line["undecided"] = verdict(mean, low, base, len(own))
        line["bought"] = any(
            line[k] < 0.98 * float(np.mean([d[k] for d in entry["dense"] if d.get(k) is not None] or [np.nan]))
            for k in ("bytes", "gzip", "latency_us", "arena")
        )
        lines.append(line)
    return lines

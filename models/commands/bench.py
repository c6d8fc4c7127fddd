"""`wristwise bench`: the tables and pictures of docs/pruning.md, from committed code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Benchmarks: what the tables of the docs are made of.")

_RESULTS = Path("benchmarks/results")
_WORK = Path("runs/bench")


@app.command("pruning")
def pruning(
    cases: Annotated[list[str], typer.Argument(help="Tasks with a network, or cnn, lstm, bilstm, two-branch.")],
    rates: Annotated[str, typer.Option(help="Shares of the parameters to remove, instead of the preset's.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds.")] = "0,1,2",
    methods: Annotated[str, typer.Option(help="Only methods whose name holds one of these, with semicolons.")] = "",
    jobs: Annotated[int, typer.Option(help="Local processes.")] = 1,
    cluster: Annotated[str | None, typer.Option(help="Dask scheduler, tcp://host:port.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Four recordings a data set, few epochs.")] = False,
    only_finished: Annotated[
        bool, typer.Option("--finished", help="Run nothing: write the jobs that are done.")
    ] = False,
    recover: Annotated[int | None, typer.Option(help="Epochs of recovery.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the dense parent.")] = None,
    per_set: Annotated[int | None, typer.Option(help="At most so many recordings of each data set.")] = None,
    max_rows: Annotated[int | None, typer.Option(help="At most so many training rows.")] = None,
    out: Annotated[Path, typer.Option(help="Where result files go.")] = _RESULTS,
    work: Annotated[Path, typer.Option(help="Where finished jobs are kept, to resume from.")] = _WORK / "pruning",
) -> None:
    """
    Methods x rates x seeds on each case; an interrupted sweep goes on where it was.

    Without options it runs the case's preset (models/pruning/presets.py): what the committed result was made with.
    """
    from models.pruning.bench_result import write_result
    from models.pruning.errors import PruningError
    from models.pruning.sweep import asked_jobs, finished, sweep
    from models.tensorflow_setup import quiet

    quiet()
    given = {"recover_epochs": recover, "epochs": epochs, "per_set": per_set, "max_rows": max_rows}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if quick:
        options["quick"] = True
    for case in cases:
        folder = work / (case + ("-quick" if quick else ""))
        table = list(asked_jobs(case, methods, _numbers("--rates", rates), _numbers("--seeds", seeds), **options))
        if only_finished:
            rows = finished(table, folder)
            if not rows:
                raise PruningError(f"{folder} holds no finished job of {case!r}; run it without --finished first")
        else:
            rows = sweep(table, folder, n_jobs=jobs, cluster=cluster, say=lambda line: typer.echo(line, err=True))
        path = write_result(table, rows, folder, out)
        typer.echo(f"{len(rows)} rows in {path}")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    from models.pruning.errors import PruningError

    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise PruningError(f"{option} must be numbers with commas, such as 0.5,0.8; got {text!r}") from error


@app.command("applications")
def applications(
    names: Annotated[list[str] | None, typer.Argument(help="Families, default: all.")] = None,
    out: Annotated[Path, typer.Option(help="Where the result file goes.")] = _RESULTS,
) -> None:
    """Halve the channels of every family of tf_keras.applications and compare with the masked twin."""
    from models.pruning.applications import FAMILIES, TOLERANCE, try_family
    from models.pruning.report import without_nan
    from models.tensorflow_setup import quiet

    quiet()
    rows = []
    for name in names or FAMILIES:
        outcome = try_family(name)
        rows.append(outcome.as_dict())
        typer.echo(f"{name:<20} {'works' if outcome.works else outcome.reason} ({outcome.seconds:.1f} s)")
    out.mkdir(parents=True, exist_ok=True)
    entry = without_nan({"command": "wristwise bench applications", "tolerance": TOLERANCE, "rows": rows})
    (out / "applications.json").write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")


@app.command("pages")
def pages(
    results: Annotated[Path, typer.Option(help="Where result files are.")] = _RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of the documentation.")] = Path("docs"),
) -> None:
    """Write the tables and pictures of docs/pruning.md from the result files."""
    from models.pruning.bench_pages import write_pages

    typer.echo(f"written: {', '.join(str(p) for p in write_pages(results, docs))}")


@app.command("heart-rate")
def heart_rate(
    peers: Annotated[bool, typer.Option("--peers", help="neurokit2 and heartpy on the same windows.")] = False,
    out: Annotated[Path, typer.Option(help="Where finished trainings are kept.")] = _WORK / "heart-rate",
) -> None:
    """Folds by subject over three seeds (resumes; an hour), or --peers: other people's tools (three minutes)."""
    with _source_tree("train,peers"):
        from benchmarks import heart_rate as folds
        from benchmarks import peers_heart_rate
    if peers:
        peers_heart_rate.main()
    else:
        folds.bench(out)


@app.command("sleep")
def sleep(
    peers: Annotated[
        bool, typer.Option("--peers", help="Cole-Kripke, Sadeh, Oakley and default boosting on the same nights anew.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Folds by subject; 21 leave one out at a time.")] = 7,
    seeds: Annotated[str, typer.Option(help="Seeds.")] = "0,1,2",
    out: Annotated[Path, typer.Option(help="Where finished trainings are kept.")] = _WORK / "sleep",
) -> None:
    """Each night by networks that never saw its wearer (resumes; half an hour), and the peers beside it."""
    with _source_tree("train"):
        from benchmarks import sleep as nights
        from benchmarks.folds import write
    chosen = tuple(int(seed) for seed in _numbers("--seeds", seeds))
    result = nights.bench(out, peers=peers, seeds=chosen, folds=folds)
    write(nights.RESULT, result)
    table = {"ours, finished night": result["whole_night"], "ours, as it goes": result["causal"], **result["peers"]}
    for name, row in table.items():
        figures = [f"{k} {row[k]:.3f}" for k in ("kappa_2", "kappa_3", "kappa_4") if row.get(k) is not None]
        typer.echo(f"{name:<32} {'  '.join(figures)}")


@app.command("beats")
def beats(
    peers: Annotated[bool, typer.Option("--peers", help="Also wfdb, neurokit2, sleepecg, biosppy, heartpy.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Two records, nothing written.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """R peaks of mitdb, plain and disturbed, and processor time for a day; with --peers (some minutes) others' too."""
    with _source_tree("train"):
        from benchmarks import ecg
        from benchmarks.folds import write
    if peers:
        _require_peers()
    result = ecg.bench(peers=peers, quick=quick)
    if not quick:
        write(ecg.RESULT, result)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    for name, row in result["mitdb_ds1"].items():
        typer.echo(f"{name:<38} F1 {100 * row['f1']:6.2f} %  {row['cpu_s_a_day']:8.2f} s a day")
    for name, row in result["disturbed_f1"].items():
        typer.echo(f"{name:<38} " + "  ".join(f"{who.split(' (')[0]} {100 * f1:.2f}" for who, f1 in row.items()))


@contextmanager
def _source_tree(extras: str) -> Iterator[None]:
    """Say in one sentence what a benchmark needs that is not here."""
    from data.errors import MissingExtraError

    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"this benchmark needs the source tree with its extras ({error}); clone the repository and run: "
            f"pip install -e '.[{extras}]'"
        ) from error


def _require_peers() -> None:
    from importlib.util import find_spec

    from data.errors import MissingExtraError

    absent = [name for name in ("neurokit2", "sleepecg", "biosppy", "heartpy") if find_spec(name) is None]
    if absent:
        raise MissingExtraError(f"--peers needs {', '.join(absent)}; run: pip install 'wristwise[peers]'")

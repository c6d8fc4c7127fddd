"""`wristwise run TASK` and its first stage alone, `wristwise train TASK`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Task = Annotated[str, typer.Argument(help="Which task, for example heart-rate.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Quick = Annotated[bool, typer.Option("--quick", help="A small slice and few epochs: under three minutes.")]
OpenData = Annotated[bool, typer.Option("--open-data", help="Only data sets under an open licence.")]

_QUICK_PER_SET = 4  # recordings of each set in a quick run


def run(
    task: Task,
    out: Annotated[Path | None, typer.Option(help="Folder of the run, default runs/TASK.")] = None,
    seed: Seed = 0,
    folds: Annotated[int, typer.Option(help="Folds by subject for the figures; 0: none.")] = 4,
    quick: Quick = False,
    open_data: OpenData = False,
) -> None:
    """Data to bundle: load, prepare, split by subject, train, prune, int8, gate, evaluate, report."""
    from data.location import data_root
    from models.networks.registry import recipe
    from models.progress import bar, status
    from models.run.loading import load
    from models.run.pipeline import RunConfig, name_of
    from models.run.pipeline import run as run_all
    from models.run.report import write_report
    from models.tensorflow_setup import quiet

    quiet()
    chosen = recipe(task)
    folder = out or Path("runs") / (name_of(chosen) + ("-quick" if quick else ""))
    config = RunConfig(seed, min(folds, 2) if quick else folds, quick, open_data)
    with status("loading") as say:
        per_set = _QUICK_PER_SET if quick else None
        recordings = load(chosen, data_root(), open_data=open_data, per_set=per_set, on_recording=say)
    with bar(f"run {chosen.task.name}") as advance:
        bundle = run_all(chosen, recordings, config, folder, advance)
    report = write_report(bundle, folder, getattr(chosen, "pictures", None))
    typer.echo(f"bundle {bundle.folder} ({bundle.card['sizes']['tflite_bytes']} bytes), report {report}")


def train(
    task: Task,
    out: Annotated[Path, typer.Option(help="Where to save the dense model (.keras).")],
    seed: Seed = 0,
    quick: Quick = False,
    open_data: OpenData = False,
) -> None:
    """Train the dense parent on all subjects and save it; then `wristwise prune` and `wristwise export` take it."""
    from data.location import data_root
    from models.networks.registry import recipe
    from models.progress import bar, status
    from models.run import stages
    from models.run.loading import load
    from models.tensorflow_setup import quiet

    quiet()
    chosen = recipe(task)
    with status("loading") as say:
        per_set = _QUICK_PER_SET if quick else None
        recordings = load(chosen, data_root(), open_data=open_data, per_set=per_set, on_recording=say)
    examples = chosen.examples(recordings, seed=seed)
    with bar(f"train {chosen.task.name}") as advance:
        epochs = chosen.quick_epochs if quick else chosen.epochs
        dense = stages.train(chosen, examples, seed=seed, epochs=epochs, progress=advance)
    out.parent.mkdir(parents=True, exist_ok=True)
    dense.save(out)
    typer.echo(f"dense model {out}: {dense.count_params()} parameters, {len(examples)} windows")

"""`wristwise watch`: a mock watch that lives through a recording and sends it to a server."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from data.recording import Recording
    from services.watch import FaultPlan, PairingCode, Progress, WatchReport

Server = Annotated[str, typer.Option(help="Address of the service.")]
User = Annotated[str, typer.Option(help="Account that approves the watch when WRISTWISE_WEARER_SECRET is set.")]


def watch(
    server: Server = "http://127.0.0.1:8080",
    recording: Annotated[str, typer.Option(help="A WFDB record, path without extension.")] = "synthetic",
    speed: Annotated[float, typer.Option(help="Device seconds a second; 0: as fast as it goes.")] = 60.0,
    drop: Annotated[float, typer.Option(help="Probability that a batch or its answer is lost.")] = 0.0,
    duplicate: Annotated[float, typer.Option(help="Probability that a batch arrives twice.")] = 0.0,
    offline: Annotated[float, typer.Option(help="Device seconds without a network.")] = 0.0,
    faults: Annotated[Path | None, typer.Option(help="Fault script, JSON or YAML (docs/mock-watch.md).")] = None,
    keep_faults: Annotated[Path | None, typer.Option(help="Write what happened as a script to replay.")] = None,
    edge: Annotated[bool, typer.Option("--edge", help="Infer on the wrist; raw signals stay there.")] = False,
    infer: Annotated[bool, typer.Option("--infer", help="Infer on the wrist too; compare with the server.")] = False,
    model_key: Annotated[str, typer.Option(help="Maker's Ed25519 key, hexadecimal: models over the air.")] = "",
    runtime: Annotated[str, typer.Option(help="What runs the models on the wrist: exact, micro or litert.")] = "exact",
    tasks: Annotated[str, typer.Option(help="What the wrist infers, separated by commas; else all live tasks.")] = "",
    seed: Annotated[int, typer.Option(help="Decides faults, jitter and the synthetic wearer.")] = 0,
    minutes: Annotated[float, typer.Option(help="Length of the synthetic recording.")] = 10.0,
    state: Annotated[Path | None, typer.Option(help="Folder that keeps outbox and tokens between runs.")] = None,
    user: User = "owner",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Let a mock watch live through a recording and sync it, over a link as bad as you ask for."""
    from models.progress import bar
    from models.runtime import runtime_name
    from services.watch import RunOptions, run_watch

    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
    options = RunOptions(
        seed=seed, drop=drop, duplicate=duplicate, offline=offline, faults=_plan(faults), edge=edge,
        infer=infer, runtime=runtime_name(runtime), model_key=model_key, state_dir=state,
        tasks=_tasks(tasks),
    )  # fmt: skip
    worn = open_recording(recording, seed, minutes * 60.0)
    with bar(f"watch {worn.id}") as advance:

        def show(progress: Progress) -> None:
            advance(progress.device_s / progress.end_s, words(progress))

        report = run_watch(
            server, worn, speed or math.inf, on_progress=show, on_code=code_shower(server, user), options=options
        )
    if keep_faults is not None:
        keep_faults.write_text(json.dumps({"seed": seed, "script": [f.line() for f in report.faults]}, indent=1))
    typer.echo(json.dumps(report.body(), indent=1) if as_json else sentence(report))
    if infer and not as_json:
        typer.echo("\n".join(agreements(server, user, report)))
    if not report.complete:
        raise typer.Exit(1)


def open_recording(name: str, seed: int, seconds: float, *, eventful: bool = True) -> Recording:
    """Return the recording of that path, or a synthetic one of `seconds`: a day with a fall if there is time for it.

    Raises
    ------
    RecordingError
        If there is no WFDB record of that name.
    """
    if name == "synthetic":
        from data.synthetic.day import day
        from data.synthetic.wearer import wearer

        if eventful and seconds >= 600.0:
            return day(minutes=seconds / 60.0, seed=seed)
        return wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=seconds, seed=seed)
    from data.wfdb_folder import read_record

    path = Path(name)
    path = path.with_suffix("") if path.suffix == ".hea" else path
    if not path.with_name(path.name + ".hea").is_file():
        raise RecordingError(f"no WFDB record at {path}.hea; name a record without its extension, or: synthetic")
    return read_record(path)


def code_shower(server: str, user: str) -> Callable[[PairingCode], None]:
    """Return what is done with a pairing code: approved with WRISTWISE_WEARER_SECRET, else shown to the wearer."""
    secret = os.environ.get("WRISTWISE_WEARER_SECRET", "")
    if secret:
        from services.watch import Companion

        return Companion(server, user, secret).approve

    def show(code: PairingCode) -> None:
        typer.echo(f"Pair this watch: enter {code.user_code} at {code.verification_uri}", err=True)

    return show


def agreements(server: str, user: str, report: WatchReport, patience_s: float = 60.0) -> list[str]:
    """Return, a line a kind, how the watch's estimates compare with the server's, once that has computed them."""
    secret = os.environ.get("WRISTWISE_WEARER_SECRET", "")
    if not secret:
        return ["set WRISTWISE_WEARER_SECRET to see how the server's estimates compare with the watch's"]
    from services.watch import Companion
    from services.watch.compare import compare
    from services.watch.compare import sentence as agreement

    companion = Companion(server, user, secret)
    try:
        path = f"/v1/manifest?device_id={report.device_id}"
        companion.wait_until(lambda: companion.call("GET", path)["complete"], patience_s)
        found = compare(report, companion.records())
    finally:
        companion.close()
    return [agreement(a) for a in found] or [
        "the watch inferred nothing: no task fits its channels, or none is shipped"
    ]


def words(progress: Progress) -> str:
    """Return the progress in a few words."""
    tally = progress.tally
    failed = sum(n for answer, n in tally.answers.items() if answer != "200")
    return f"{tally.stored} chunks stored, {progress.waiting} waiting, {failed} failed tries"


def sentence(report: WatchReport) -> str:
    """Return the report in a few lines."""
    tally, sensed = report.tally, report.sensed
    failed = sum(n for answer, n in tally.answers.items() if answer != "200")
    proof = " (the server's manifest agrees)" if report.lacking == [] else ""
    verdict = (
        f"nothing was lost{proof}" if report.complete else f"{report.waiting} waiting, {len(report.refused)} refused"
    )
    lines = [
        f"{report.device_id}: {report.seconds / 60:.1f} min sensed, {sensed['chunks']} chunks, "
        f"{sensed['samples']:,} samples in {sensed['bytes'] / 1e6:.2f} MB",
        f"sent {tally.bytes_sent / 1e6:.2f} MB in {tally.requests} requests, {failed} failed: "
        f"{tally.stored} chunks stored, {tally.duplicates} recognised as duplicates, {tally.records} records; "
        f"{verdict}",
        f"battery {report.battery_level:.1%}, a full charge would last {report.battery_days:.1f} days (a stated model)",
    ]
    if report.edge:
        share = tally.bytes_sent / max(1, sensed["bytes"])
        lines.append(
            f"edge mode: {sensed['bytes']:,} bytes of raw signal stayed on the wrist, {tally.bytes_sent:,} bytes of "
            f"records left it ({share:.1%})"
        )
    lines += [f"model of {task}: {what}" for task, what in report.models.items()]
    lines += [f"on the wrist: {word}" for word in report.reminders]
    lines += [f"refused {what}: {why}" for what, why in report.refused.items()]
    return "\n".join(lines)


def _plan(path: Path | None) -> FaultPlan | None:
    if path is None:
        return None
    from services.watch import FaultPlan

    return FaultPlan.read(path)


def _tasks(wanted: str) -> tuple[str, ...]:
    from pipelines.registry import TASKS
    from services.watch.inference import LIVE_TASKS

    return tuple(TASKS[name.strip()].name for name in wanted.split(",")) if wanted else LIVE_TASKS

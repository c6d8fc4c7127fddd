"""
Wristwise: signals from the wrist in; heart rate, sleep and fall alerts out; models pruned until they fit a watch.

Examples
--------
>>> import wristwise
>>> sorted(wristwise.tasks())  # doctest: +SKIP
['activity', 'beats', 'fall-detection', 'heart-rate', 'sleep-staging', 'steps']
>>> recording = wristwise.read("my_records/walk_1")  # doctest: +SKIP
>>> estimates = wristwise.infer("heart-rate", recording)  # doctest: +SKIP
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from data.commands import app as data_app
from data.errors import WristwiseError
from models.commands.bench import app as bench_app
from models.commands.compress import compress as compress_command
from models.commands.compress import decompress as decompress_command
from models.commands.compress import export as export_command
from models.commands.compress import gate as gate_command
from models.commands.evaluate import evaluate as evaluate_command
from models.commands.night import night as night_command
from models.commands.prune import prune as prune_command
from models.commands.run import run as run_command
from models.commands.run import train as train_command
from services.commands import serve as service_commands
from services.commands import upkeep as upkeep_commands
from services.commands.companion import companion as companion_command
from services.commands.demo import demo as demo_command
from services.commands.fleet import fleet as fleet_command
from services.commands.mock_person import mock_person as mock_person_command
from services.commands.watch import watch as watch_command

if TYPE_CHECKING:
    from data.recording import Recording
    from pipelines.task import Estimate

__version__ = "0.1.0"
# In the tree this is a module, in the wheel a package. The entry point of the pytest plugin names
# `wristwise.services.pytest_plugin`, which must be found in both.
__path__ = [str(Path(__file__).parent)]
__all__ = ["WristwiseError", "__version__", "infer", "main", "read", "tasks"]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="The open, end-to-end backend for wearables.",
)  # fmt: skip
app.add_typer(data_app, name="data")
app.command("demo")(demo_command)
app.command("companion")(companion_command)
app.command("run")(run_command)
app.command("train")(train_command)
app.command("evaluate")(evaluate_command)
app.command("night")(night_command)
app.command("export")(export_command)
app.command("gate")(gate_command)
app.command("compress")(compress_command)
app.command("decompress")(decompress_command)
app.command("prune")(prune_command)
app.add_typer(bench_app, name="bench")
app.command("watch")(watch_command)
app.command("fleet")(fleet_command)
app.command("mock-person")(mock_person_command)
app.command("serve")(service_commands.serve)
app.command("api")(service_commands.api)
app.command("worker")(service_commands.worker)
app.add_typer(service_commands.users, name="user")
app.command("backfill")(upkeep_commands.backfill)
app.command("backup")(upkeep_commands.backup)
app.command("retention")(upkeep_commands.retention)
app.add_typer(upkeep_commands.model, name="model")


def tasks() -> tuple[str, ...]:
    """Return the names of all tasks."""
    from pipelines.registry import TASKS

    return tuple(TASKS)


def read(path: str | Path) -> Recording:
    """Return one WFDB record as a `Recording`; `path` without its extension."""
    from data.wfdb_folder import read_record

    return read_record(Path(path))


def infer(
    task: str, recording: Recording, *, bundle: str | Path | None = None, offline: bool = False
) -> list[Estimate]:
    """
    Return what `task` says of `recording`, by the shipped bundle or by the one named.

    Raises
    ------
    WristwiseError
        One sentence on what is wrong and what to do.
    """
    from models.evaluate import infer as run
    from models.evaluate import open_model
    from pipelines.registry import TASKS

    chosen = TASKS[task]
    return run(chosen, recording, open_model(chosen, Path(bundle) if bundle else None), offline=offline)


def main() -> None:
    """Run the command line: a mistake of the user's ends in one sentence and exit code 2."""
    try:
        app()
    except WristwiseError as error:
        sys.stderr.write(f"wristwise: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("wristwise: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()

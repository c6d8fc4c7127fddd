"""What `deploy/` starts exists, and is started with options and settings that it knows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import typer

import wristwise
from services.sync.config import Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


def parse(arguments: list[str]) -> None:
    """Parse a command line as `wristwise` does, and do nothing."""
    command = typer.main.get_command(wristwise.app)
    context = typer.Context(command)
    name, found, rest = command.resolve_command(context, arguments)  # type: ignore[attr-defined]
    assert found is not None, arguments
    found.make_context(name, rest, parent=context)


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert Path(program).name == "wristwise"
    parse(arguments)
    known = {f"WRISTWISE_{f.name.upper()}" for f in fields(Settings)}
    assert set(re.findall(r"WRISTWISE_[A-Z_]+", text)) <= known


def test_the_container_starts_a_command_that_there_is() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    assert json.loads(entry) == ["wristwise"]
    parse(json.loads(command))
    assert "USER wristwise" in text


def test_the_timer_starts_a_unit_that_there_is() -> None:
    for timer in DEPLOY.glob("*.timer"):
        assert timer.with_suffix(".service") in UNITS


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    try:
        subprocess.run(["systemd-analyze", "--version"], check=True, capture_output=True)
    except OSError:
        pytest.skip("systemd is not installed")
    for unit in UNITS:
        # The program of a unit must exist to be verified; any that is there will do.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text)
        done = subprocess.run(["systemd-analyze", "verify", tmp_path / unit.name], capture_output=True, text=True)
        said = [line for line in done.stderr.splitlines() if unit.name in line]
        assert said == [], done.stderr

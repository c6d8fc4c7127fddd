"""`kill -9` and power cuts, in small; docs/reliability.md has the large runs of the same commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(module: str, *options: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *options, "--no-result"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_doubled_or_left_undone_when_processes_are_killed(store: str) -> None:
    if store == "postgresql" and not list(Path("/usr/lib/postgresql").glob("*/bin")):
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    run("service_crash", "--store", store, "--kills", "8")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to build powercut.c")
def test_nothing_acknowledged_is_lost_when_the_power_goes() -> None:
    run("service_powercut", "--cuts", "8", "--batches", "8")

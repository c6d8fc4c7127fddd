"""The page about the mock watch says what is true: its example runs, its tables are whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from build_hook import lay_out
from services.watch.faults import DEVICE_FAULTS, UPLOAD_FAULTS, FaultPlan

ROOT = Path(__file__).parents[3]
PLUGIN = "wristwise.services.pytest_plugin"
PAGE = (ROOT / "docs" / "mock-watch.md").read_text(encoding="utf-8")


def _plugin() -> list[str]:
    """Name the plugin where Wristwise is not installed; where it is, its entry point loads it already."""
    installed = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
    return [] if installed else ["-p", PLUGIN]


def test_the_example_runs_in_a_project_that_has_services_and_data_of_its_own(tmp_path: Path) -> None:
    example = re.search(r"<!-- the next block is run.*?-->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    lay_out(ROOT, tmp_path / "published")
    project = tmp_path / "project"
    for room in ("services", "data"):
        (project / room).mkdir(parents=True)
        (project / room / "__init__.py").write_text("OWNER = 'somebody else'\n")
    own = "import services\n\n\ndef test_my_rooms_are_mine():\n    assert services.OWNER == 'somebody else'\n\n\n"
    (project / "test_my_app.py").write_text(own + example.group(1))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *_plugin(), "-p", "no:cacheprovider"],
        cwd=project, env={**clean, "PYTHONPATH": f"{tmp_path / 'published'}{os.pathsep}{project}"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_every_fault_is_in_the_tables() -> None:
    assert [name for name in [*UPLOAD_FAULTS, *DEVICE_FAULTS] if f"`{name}`" not in PAGE] == []


def test_the_script_in_the_page_is_one_that_can_be_read(tmp_path: Path) -> None:
    script = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert script is not None
    path = tmp_path / "faults.yaml"
    path.write_text(script.group(1))
    plan = FaultPlan.read(path)
    assert len(plan.script) == 6
    assert plan.rates["429"] == 0.02

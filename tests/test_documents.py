"""What the documents say is so: figures come from result files, links lead somewhere, commands exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_table_of_goals_shows_its_result_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tables", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda p: p.stem)
def test_every_result_names_commands_that_exist(path: Path) -> None:
    for goal in json.loads(path.read_text(encoding="utf-8")).get("goals", []):
        module = re.search(r"python -m (benchmarks\.\w+)", goal.get("command", ""))
        if module:
            assert (ROOT / (module[1].replace(".", "/") + ".py")).is_file(), goal["command"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_local_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [t for t in targets if "://" not in t and not t.startswith("mailto:") and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_wristwise_command_in_the_documents_exists(page: Path) -> None:
    from typer.main import get_command

    from wristwise import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"(?:^|`|\n\s*)wristwise ([a-z][a-z-]+)", page.read_text(encoding="utf-8")))
    assert named <= known

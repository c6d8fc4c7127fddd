"""Write the tables of README and docs from benchmarks/results: no figure there is typed by hand."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"(<!-- goals: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.S)


def goals_table(name: str) -> str:
    """Return the table of goals of one result file as Markdown."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return "Not measured yet.\n"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not result.get("goals"):
        return f"See `benchmarks/results/{name}.json`.\n"
    rows = ["| goal | wanted | measured | reached | command |", "|---|---|---|---|---|"]
    for goal in result["goals"]:
        interval = f" ({goal['interval']})" if goal.get("interval") else ""
        told = goal.get("reached")  # a word where the data do not decide
        reached = told if isinstance(told, str) else {True: "yes", False: "**no**", None: "–"}[told]
        command = f"`{goal['command']}`" if goal.get("command") else ""
        rows.append(f"| {goal['goal']} | {goal['target']} | {goal['measured']}{interval} | {reached} | {command} |")
    return "\n".join(rows) + "\n"


def rendered(text: str) -> str:
    """Return a page with every block of goals renewed."""
    return _BLOCK.sub(lambda m: m[1] + goals_table(m["name"]) + m[3], text)


def main() -> int:
    """Renew the pages; with --check, say which are out of date and return 1."""
    stale = [page for page in PAGES if rendered(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")]
    if "--check" in sys.argv:
        for page in stale:
            sys.stderr.write(f"{page.relative_to(ROOT)} does not show benchmarks/results; run make docs\n")
        return 1 if stale else 0
    for page in stale:
        page.write_text(rendered(page.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"renewed {page.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

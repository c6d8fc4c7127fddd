"""`make bench`: every benchmark in turn, each resumable; says what failed at the end and goes on meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Not measurements: what writes tables, pictures and fitted numbers from them, or is shared by the others.
NOT_RUN = frozenset({"__init__", "all", "tables", "screenshots"})


def modules() -> list[str]:
    """Return the names of the benchmarks: every module here that says it is one by having a `RESULT`."""
    return [
        path.stem
        for path in sorted(HERE.glob("*.py"))
        if path.stem not in NOT_RUN and "\nRESULT" in path.read_text(encoding="utf-8")
    ]


def main() -> int:
    """Run them all, or those that are named; return how many failed."""
    failed = []
    for name in sys.argv[1:] or modules():
        sys.stdout.write(f"benchmarks.{name}\n")
        sys.stdout.flush()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}; each can be run again alone and resumes\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())

"""
Messages in any order, cut otherwise, again and again: the end state must be the same text (a Hypothesis state machine).

    python -m benchmarks.service_any_order --examples 250

Runs the machine of `tests/services/sync/test_any_order.py`, of which the test suite tries a tenth.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from benchmarks.service_store import write_result

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "service_any_order.json"
TEST = "tests/services/sync/test_any_order.py"
COMMAND = "python -m benchmarks.service_any_order"


def run(examples: int) -> dict[str, Any]:
    """Run `examples` sequences and return what was done, and what went wrong (nothing: empty)."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", TEST, f"--junitxml={report}", "-o", "junit_family=xunit1"],
            cwd=ROOT, env={**os.environ, "WRISTWISE_ANY_ORDER_EXAMPLES": str(examples)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        told = ElementTree.parse(report).getroot().iter("property") if report.exists() else ()
        counts = {p.attrib["name"]: int(p.attrib["value"]) for p in told}
    wrong = done.stdout[-3000:] if done.returncode else ""
    return {"examples": examples, **counts, "wrong": wrong, "seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    """Run and write the result; the exit code is 1 where a sequence ended in another state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=250)
    parser.add_argument("--no-result", action="store_true", help="print only")
    options = parser.parse_args()
    found = run(options.examples)
    same = f"identical after {found.get('sequences', 0):,} sequences, {found.get('deliveries', 0):,} deliveries"
    found["goals"] = [
        {
            "goal": "any order, duplication and loss of messages (Hypothesis state machine)",
            "target": "byte-identical end state", "command": COMMAND, "reached": not found["wrong"],
            "measured": "another state: see the result file" if found["wrong"] else same,
        }
    ]  # fmt: skip
    if options.no_result:
        print(found)
    else:
        write_result(RESULT.stem, found)
    raise SystemExit(bool(found["wrong"]))


if __name__ == "__main__":
    main()

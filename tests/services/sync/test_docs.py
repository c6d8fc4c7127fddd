"""The page about the service is true: its curl examples run as they stand, from pairing to the first heart rate."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PAGES_PORT = "8080"


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which `wristwise` is this checkout's and `python3` any Python."""
    program = folder / "bin" / "wristwise"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "wristwise.py"} "$@"\n')
    program.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WRISTWISE_", "PYTEST"))}
    return {**kept, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@contextmanager
def served(command: str, port: str, folder: Path, env: dict[str, str]) -> Iterator[None]:
    """Run the page's own command until the end of the block, once the service says that it is ready."""
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command.strip()}"], cwd=folder, env=env, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    break
            except (URLError, ConnectionError, TimeoutError):
                said = (folder / "serve.log").read_text()
                assert server.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def test_the_curl_examples_lead_from_pairing_to_the_first_heart_rate(tmp_path: Path) -> None:
    try:
        subprocess.run(["curl", "--version"], check=True, capture_output=True)
    except OSError:
        pytest.skip("curl is not installed (apt-get install curl)")
    serve, *steps = BLOCKS
    assert serve.startswith("wristwise serve")
    port, env = free_port(), environment(tmp_path)
    # `$PAGE` is the page's last answer of the feed; what the blocks print before it is for the eyes of who tries them.
    script = "set -euo pipefail\n" + "\n".join(steps) + '\nprintf %s "$PAGE" > page.json\n'
    with served(serve.replace(PAGES_PORT, port), port, tmp_path, env):
        done = subprocess.run(
            ["bash", "-c", script.replace(PAGES_PORT, port)],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "serve.log").read_text()
    page = json.loads((tmp_path / "page.json").read_text())
    rates = [change for change in page["changes"] if change["kind"] == "heart_rate"]
    assert rates, page
    assert {r["source"]["device_id"] for r in rates} == {"my-watch-1"}
    assert rates[-1]["value"] == pytest.approx(72, abs=2)
    assert '"missing":[]' in done.stdout


def test_each_step_of_the_way_is_shown_with_curl() -> None:
    steps = "\n".join(BLOCKS)
    for address in (
        "/v1/sessions", "/oauth/device_authorization", "/v1/pairings/", "/oauth/token", "/v1/batches", "/v1/changes",
        "/v1/series/heart_rate", "/v1/records", "/v1/manifest",
    ):  # fmt: skip
        assert f"$URL{address}" in steps, address


def test_every_complaint_in_the_table_is_a_test() -> None:
    folder = Path(__file__).parent
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = page[page.index("## Complaints") : page.index("## Not reached")]
    rows = re.findall(r"^\| [^|]+ \| `(test_\w+)`(?: \(`(\w+\.py)`\))? \|$", table, re.MULTILINE)
    assert len(rows) == table.count("\n| ") - 1  # all but the head
    for name, file in rows:
        assert f"\ndef {name}(" in (folder / (file or "test_complaints.py")).read_text(encoding="utf-8"), name
    assert len(rows) >= 20

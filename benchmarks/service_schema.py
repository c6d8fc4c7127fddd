"""
Schemathesis over the whole OpenAPI description of a running service.

    python -m benchmarks.service_schema --store sqlite --examples 30

Each operation is called with data that fit the description and data that do not, as a companion and as a watch; a
5xx, an undescribed status, type of content or body is a failure.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.pulse_task import pulse_ability
from benchmarks.service_store import SECRET, empty_store, goal, write_result
from services.store import accounts
from services.store.migrate import open_store
from services.sync.config import Settings
from services.sync.server import running

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,ignored_auth,allow_header_conformance"
)
# Streams do not end by themselves, and an account that deletes itself leaves nobody to ask.
LEFT_OUT = ("/v1/live", "/v1/me")


def run(url: str, examples: int, scope: str) -> tuple[int, str]:
    """Run against a service on the store `url` with a token of `scope`; return (exit code, report)."""
    settings = Settings(store=url, secret=SECRET, rate_per_minute=0, signin_per_minute=0, max_wait_s=0)
    with running(settings, [pulse_ability()]) as service:
        user_id, _ = service.store.write(lambda c: accounts.create_user(c, f"schema-{scope}"))
        device = "watch-1" if scope == "watch" else None
        token = service.store.write(lambda c: accounts.issue(c, user_id, scope, "bench", device)).access_token
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "run", f"{service.url}/openapi.json", "--checks", CHECKS,
            "-H", f"Authorization: Bearer {token}", "-n", str(examples), "--phases", "examples,coverage,fuzzing",
            "--continue-on-failure", "--seed", "1", "--no-color", "--warnings", "off",
            *(part for path in LEFT_OUT for part in ("--exclude-path", path)),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd="/tmp")
    return done.returncode, done.stdout + done.stderr


def main() -> None:
    """Run on one store and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--examples", type=int, default=30)
    parser.add_argument("--no-result", action="store_true", help="print the reports only")
    options = parser.parse_args()
    started, reports, codes = time.monotonic(), [], []
    with empty_store(options.store) as url:
        open_store(url).close()
        for scope in ("companion", "watch"):
            code, report = run(url, options.examples, scope)
            codes.append(code)
            reports.append(report)
    text = "\n".join(reports)
    if options.no_result or any(codes):
        print(text)
    cases = [int(n) for n in re.findall(r"(\d+) generated", text)]
    if not options.no_result:
        failures, errors = len(re.findall(r"^_+ .* _+$", text, re.M)), text.count("Server error")
        command = f"python -m benchmarks.service_schema --store {options.store}"
        name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[options.store]
        write_result(
            f"service_schema_{options.store}",
            {
                "store": options.store, "cases": sum(cases), "failures": failures, "server_errors": errors,
                "exit_codes": codes, "seconds": round(time.monotonic() - started, 1),
                "goals": [
                    goal(
                        f"schemathesis over the whole OpenAPI, {name}", "no failure, no 5xx",
                        f"{failures} failures, {errors} server errors in {sum(cases):,} cases", not any(codes), command,
                    )
                ],
            },
        )  # fmt: skip
    sys.exit(max(codes))


if __name__ == "__main__":
    main()

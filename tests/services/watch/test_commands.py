"""`wristwise watch` and `wristwise fleet` as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.errors import TaskError
from services.local import OWNER, LocalService
from wristwise import app


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalService]:
    local = LocalService(tmp_path / "w.db", ())
    local.start()
    monkeypatch.setenv("WRISTWISE_WEARER_SECRET", local.owner_secret)
    yield local
    local.stop()


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return done.exit_code, done.output


def test_watch_says_that_nothing_was_lost_on_a_bad_link(service: LocalService, tmp_path: Path) -> None:
    kept = tmp_path / "faults.json"
    bad_link = ("--drop", "0.3", "--duplicate", "0.3", "--offline", "60", "--seed", "4", "--keep-faults", str(kept))
    common = ("watch", "--server", service.url, "--user", OWNER, "--minutes", "5", "--speed", "3000")
    code, output = run(*common, *bad_link)
    assert code == 0, output
    assert "nothing was lost (the server's manifest agrees)" in output
    assert "battery" in output
    faults = json.loads(kept.read_text())
    assert {line["fault"] for line in faults["script"]} >= {"offline"}
    code, output = run(*common, "--faults", str(kept), "--json")
    assert code == 0
    assert json.loads(output)["faults"] == faults["script"]


def test_watch_in_edge_mode_says_what_stayed_on_the_wrist(service: LocalService) -> None:
    arguments = ("--edge", "--minutes", "2", "--speed", "6000", "--user", OWNER)
    code, output = run("watch", "--server", service.url, *arguments)
    assert code == 0, output
    assert "bytes of raw signal stayed on the wrist" in output


def test_watch_infers_what_it_is_asked_for(service: LocalService) -> None:
    arguments = ("--edge", "--minutes", "2", "--speed", "6000", "--user", OWNER, "--tasks", "sleep-staging, steps")
    code, output = run("watch", "--server", service.url, *arguments)
    assert code == 0, output
    assert {c["kind"] for c in service.companion.records()} <= {"sleep_stage", "steps"}
    with pytest.raises(TaskError, match="there is no task 'no-such-task'; there are: heart-rate"):
        run("watch", "--server", service.url, "--edge", "--tasks", "no-such-task", "--user", OWNER)


def test_watch_keeps_what_it_could_not_send_for_the_next_run(service: LocalService, tmp_path: Path) -> None:
    script = tmp_path / "away.json"
    script.write_text(json.dumps({"script": [{"fault": "kill", "at": 2}]}))
    state = ("--state", str(tmp_path / "watch"), "--server", service.url, "--user", OWNER, "--speed", "6000")
    code, output = run("watch", *state, "--minutes", "4", "--faults", str(script))
    assert code == 0, output
    code, output = run("watch", *state, "--minutes", "4", "--json")
    assert code == 0
    assert json.loads(output)["sensed"]["chunks"] == 0, "the recording was over already"


def test_watch_without_a_record_of_that_name_says_so() -> None:
    from data.errors import RecordingError

    with pytest.raises(RecordingError, match=r"no WFDB record at nowhere/walk.hea; name a record"):
        run("watch", "--recording", "nowhere/walk.hea")


def test_fleet_reports_what_the_server_did(service: LocalService) -> None:
    arguments = ("--watches", "3", "--hours", "0.05", "--speed", "3000", "--threads", "2", "--user", OWNER)
    code, output = run("fleet", "--server", service.url, *arguments)
    assert code == 0, output
    assert "3 of 3 watches complete" in output
    code, output = run("fleet", "--server", service.url, *arguments, "--seed", "9", "--json")
    assert json.loads(output)["complete"] == 3


def test_mock_person_says_what_it_sent(service: LocalService) -> None:
    code, output = run("mock-person", "--server", service.url, "--days", "1", "--user", OWNER)
    assert code == 0, output
    assert "1 days" in output
    assert "records" in output

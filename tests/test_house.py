"""The house itself: import contracts, the wheel in a foreign project, serving without TensorFlow, plain errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from build_hook import rewrite

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHONPATH"))}
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, env={**clean, **(env or {})}, capture_output=True, text=True, timeout=300
    )


def wristwise(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "wristwise", *arguments, cwd=ROOT, env=env)


def test_the_import_contracts_hold() -> None:
    done = run(Path(sys.executable).with_name("lint-imports"), cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_rewriting_moves_the_imports_of_rooms_and_nothing_else() -> None:
    kept = "import numpy\nfrom .near import y\n'from data.x import z'\n"
    source = "from data.errors import X\nfrom pipelines.task import (\n    Task,\n)\n" + kept
    moved = "from wristwise.data.errors import X\nfrom wristwise.pipelines.task import (\n    Task,\n)\n" + kept
    assert rewrite(source, "a.py") == moved


def test_an_import_that_cannot_be_moved_stops_the_build() -> None:
    with pytest.raises(ValueError, match=r"a.py:2 has 'import data.errors'; write 'from room.x import y'"):
        rewrite("import os\nimport data.errors\n", "a.py")


@pytest.fixture(scope="module")
def foreign_project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return (python, project): a clean environment with our wheel, and a project with rooms of its own."""
    base = tmp_path_factory.mktemp("foreign")
    uv = Path(sys.executable).with_name("uv")
    built = run(uv, "build", "--wheel", "-o", base, ROOT, cwd=base)
    assert built.returncode == 0, built.stderr
    venv.create(base / "env", with_pip=False)
    python = base / "env" / "bin" / "python"
    (wheel,) = base.glob("*.whl")
    lock = ROOT / "requirements" / "lock.txt"
    installed = run(uv, "pip", "install", "-q", "--python", python, "-c", lock, wheel, "pytest", cwd=base)
    assert installed.returncode == 0, installed.stderr
    project = base / "project"
    for room in ("models", "data", "services", "pipelines"):
        (project / room).mkdir(parents=True)
        (project / room / "__init__.py").write_text(f"OWNER = 'the user, {room}'\n")
    return python, project


@pytest.mark.xdist_group("foreign")
def test_a_project_with_rooms_of_its_own_can_import_wristwise(foreign_project: tuple[Path, Path]) -> None:
    python, project = foreign_project
    code = (
        "import wristwise, models, data, services\n"
        "from wristwise.pipelines.registry import TASKS\n"
        "assert models.OWNER == 'the user, models'\n"
        "print(*wristwise.tasks())"
    )
    done = run(python, "-c", code, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "heart-rate" in done.stdout


@pytest.mark.xdist_group("foreign")
def test_a_project_with_rooms_of_its_own_can_use_the_pytest_plugin(foreign_project: tuple[Path, Path]) -> None:
    python, project = foreign_project
    (project / "test_mine.py").write_text(
        "import services\n\n\ndef test_a_service_runs(sync_service):\n"
        "    assert sync_service.url.startswith('http://127.0.0.1')\n"
        "    assert services.OWNER == 'the user, services'\n"
    )
    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.xdist_group("foreign")
def test_serving_watch_and_page_start_where_tensorflow_is_not_installed(foreign_project: tuple[Path, Path]) -> None:
    python, project = foreign_project
    absent = run(python, "-c", "import tensorflow", cwd=project)
    assert "ModuleNotFoundError" in absent.stderr
    for command in ("serve", "watch", "worker", "evaluate"):
        done = run(python, "-m", "wristwise", command, "--help", cwd=project)
        assert done.returncode == 0, done.stderr
    code = (
        "import sys\n"
        "from wristwise.pipelines.registry import TASKS\n"
        "from wristwise.models.evaluate import open_model\n"
        "[open_model(task) for task in TASKS.values()]\n"
        "assert not [m for m in sys.modules if m.startswith(('tensorflow', 'tf_keras'))]"
    )
    done = run(python, "-c", code, cwd=project)
    assert done.returncode == 0, done.stderr


@pytest.mark.xdist_group("foreign")
def test_training_without_tensorflow_says_what_to_install(foreign_project: tuple[Path, Path]) -> None:
    python, project = foreign_project
    done = run(python, "-m", "wristwise", "run", "heart-rate", cwd=project)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("install it with: pip install 'wristwise[train]'")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "no-such-task", "--dataset", "wrist"), "there is no task 'no-such-task'; there are:"),
        (("evaluate", "heart-rate"), "name what to score: either --recordings DIR"),
        (("evaluate", "heart-rate", "--dataset", "no-such-set"), "has no reference for task 'heart-rate'"),
        (("evaluate", "heart-rate", "--recordings", "/no/such/folder"), "holds no WFDB record"),
        (("data", "fetch", "no-such-set"), "there is no adapter for data set 'no-such-set'"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_exit_2(arguments: tuple[str, ...], said: str) -> None:
    done = wristwise(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_absent_data_set_says_where_to_get_it(tmp_path: Path) -> None:
    done = wristwise("evaluate", "heart-rate", "--dataset", "wrist", env={"WRISTWISE_DATA": str(tmp_path)})
    assert done.returncode == 2
    assert "wristwise data fetch wrist, or set WRISTWISE_DATA" in done.stderr


def test_data_list_names_every_adapter_with_its_licence() -> None:
    from data.adapters.registry import ADAPTERS

    listed = json.loads(wristwise("data", "list", "--json").stdout)["data_sets"]
    assert [row["name"] for row in listed] == list(ADAPTERS)
    assert all(row["licence"] for row in listed)


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "docs", "help"])
def test_every_make_target_of_the_design_is_explained(target: str) -> None:
    done = run("make", "help", cwd=ROOT)
    assert f"make {target} " in done.stdout

"""The examples of docs/compression.md run, in order, as a reader would type them."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "compression.md"


@pytest.mark.tensorflow
def test_every_python_example_of_the_page_runs() -> None:
    pytest.importorskip("tf_keras")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 9
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)


def test_every_command_of_the_page_exists() -> None:
    from wristwise import app

    known = {command.name for command in app.registered_commands}
    used = set(re.findall(r"^wristwise (\w+)", PAGE.read_text(encoding="utf-8"), re.M))
    assert used
    assert used <= known

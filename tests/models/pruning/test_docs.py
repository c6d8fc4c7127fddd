"""Every block of Python in docs/pruning.md runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from tests.models.pruning.nets import answer, cnn, inputs_for  # noqa: E402

PAGE = Path(__file__).parents[3] / "docs" / "pruning.md"


def test_the_examples_of_the_page_run_in_order(capsys) -> None:
    model = cnn()
    x = inputs_for(model, 48)[0]
    y = answer(model, [x])[0] + np.random.default_rng(0).normal(0, 0.05, (48, 1)).astype(np.float32)
    names = {"model": model, "x": x, "y": y}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)

    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)

    assert len(blocks) >= 5
    assert names["small"].count_params() < model.count_params()
    assert names["result"].measured.bytes <= 9_000
    np.testing.assert_allclose(answer(names["small"], [x])[0], answer(names["twin"], [x])[0], atol=1e-5)


def test_every_importance_and_command_option_is_on_the_page() -> None:
    from models.pruning.importance import IMPORTANCES

    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in IMPORTANCES)
    assert all(word in text for word in ("wristwise prune", "wristwise bench pruning", "--plan", "--cluster", "--jobs"))

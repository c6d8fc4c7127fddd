"""The network of every task can be cut, and the cut one answers like the masked one."""

import numpy as np
import pytest

pytest.importorskip("tf_keras")

from models.networks.registry import RECIPES
from models.pruning import apply_plan, mask_plan, plan_pruning
from tests.models.pruning.nets import answer, inputs_for, randomise


@pytest.mark.parametrize("name", RECIPES)
def test_half_of_every_tasks_network_can_go(name: str) -> None:
    model = randomise(RECIPES[name].build(seed=0))
    plan = plan_pruning(model, ratio=0.5)
    pruned, masked = apply_plan(model, plan), mask_plan(model, plan)
    batch = inputs_for(model, 2)

    for cut, twin in zip(answer(pruned, batch), answer(masked, batch), strict=True):
        scale = max(1.0, float(np.abs(twin).max()))
        np.testing.assert_allclose(cut / scale, twin / scale, atol=1e-5)
    assert pruned.count_params() < 0.45 * model.count_params()

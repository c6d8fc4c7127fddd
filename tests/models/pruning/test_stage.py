"""The pruning stage of a run: steps that end at the ratio exactly, and zeros on a schedule that counts real batches."""

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from models.run import stages  # noqa: E402
from models.training.recipe import PruneTarget  # noqa: E402
from tests.models.toy import ToyRecipe, toy_recordings  # noqa: E402


class SparseRecipe(ToyRecipe):
    prune_target = PruneTarget(channels_removed=0.5, weights_zeroed=0.4, recover_epochs=2)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (2, 2)])
def test_a_stage_removes_half_and_zeroes_what_the_recipe_asks_for(epochs: int, steps: int) -> None:
    recipe = SparseRecipe()
    examples = recipe.examples(toy_recordings(), seed=0)  # 160 rows in batches of 16: not the 64 that others draw
    dense = stages.train(recipe, examples, seed=0, epochs=2)
    before = [w.copy() for w in dense.get_weights()]

    pruned, method = stages.prune(recipe, dense, examples, seed=0, epochs=epochs)

    assert [pruned.get_layer(f"conv_{k}").filters for k in (0, 1)] == [16, 16]
    kernels = [w for layer in pruned.layers for w in layer.get_weights() if w.ndim > 1]
    zeros = sum((w == 0).sum() for w in kernels) / sum(w.size for w in kernels)
    assert zeros == pytest.approx(0.4, abs=0.02)
    assert method["structural"]["steps"] == steps
    assert method["weights"] == {"schedule": "polynomial", "final_sparsity": 0.4}
    assert all(np.array_equal(a, b) for a, b in zip(before, dense.get_weights(), strict=True))

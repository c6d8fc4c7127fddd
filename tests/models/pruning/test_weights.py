"""Unstructured pruning, schedules, iteration and the stop that takes the last step back."""

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from models.pruning import Calibration, apply_plan  # noqa: E402
from models.pruning.errors import CalibrationError, PlanError, PruningError  # noqa: E402
from models.pruning.schedule import Constant, OneShot, Polynomial, staircase  # noqa: E402
from models.pruning.training import prune_iteratively, train_sparse, train_sparse_tfmot  # noqa: E402
from models.pruning.weights import METHODS, Masks, apply_masks, mask_overlap, plan_masks, prunable_weights  # noqa: E402
from tests.models.pruning.nets import NETS, answer, cnn, inputs_for, lstm, randomise  # noqa: E402


def data_for(model: object) -> Calibration:
    batch = inputs_for(model, 32)
    return Calibration(batch, answer(model, batch), batch=16)


def both() -> object:
    """The smallest network that TF-MOT refuses."""
    i = tf_keras.layers.Input((3, 2), name="x")
    x = tf_keras.layers.Bidirectional(tf_keras.layers.LSTM(4), name="both")(i)
    return randomise(tf_keras.Model(i, tf_keras.layers.Dense(1, name="out")(x), name="both"))


def trainer(data: Calibration, epochs: int = 2):
    def train(model, callbacks):
        model.compile("adam", "mse")
        rows = data.rows_for(model)
        model.fit(rows, list(data.targets), batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks)

    return train


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", ["local", "global"])
def test_every_method_zeroes_the_share_asked_for_in_a_copy(method, scope) -> None:
    model = cnn()
    before = [w.copy() for w in model.get_weights()]
    noisy = data_for(model)
    noisy = Calibration(noisy.inputs, [t + 0.1 for t in noisy.targets], batch=16)

    masks = plan_masks(model, sparsity=0.8, method=method, data=noisy, scope=scope)
    pruned = apply_masks(model, masks)

    zeros = sum(int((w == 0).sum()) for w in prunable_weights(pruned).values())
    total = sum(w.size for w in prunable_weights(pruned).values())
    assert zeros / total == pytest.approx(0.8, abs=0.02)
    assert masks.sparsity == pytest.approx(0.8, abs=0.02)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_threshold_zeroes_what_is_below_it_and_one_is_derived_from_a_share() -> None:
    model = lstm()
    given = plan_masks(model, threshold=0.2)
    derived = plan_masks(model, sparsity=given.sparsity)

    kept = np.abs(np.concatenate([w[given.keep[k]] for k, w in prunable_weights(model).items()]))
    assert kept.min() >= 0.2
    assert derived.threshold == pytest.approx(kept.min())


def test_masks_survive_a_file_and_refuse_another_model(tmp_path) -> None:
    masks = plan_masks(cnn(), sparsity=0.5)
    masks.save(tmp_path / "masks.npz")

    assert all(np.array_equal(Masks.load(tmp_path / "masks.npz").keep[k], m) for k, m in masks.keep.items())
    with pytest.raises(PlanError, match="do not fit model 'lstm'"):
        apply_masks(lstm(), masks)


def test_overlap_is_one_for_equal_masks_and_chance_for_random_ones() -> None:
    model = cnn()
    same = [plan_masks(model, sparsity=0.5)] * 2
    drawn = [plan_masks(model, sparsity=0.5, method="random", seed=s) for s in range(3)]

    assert mask_overlap(same)[0] == 1.0
    assert mask_overlap(drawn)[0] == pytest.approx(mask_overlap(drawn)[1], abs=0.03)
    assert mask_overlap(drawn)[1] == pytest.approx(1 / 3, abs=0.01)


def test_schedules_rise_as_they_say() -> None:
    cubic = Polynomial(0.8, begin=10, end=110, frequency=50)
    assert [cubic.rate(s) for s in (0, 10, 60, 110, 999)] == pytest.approx([0, 0, 0.7, 0.8, 0.8])
    assert [s for s in range(200) if cubic.due(s)] == [10, 60, 110]
    assert [s for s in range(50) if Constant(0.5, begin=5, frequency=20).due(s)] == [5, 25, 45]
    assert [s for s in range(9) if OneShot(0.5).due(s)] == [0]
    assert staircase(0.75, 2) == pytest.approx((0.5, 0.75))


@pytest.mark.parametrize(
    ("schedule", "net"),
    [(OneShot(0.7), cnn), (Constant(0.7, 2, 3), cnn), (Polynomial(0.7, 0, 6, frequency=2), both)],
)
def test_scheduled_training_ends_at_the_final_rate_in_layers_that_tfmot_refuses(schedule, net) -> None:
    model = net()
    pruned, masks = train_sparse(model, schedule, trainer(data_for(model)))

    zeros = sum(int((w == 0).sum()) for w in prunable_weights(pruned).values())
    assert zeros / sum(w.size for w in prunable_weights(pruned).values()) == pytest.approx(0.7, abs=0.02)
    assert masks.sparsity == pytest.approx(0.7, abs=0.02)
    assert not np.array_equal(pruned.get_weights()[0], model.get_weights()[0])


def test_a_schedule_longer_than_the_training_is_an_error() -> None:
    model = cnn()
    with pytest.raises(PruningError, match="before the schedule reached 90%"):
        train_sparse(model, Polynomial(0.9, 0, 1000), trainer(data_for(model), 1))


def test_tfmot_prunes_where_it_can_and_says_so_where_it_cannot() -> None:
    model = cnn()
    pruned = train_sparse_tfmot(model, Constant(0.5, 0, 1), trainer(data_for(model)))

    kernel = pruned.get_layer("conv1").kernel.numpy()
    assert (kernel == 0).mean() == pytest.approx(0.5, abs=0.02)
    assert type(pruned.get_layer("conv1")).__name__ == "Conv2D"
    other = both()
    with pytest.raises(PruningError, match="TF-MOT cannot wrap model 'both'"):
        train_sparse_tfmot(other, Constant(0.5), trainer(data_for(other)))


def test_iteration_takes_back_the_step_that_did_not_recover() -> None:
    model = cnn()
    losses = iter([1.0, 2.0, 1.01, 3.0, 1.5])

    result = prune_iteratively(
        model, staircase(0.75, 3), recover=lambda _: None, measure=lambda _: next(losses), tolerance=0.05
    )

    assert [s.kept for s in result.steps] == [True, False]
    assert result.model.count_params() == result.steps[0].parameters < model.count_params()
    assert "that step was taken back" in result.ended


def test_iteration_reaches_the_rate_asked_for() -> None:
    model = NETS["two_branch"]()
    result = prune_iteratively(model, staircase(0.6, 2), recover=lambda _: None, measure=lambda _: 1.0, scope="local")

    assert result.ended == "all steps done"
    batch = inputs_for(model)
    for stepwise, at_once in zip(
        answer(result.model, batch), answer(apply_plan(model, result.plan), batch), strict=True
    ):
        np.testing.assert_allclose(stepwise, at_once, atol=1e-6)
    assert result.model.get_layer("acc_conv").filters == pytest.approx(0.4 * 8, abs=1)


def test_wrong_use_is_one_sentence() -> None:
    with pytest.raises(PruningError, match="either sparsity= or threshold="):
        plan_masks(cnn())
    with pytest.raises(PruningError, match=r"sparsity must be in \[0, 1\)"):
        plan_masks(cnn(), sparsity=1.0)
    with pytest.raises(CalibrationError, match="'taylor' needs calibration data"):
        plan_masks(cnn(), sparsity=0.5, method="taylor")
    with pytest.raises(PruningError, match="0 <= begin < end"):
        Polynomial(0.5, 10, 5)
    with pytest.raises(PruningError, match="at least two runs"):
        mask_overlap([])

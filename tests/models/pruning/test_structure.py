"""Layers, paths and sensors removed whole."""

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from models.pruning import Calibration  # noqa: E402
from models.pruning.errors import PlanError, PruningError  # noqa: E402
from models.pruning.ranking import plan_layers, rank_layers, rank_paths, sensor_variants  # noqa: E402
from models.pruning.structure import StructurePlan, apply_structure, mask_structure, plan_structure  # noqa: E402
from tests.models.pruning.nets import answer, cnn, inputs_for, lstm, randomise, residual, two_branch  # noqa: E402

L = tf_keras.layers


def own_answers(model: object, rows: int = 24) -> Calibration:
    batch = inputs_for(model, rows)
    return Calibration(batch, answer(model, batch))


def inception() -> object:
    """Three paths side by side, batch norm behind them: cutting one moves offsets."""
    i = L.Input((16, 3), name="acc")
    paths = [L.Conv1D(w, k, padding="same", name=f"path{k}")(i) for w, k in ((4, 1), (5, 3), (6, 5))]
    x = L.BatchNormalization(name="norm")(L.Concatenate(name="join")(paths))
    x = L.Dense(4, name="hidden")(L.Flatten(name="flatten")(L.ReLU(name="relu")(x)))
    return randomise(tf_keras.Model(i, L.Dense(1, name="out")(x), name="inception"))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_path_of_a_concatenation_goes_and_the_rest_answers_as_if_it_were_silent(index: int) -> None:
    model = inception()
    plan = plan_structure(model, paths=[("join", index)])
    batch = inputs_for(model)

    cut, twin = apply_structure(model, plan), mask_structure(model, plan)

    np.testing.assert_allclose(answer(cut, batch)[0], answer(twin, batch)[0], atol=1e-5)
    assert f"path{(1, 3, 5)[index]}" not in [layer.name for layer in cut.layers]
    assert cut.get_layer("norm").gamma.shape[0] == 15 - (4, 5, 6)[index]


def test_a_residual_branch_goes_whole() -> None:
    model = residual()
    plan = StructurePlan.from_json(plan_structure(model, paths=[("add", 1)]).to_json())
    cut, twin = apply_structure(model, plan), mask_structure(model, plan)
    batch = inputs_for(model)

    np.testing.assert_allclose(answer(cut, batch)[0], answer(twin, batch)[0], atol=1e-5)
    assert {"branch", "excite", "add", "scale"}.isdisjoint(layer.name for layer in cut.layers)


def test_a_sensor_goes_with_everything_that_serves_only_it() -> None:
    model = two_branch()
    plan = plan_structure(model, inputs=["hr"])
    cut, twin = apply_structure(model, plan), mask_structure(model, plan)
    batch = inputs_for(model)

    assert cut.input_names == ["acc"]
    for a, b in zip(answer(cut, batch[:1]), answer(twin, batch), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_sensor_that_shares_an_input_is_cut_by_channel() -> None:
    model = cnn()
    batch = inputs_for(model)
    cut = apply_structure(model, plan_structure(model, channels={"ppg": [1, 3]}))
    silent = batch[0].copy()
    silent[..., [1, 3]] = 0

    assert cut.input_shape == (None, 1, 64, 2)
    np.testing.assert_allclose(answer(cut, [batch[0][..., [0, 2]]])[0], answer(model, [silent])[0], atol=1e-5)


def test_variants_are_ranked_and_each_wants_only_its_sensors() -> None:
    model = two_branch()
    data = own_answers(model)
    variants = sensor_variants(model, data, power_uw={"acc": 25.0, "hr": 1500.0})

    assert next(v.sensors for v in variants) == ("acc", "hr")
    assert {v.sensors for v in variants} == {("acc", "hr"), ("acc",), ("hr",)}
    assert {v.power_uw for v in variants} == {1525.0, 25.0, 1500.0}
    assert all(v.model.input_names == list(v.sensors) for v in variants)
    assert all(np.isfinite(v.loss) for v in variants)


def test_deleting_a_layer_that_does_nothing_costs_nothing_and_is_chosen_first() -> None:
    i = L.Input((32, 1, 4), name="x")
    x = L.Conv2D(6, (3, 1), padding="same", activation="relu", name="useful")(i)
    x = L.Conv2D(6, (3, 1), padding="same", name="idle")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    model = randomise(tf_keras.Model(i, L.Dense(1, name="out")(x), name="lazy"))
    kernel = np.zeros((3, 1, 6, 6), np.float32)
    kernel[1, 0] = np.eye(6)
    model.get_layer("idle").set_weights([kernel, np.zeros(6, np.float32)])
    data = own_answers(model)

    plan = plan_layers(model, data, n=1)

    assert plan.layers == ("idle",)
    assert rank_layers(model, data)[0].loss_rise == pytest.approx(0, abs=1e-9)
    assert "idle" not in [layer.name for layer in apply_structure(model, plan).layers]


def test_a_layer_that_strides_and_widens_is_bridged_by_a_fitted_pointwise_layer() -> None:
    model = cnn()
    data = own_answers(model, 64)
    plan = plan_structure(model, layers=["conv1"])

    fitted, blind = apply_structure(model, plan, data), apply_structure(model, plan)

    assert fitted.output_shape == model.output_shape
    assert "bn1" not in [layer.name for layer in fitted.layers]
    assert fitted.get_layer("bridge_conv1").kernel_size == (1, 1)
    assert data.loss_of(fitted) < data.loss_of(blind)
    assert fitted.count_params() < model.count_params()


def test_recurrent_layers_can_be_deleted_too() -> None:
    model = lstm()
    cut = apply_structure(model, plan_structure(model, layers=["second"]), own_answers(model))

    assert cut.output_shape == model.output_shape
    assert cut.count_params() < model.count_params()


def test_paths_are_ranked_by_what_they_cost() -> None:
    model = inception()
    model.get_layer("hidden").set_weights(
        [np.zeros_like(w) if w.ndim == 1 else w for w in model.get_layer("hidden").get_weights()]
    )
    costs = rank_paths(model, own_answers(model))

    assert {c.part for c in costs} == {"join[0]", "join[1]", "join[2]"}
    assert [c.loss_rise for c in costs] == sorted(c.loss_rise for c in costs)
    assert all(c.saved_parameters > 0 for c in costs)


def test_what_cannot_go_says_why() -> None:
    model = two_branch()
    for wanted, message in (
        ({"inputs": ["acc", "hr"]}, "leave one"),
        ({"inputs": ["nose"]}, "cannot remove inputs"),
        ({"paths": [("state", 0)]}, "no path 0 to cut"),
        ({"layers": ["fuse"]}, "several inputs"),
        ({"layers": ["nose"]}, "'nose' is not in the model"),
        ({"channels": {"acc": [0, 1, 2]}}, "at least one must stay"),
    ):
        with pytest.raises(PruningError, match=message):
            apply_structure(model, plan_structure(model, **wanted))
    with pytest.raises(PlanError, match="made for model 'two_branch'"):
        apply_structure(cnn(), plan_structure(model))
    with pytest.raises(PlanError, match="not a structure plan"):
        StructurePlan.from_json("[]")

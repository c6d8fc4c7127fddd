"""Plan, check, apply: what is cut is really gone, and nothing else has changed."""

import dataclasses

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from models.pruning import (  # noqa: E402
    L1Norm,
    PruningPlan,
    Random,
    apply_plan,
    check_plan,
    mask_plan,
    plan_pruning,
    plan_to_parameters,
    trace,
)
from models.pruning.errors import CalibrationError, PlanError, PruningError, UnsupportedLayerError  # noqa: E402
from models.pruning.importance import BatchNormGamma  # noqa: E402
from tests.models.pruning.nets import NETS, answer, cnn, inputs_for, lstm, nested, randomise, residual, two_branch  # noqa: E402

L = tf_keras.layers


@pytest.mark.parametrize("name", NETS)
def test_the_pruned_network_answers_like_the_masked_one_and_is_smaller(name: str) -> None:
    model = NETS[name]()
    batch = inputs_for(model)
    before = [w.copy() for w in model.get_weights()]
    dense = answer(model, batch)

    plan = plan_pruning(model, ratio=0.5)
    pruned, masked = apply_plan(model, plan), mask_plan(model, plan)

    for cut, twin in zip(answer(pruned, batch), answer(masked, batch), strict=True):
        np.testing.assert_allclose(cut, twin, rtol=1e-5, atol=1e-5)
    assert pruned.count_params() == plan.after["parameters"] < model.count_params() == plan.before["parameters"]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(dense, answer(model, batch), strict=True))
    assert pruned.input_names == model.input_names
    assert pruned.output_names == model.output_names


@pytest.mark.parametrize("importance", [L1Norm(), BatchNormGamma(), Random(3)], ids=lambda i: i.name)
def test_global_ranking_removes_the_share_asked_for(importance: object) -> None:
    plan = plan_pruning(cnn(), importance, ratio=0.5, scope="global")

    assert sum(len(c.remove) for c in plan.cuts) == (8 + 12 + 16 + 8) // 2


def test_a_plan_survives_json_and_applied_twice_gives_the_same_bytes(tmp_path) -> None:
    model = two_branch()
    plan = plan_pruning(model, ratio=0.4)
    again = PruningPlan.from_json(plan.to_json())

    first, second = apply_plan(model, plan), apply_plan(model, again)

    assert again == plan
    assert first.to_json() == second.to_json()
    assert b"".join(w.tobytes() for w in first.get_weights()) == b"".join(w.tobytes() for w in second.get_weights())


def test_a_pruned_model_can_be_saved_loaded_and_pruned_again(tmp_path) -> None:
    model = NETS["bidirectional"]()
    pruned = apply_plan(model, plan_pruning(model, widths={"both.forward": 2, "both.backward": 3}))
    pruned.save(tmp_path / "cut.keras")
    loaded = tf_keras.models.load_model(tmp_path / "cut.keras")
    batch = inputs_for(model)

    np.testing.assert_allclose(answer(loaded, batch)[0], answer(pruned, batch)[0], atol=1e-6)
    twice = apply_plan(loaded, plan_pruning(loaded, ratio=0.5))
    assert twice.count_params() < loaded.count_params()


def test_exact_widths_and_exact_units_are_honoured() -> None:
    model = lstm()
    narrow = apply_plan(model, plan_pruning(model, widths={"first": 3}))
    chosen = plan_pruning(model, keep={"second": [0, 5]})

    assert narrow.get_layer("first").units == 3
    assert chosen.cuts[0].keep == (0, 5)
    kernel = apply_plan(model, chosen).get_layer("second").cell.recurrent_kernel.numpy()
    full = model.get_layer("second").cell.recurrent_kernel.numpy()
    columns = [gate * 6 + unit for gate in range(4) for unit in (0, 5)]
    np.testing.assert_array_equal(kernel, full[np.ix_([0, 5], columns)])


@pytest.mark.parametrize("scope", ["local", "global"])
def test_a_share_of_the_parameters_is_met(scope: str) -> None:
    model = cnn()
    plan = plan_to_parameters(model, share=0.8, scope=scope)

    assert 1 - plan.after["parameters"] / plan.before["parameters"] == pytest.approx(0.8, abs=0.05)
    with pytest.raises(PruningError, match="share must be in"):
        plan_to_parameters(model, share=1.0)


def test_a_residual_stage_is_one_group_and_excluded_layers_stay_whole() -> None:
    graph = trace(residual())
    assert set(graph.group("stem").origins) == {"stem", "branch", "excite"}

    plan = plan_pruning(residual(), ratio=0.5, exclude=["add"])
    assert "stem" not in plan.removed
    assert "hidden" in plan.removed


def test_what_cannot_be_followed_is_kept_with_its_reason() -> None:
    graph = trace(NETS["translator"]())

    assert "the channels are sliced" in graph.uncut["mix"]
    assert "queries and keys are compared" in graph.uncut["encoder"]
    assert {g.name for g in graph.groups} == {"film", "hidden"}


def test_sensor_channels_behind_an_adapted_normalisation_can_go() -> None:
    from models.pruning.structure import apply_structure, plan_structure

    model = NETS["operators"]()
    signal, word = inputs_for(model)
    cut = apply_structure(model, plan_structure(model, channels={"signal": [2]}))
    silent = signal.copy()
    silent[..., 2] = np.asarray(model.get_layer("normal").mean).ravel()[2]

    want, got = answer(model, [silent, word])[0], answer(cut, [np.delete(signal, 2, -1), word])[0]
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_widths_are_rounded_up_to_the_multiple_asked_for() -> None:
    pruned = apply_plan(cnn(), plan_pruning(cnn(), ratio=0.6, round_to=4))

    assert [pruned.get_layer(f"conv{i}").filters for i in range(3)] == [4, 8, 8]


def test_unfolded_inner_layers_carry_the_name_of_their_model() -> None:
    pruned = apply_plan(nested(), plan_pruning(nested(), ratio=0.5))

    assert pruned.get_layer("stem_conv").filters == 3


def test_an_edited_plan_that_empties_a_layer_is_refused() -> None:
    model = cnn()
    plan = plan_pruning(model, ratio=0.5)
    cut = dataclasses.replace(plan.cuts[0], remove=tuple(range(8)))

    with pytest.raises(PlanError, match=r"removes all channels of layer 'conv0'"):
        check_plan(model, dataclasses.replace(plan, cuts=(cut,)))
    with pytest.raises(PlanError, match=r"units 0 to 7.*\[99\]"):
        check_plan(model, dataclasses.replace(plan, cuts=(dataclasses.replace(cut, remove=(99,)),)))


def test_a_plan_for_another_model_is_refused() -> None:
    with pytest.raises(PlanError, match="was made for model 'cnn'"):
        apply_plan(lstm(), plan_pruning(cnn(), ratio=0.5))


def test_an_unknown_layer_stops_the_planner_with_its_name_and_the_known_ones() -> None:
    i = L.Input((8, 2))
    model = tf_keras.Model(i, L.Dense(1)(L.Lambda(lambda t: t[:, 0], name="first_step")(i)))

    with pytest.raises(UnsupportedLayerError, match=r"'first_step' is a 'Lambda'.*Conv1D"):
        plan_pruning(model, ratio=0.5)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "exactly one of ratio=, widths= and keep="),
        ({"ratio": 1.0}, r"ratio must be in \[0, 1\)"),
        ({"widths": {"bpm": 1}}, "'bpm' cannot be cut: output of the model"),
        ({"widths": {"nose": 1}}, "no layer named 'nose'"),
        ({"widths": {"conv0": 9}}, "has 8 units; cannot keep 9"),
        ({"ratio": 0.5, "exclude": ["nose"]}, "has no such layer"),
    ],
)
def test_a_wrong_request_gets_one_sentence(request_: dict, message: str) -> None:
    with pytest.raises(PruningError, match=message):
        plan_pruning(cnn(), **request_)


def test_an_importance_that_gives_nan_is_named_with_the_layer() -> None:
    with pytest.raises(CalibrationError, match=r"is NaN for layer 'conv0'"):
        plan_pruning(cnn(), lambda group: np.full(len(group), np.nan), ratio=0.5)


def test_a_subclassed_model_is_refused() -> None:
    class Subclassed(tf_keras.Model):
        pass

    with pytest.raises(PruningError, match="functional or Sequential"):
        trace(Subclassed())


def test_heads_of_an_attention_go_and_the_rest_answers_as_if_they_were_silent() -> None:
    i = L.Input((8, 4), name="epochs")
    x = L.MultiHeadAttention(4, 3, name="attention")(i, i)
    model = randomise(tf_keras.Model(i, L.Dense(2, name="out")(L.LSTM(3, name="last")(x)), name="attentive"))
    batch = inputs_for(model)
    plan = plan_pruning(model, keep={"attention/heads": [1, 3]})
    cut, twin = apply_plan(model, plan), mask_plan(model, plan)

    assert cut.get_layer("attention").get_config()["num_heads"] == 2
    assert cut.get_layer("attention")._query_dense.kernel.shape == (4, 2, 3)
    assert plan.after["parameters"] == cut.count_params() < model.count_params()
    np.testing.assert_allclose(answer(cut, batch)[0], answer(twin, batch)[0], atol=1e-5)
    assert np.abs(answer(cut, batch)[0] - answer(model, batch)[0]).max() > 1e-3
    named = [g.name for g in trace(model, exclude=["attention"]).groups]
    assert "attention/heads" not in named

"""Every importance: one number per unit, sane order, clear errors."""

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from models.pruning import Calibration, apply_plan, importance_named, plan_pruning, trace  # noqa: E402
from models.pruning.errors import CalibrationError, PruningError  # noqa: E402
from models.pruning.importance import IMPORTANCES, Ablation, APoZ, Fisher, Taylor  # noqa: E402
from tests.models.pruning.nets import NETS, answer, cnn, inputs_for, two_branch  # noqa: E402


def calibration(model: object, rows: int = 16) -> Calibration:
    """Targets that the model already meets up to noise, so that losing a useful unit costs something."""
    batch = inputs_for(model, rows)
    noise = np.random.default_rng(5)
    targets = [a + noise.normal(0, 0.1, a.shape).astype(np.float32) for a in answer(model, batch)]
    return Calibration(batch, targets, batch=8)


@pytest.mark.parametrize(("name", "net"), [*((n, "residual") for n in IMPORTANCES), ("apoz", "bidirectional")])
def test_every_importance_gives_one_finite_number_per_unit_and_leaves_the_model_alone(name: str, net: str) -> None:
    model = NETS[net]()
    before = [w.copy() for w in model.get_weights()]
    importance = importance_named(name, calibration(model), seed=1)

    for group in trace(model).groups:
        scores = importance(group)
        assert scores.shape == (len(group),)
        assert np.isfinite(scores).all()
    assert apply_plan(model, plan_pruning(model, importance, ratio=0.3)).count_params() < model.count_params()
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def dead_unit_model() -> object:
    """A CNN in which nobody reads unit 3 of conv1, and unit 5 never fires."""
    model = cnn()
    reader = model.get_layer("conv2")
    kernel, bias = reader.get_weights()
    kernel[:, :, 3] = 0
    reader.set_weights([kernel, bias])
    norm = model.get_layer("bn1")
    gamma, beta, mean, variance = norm.get_weights()
    gamma[5], beta[5] = 0.01, -50
    norm.set_weights([gamma, beta, mean, variance])
    return model


def test_measures_that_see_the_loss_find_the_unit_that_nobody_reads() -> None:
    model = dead_unit_model()
    data = calibration(model)
    group = trace(model).group("conv1")

    for importance in (Taylor(data), Fisher(data), Ablation(data)):
        scores = importance(group)
        assert abs(scores[3]) < 1e-6 < 1e-4 < scores.max(), importance.name


def test_apoz_and_gamma_find_the_unit_that_never_fires() -> None:
    model = dead_unit_model()
    group = trace(model).group("conv1")

    fires = APoZ(calibration(model))(group)
    assert fires[5] == 0 < fires.max() <= 1
    assert np.argmin(importance_named("bn-gamma")(group)) == 5


def test_taylor_ranks_units_much_as_measured_ablation_does() -> None:
    model = cnn()
    data = calibration(model, 32)
    group = trace(model).group("conv2")
    rank = [np.argsort(np.argsort(f(data)(group))) for f in (Taylor, Ablation)]

    assert np.corrcoef(*rank)[0, 1] > 0.3


def test_several_inputs_and_outputs_can_be_given_by_name() -> None:
    model = two_branch()
    rows = inputs_for(model, 8)
    out = answer(model, rows)
    named = Calibration(
        dict(zip(("hr", "acc"), rows[::-1], strict=True)), dict(zip(("fall", "rate"), out, strict=True)), batch=4
    )

    assert named.loss_of(model) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(importance_named("taylor", named)(trace(model).groups[0])).all()


def test_missing_data_and_wrong_names_are_errors_of_one_sentence() -> None:
    model = NETS["cnn"]()
    with pytest.raises(CalibrationError, match="'taylor' needs calibration data"):
        importance_named("taylor")
    with pytest.raises(PruningError, match="no importance is named 'magic'; there are l1, l2"):
        importance_named("magic")
    with pytest.raises(CalibrationError, match="what should come out"):
        plan_pruning(model, Taylor(Calibration(inputs_for(model))), ratio=0.5)
    with pytest.raises(CalibrationError, match="holds NaN"):
        Calibration(np.full((2, 3), np.nan))
    with pytest.raises(CalibrationError, match="same number of rows"):
        Calibration([np.zeros((2, 3)), np.zeros((3, 3))])


def test_a_loss_that_overflows_is_reported_with_the_layer() -> None:
    model = cnn()
    data = Calibration(inputs_for(model, 4), [np.zeros((4, 1), np.float32)], loss=lambda y, p: (p - y) / 0.0)

    with pytest.raises(CalibrationError, match=r"gradient of layer 'conv0' is NaN or infinite"):
        plan_pruning(model, Taylor(data), ratio=0.5)


def test_a_part_of_the_rows_is_spread_over_all_of_them() -> None:
    x = np.arange(100.0, dtype=np.float32)[:, None]

    assert Calibration(x, x).take(5).inputs[0].ravel().tolist() == [0, 24, 49, 74, 99]
    assert len(Calibration(x, x).take(1000)) == 100

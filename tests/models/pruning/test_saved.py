"""`wristwise prune`: from a saved model and an .npz to everything that goes on a watch."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

tf_keras = pytest.importorskip("tf_keras")

from data.errors import WristwiseError  # noqa: E402
from models.pruning import PruningPlan  # noqa: E402
from models.pruning.errors import CalibrationError, PruningError  # noqa: E402
from models.pruning.footprint import Footprint  # noqa: E402
from models.pruning.report import FrontPoint, bought_nothing, undominated  # noqa: E402
from models.pruning.request import Request, allowed_rise  # noqa: E402
from models.pruning.saved import divided, load_model, prune_saved  # noqa: E402
from tests.models.pruning.nets import answer, cnn, inputs_for  # noqa: E402


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model = cnn()
    model.save(folder / "watch-net.keras")
    rows = inputs_for(model, 60)[0]
    subject = np.repeat(np.arange(6), 10)
    bpm = answer(model, [rows])[0] + np.random.default_rng(0).normal(0, 0.5, (60, 1)).astype(np.float32)
    np.savez(folder / "data.npz", ppg=rows, bpm=bpm, subject=subject)
    return folder


def run(*arguments: str):
    from wristwise import app

    return CliRunner().invoke(app, ["prune", *arguments])


def test_a_saved_model_becomes_small_and_every_file_is_written(saved, tmp_path) -> None:
    result = run(
        str(saved / "watch-net.keras"), "--calibration", str(saved / "data.npz"), "--max-bytes", "8000",
        "--epochs", "1", "--out", str(tmp_path / "out"),
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    names = {p.name for p in out.iterdir()}
    assert names == {
        "watch-net.keras", "watch-net.tflite", "m_watch_net.h", "m_watch_net.cc", "plan.json", "report.json",
        "report.md", "pareto.png",
    }  # fmt: skip
    report = json.loads((out / "report.json").read_text())
    assert report["measured"]["bytes"] == (out / "watch-net.tflite").stat().st_size <= 8000
    assert report["predicted"]["bytes"] == pytest.approx(report["measured"]["bytes"], rel=0.05)
    assert report["gate"]["ok"]
    assert "bytes" in result.output
    plan = PruningPlan.from_json((out / "plan.json").read_text())
    assert load_model(out / "watch-net.keras").count_params() == plan.after["parameters"]


def test_an_edited_plan_can_be_applied(saved, tmp_path) -> None:
    from models.pruning import plan_pruning

    plan = plan_pruning(load_model(saved / "watch-net.keras"), widths={"conv1": 4})
    found = prune_saved(saved / "watch-net.keras", saved / "data.npz", Request(plan=plan, epochs=0), tmp_path)

    assert found.model.get_layer("conv1").filters == 4


@pytest.mark.parametrize(
    ("arguments", "check"),
    [
        (
            ["--method", "l1", "--target", "0.5", "--schedule", "iterative"],
            lambda m: m.count_params() < 0.7 * cnn().count_params(),
        ),
        (
            ["--method", "weights-taylor", "--target", "0.5", "--schedule", "polynomial"],
            lambda m: (m.get_layer("conv1").kernel.numpy() == 0).mean() > 0.2,
        ),
        (["--method", "layers", "--target", "1"], lambda m: m.count_params() < cnn().count_params()),
        (["--method", "binary"], lambda m: len(np.unique(m.get_layer("conv1").kernel.numpy())) == 2),
        (
            ["--method", "weights-threshold", "--threshold", "0.1"],
            lambda m: (m.get_layer("conv1").kernel.numpy() == 0).any(),
        ),
    ],
    ids=["iterative units", "polynomial weights", "layers", "binary", "a threshold that is given"],
)
def test_methods_are_chosen_by_name(arguments, check, saved, tmp_path) -> None:
    result = run(
        str(saved / "watch-net.keras"), "--calibration", str(saved / "data.npz"), *arguments, "--epochs", "2",
        "--max-loss", "9000%", "--out", str(tmp_path),
    )  # fmt: skip

    assert result.exit_code == 0, (result.output, result.exception)
    assert check(load_model(tmp_path / "watch-net.keras"))


def test_methods_that_do_not_go_with_a_schedule_or_network_say_so(saved, tmp_path) -> None:
    data = ["--calibration", str(saved / "data.npz"), "--out", str(tmp_path)]
    for arguments, message in (
        (["--method", "magic", "--target", "0.5"], "no method is named 'magic'"),
        (["--method", "l2", "--target", "0.5", "--schedule", "polynomial"], "is for single weights"),
        (["--method", "weights-threshold", "--target", "0.5", "--schedule", "iterative"], "is for units"),
        (["--method", "paths", "--target", "1"], "has 0 paths that can be cut"),
        (
            ["--method", "l2", "--target", "0.9", "--schedule", "iterative", "--epochs", "0", "--max-loss", "0.01%"],
            "nothing was removed; recover longer",
        ),
        (["--method", "sensors", "--keep", "ppg"], "must be some, not all"),
    ):
        result = run(str(saved / "watch-net.keras"), *data, *arguments)
        assert message in str(result.exception), (result.output, result.exception)


def test_wrong_use_ends_in_one_sentence(saved, tmp_path) -> None:
    (tmp_path / "torch.keras").write_text("no model")
    for arguments, message in (
        ((str(saved / "watch-net.keras"), "--max-bytes", "9000"), "pruning needs data"),
        ((str(saved / "nose.keras"), "--target", "0.5"), "no model file"),
        ((str(tmp_path / "torch.keras"), "--target", "0.5"), "cannot be read as a tf_keras model"),
        (
            (str(saved / "watch-net.keras"), "--calibration", str(saved / "data.npz"), "--max-bytes", "10"),
            "bytes of at most 10 cannot be reached",
        ),
        ((str(saved / "watch-net.keras"), "--mode", "int4"), "--mode must be one of"),
        (
            (
                str(saved / "watch-net.keras"),
                "--calibration",
                str(saved / "data.npz"),
                "--max-bytes",
                "9000",
                "--loss",
                "magic",
            ),
            "no Keras loss is named 'magic'",
        ),
        ((str(saved / "watch-net.keras"), "--max-bytes", "9000", "--clock", "sundial"), "--clock must be one of here"),
        ((str(saved / "watch-net.keras"), "--calibration", str(saved / "data.npz")), "needs a target"),
    ):
        result = run(*arguments, "--out", str(tmp_path / "never"))
        assert isinstance(result.exception, WristwiseError), result.output
        assert message in str(result.exception)
    assert not (tmp_path / "never").exists()


def test_a_held_out_part_never_divides_a_subject() -> None:
    from models.pruning import Calibration

    x = np.arange(40.0)[:, None].astype(np.float32)
    subject = np.repeat(list("abcde"), 8)
    own, held = divided(Calibration(x, x), subject, seed=0)

    assert len(own) == 32
    assert len({subject[int(i)] for i in held.inputs[0][:, 0]}) == 1
    with pytest.raises(CalibrationError, match="too few"):
        divided(Calibration(x[:5], x[:5]), None, 0)


def test_an_allowed_rise_is_absolute_or_a_share() -> None:
    assert allowed_rise("0.5%", 4.0) == pytest.approx(0.02)
    assert allowed_rise("0.1", 4.0) == 0.1
    assert allowed_rise(None, 4.0) is None
    with pytest.raises(PruningError, match="must be a number or a percentage"):
        allowed_rise("much", 1.0)


def test_a_prune_that_bought_nothing_is_called_that() -> None:
    dense = Footprint(1000, 900, 10.0, float("nan"))
    assert bought_nothing(dense, Footprint(1010, 895, 10.1, float("nan")))
    assert not bought_nothing(dense, Footprint(1000, 500, 10.0, float("nan")))


def test_the_front_holds_what_nothing_beats() -> None:
    points = [FrontPoint("a", 100, 1.0), FrontPoint("b", 50, 2.0), FrontPoint("c", 80, 3.0), FrontPoint("d", 60, 1.5)]
    assert [p.label for p in undominated(points)] == ["b", "d", "a"]


def test_targets_without_a_last_axis_and_classes_as_numbers_are_taken_as_they_are_meant(tmp_path) -> None:
    from models.pruning.calibration import read_calibration

    layers = tf_keras.layers
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    entry = layers.Input((4,), name="x")
    one = tf_keras.Model(entry, layers.Dense(1, name="bpm")(entry))
    three = tf_keras.Model(entry, layers.Dense(3, activation="softmax", name="stage")(entry))
    np.savez(tmp_path / "one.npz", x=rows, y=np.arange(20.0))
    np.savez(tmp_path / "three.npz", x=rows, y=np.arange(20) % 3)
    np.savez(tmp_path / "four.npz", x=rows, y=np.arange(20) % 4)

    flat = read_calibration(tmp_path / "one.npz", one)
    assert flat.loss_of(one) == pytest.approx(float(np.mean((one(rows).numpy()[:, 0] - np.arange(20)) ** 2)), rel=1e-5)
    classes = read_calibration(tmp_path / "three.npz", three, "sparse_categorical_crossentropy")
    assert classes.loss == "categorical_crossentropy"
    assert classes.targets["stage"].shape == (20, 3)
    with pytest.raises(CalibrationError, match="classes of output 'stage' must be whole numbers from 0 to 2"):
        read_calibration(tmp_path / "four.npz", three, "sparse_categorical_crossentropy")


def test_a_lambda_in_a_saved_model_is_named(tmp_path) -> None:
    layers = tf_keras.layers
    entry = layers.Input((4,), name="x")
    tf_keras.Model(entry, layers.Lambda(lambda t: 2 * t, name="twice")(entry)).save(tmp_path / "net.keras")

    with pytest.raises(PruningError, match=r"net.keras holds a Lambda layer.*built-in layer instead"):
        load_model(tmp_path / "net.keras")


def test_without_a_choice_every_set_of_sensors_gets_its_files(tmp_path) -> None:
    from tests.models.pruning.nets import two_branch

    model = two_branch()
    rows = dict(zip(model.input_names, inputs_for(model, 20), strict=True))
    out = dict(zip(model.output_names, answer(model, list(rows.values())), strict=True))
    model.save(tmp_path / "net.keras")
    np.savez(tmp_path / "data.npz", **rows, **out)
    told = ["--calibration", str(tmp_path / "data.npz"), "--method", "sensors", "--epochs", "1"]

    result = run(str(tmp_path / "net.keras"), *told, "--out", str(tmp_path / "sets"))

    assert result.exit_code == 0, (result.output, result.exception)
    assert {p.name for p in (tmp_path / "sets").iterdir()} == {"acc", "hr"}
    assert load_model(tmp_path / "sets" / "hr" / "net.keras").input_names == ["hr"]
    alone = cnn()
    alone.save(tmp_path / "one.keras")
    assert "has one input, 'ppg'" in str(run(str(tmp_path / "one.keras"), *told).exception)

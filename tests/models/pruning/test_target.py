"""Sensitivity, knapsack, `prune_to`, recovery and the clinical guard."""

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from models.export.convert import to_tflite  # noqa: E402
from models.pruning import Calibration, Taylor, apply_plan, plan_pruning, trace  # noqa: E402
from models.pruning.allocation import Option, Sensitivity, knapsack, sensitivity_curves  # noqa: E402
from models.pruning.errors import CalibrationError, ClinicalGuardError, PruningError, TargetError  # noqa: E402
from models.pruning.footprint import CLOCKS  # noqa: E402
from models.pruning.guard import ClinicalGuard  # noqa: E402
from models.pruning.importance import L2Norm  # noqa: E402
from models.pruning.recovery import fine_tuned, recalibrate, recovery  # noqa: E402
from models.pruning.target import prune_to  # noqa: E402
from tests.models.pruning.nets import answer, cnn, inputs_for, lstm  # noqa: E402


def own_answers(model: object, rows: int = 64) -> Calibration:
    batch = inputs_for(model, rows)
    return Calibration(batch, answer(model, batch), batch=32)


def test_the_knapsack_takes_what_costs_least_and_saves_enough() -> None:
    options = {
        "cheap": (Option(8, 0.0, {"bytes": 0}), Option(4, 0.1, {"bytes": 50}), Option(2, 0.5, {"bytes": 80})),
        "dear": (Option(8, 0.0, {"bytes": 0}), Option(4, 1.0, {"bytes": 60}), Option(2, 3.0, {"bytes": 90})),
    }
    curves = Sensitivity(None, "L2", {}, options)  # type: ignore[arg-type]

    assert knapsack(curves, {"bytes": 0}) == {"cheap": 8, "dear": 8}
    assert knapsack(curves, {"bytes": 70}) == {"cheap": 2, "dear": 8}
    assert knapsack(curves, {"bytes": 110}) == {"cheap": 4, "dear": 4}
    lucky = Sensitivity(
        None, "L2", {}, options | {"luck": (Option(8, 0.0, {"bytes": 0}), Option(2, -1.0, {"bytes": 9}))}
    )  # type: ignore[arg-type]
    assert knapsack(lucky, {"bytes": 40})["luck"] == 8
    free = {
        name: (Option(8, 0.0, {"bytes": 0}), Option(4, -0.1, {"bytes": 10}), Option(1, -0.2, {"bytes": 99}))
        for name in ("one", "two", "three")
    }
    least = knapsack(Sensitivity(None, "L2", {}, free), {"bytes": 10})  # type: ignore[arg-type]
    assert sorted(least.values()) == [4, 8, 8]
    with pytest.raises(TargetError, match=r"bytes: 200 to save, at most 170 possible"):
        knapsack(curves, {"bytes": 200})


def test_curves_start_at_nothing_and_save_more_the_narrower_the_layer() -> None:
    model = cnn()
    curves = sensitivity_curves(trace(model), L2Norm(), own_answers(model).loss_of, n_levels=4)

    for options in curves.options.values():
        assert options[0].loss_rise == 0
        saved = [o.saves["bytes"] for o in options]
        assert saved == sorted(saved)
        assert len(options) >= 3
    assert len(curves.rows()) == sum(len(o) for o in curves.options.values())


def test_a_size_is_met_and_the_prediction_is_close_to_the_measured_file() -> None:
    model = cnn()
    data = own_answers(model)
    before = [w.copy() for w in model.get_weights()]

    result = prune_to(
        model,
        evaluate=data.loss_of,
        max_bytes=7000,
        importance=Taylor(data),
        fine_tune=recovery(data, epochs=1),
        n_levels=4,
    )

    assert len(result.tflite) == result.measured.bytes <= 7000 < result.dense.bytes
    assert result.predicted.bytes == pytest.approx(result.measured.bytes, rel=0.05)
    assert apply_plan(model, result.plan).count_params() == result.model.count_params()
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_smallest_file_within_a_loss_is_sought() -> None:
    model = cnn()
    data = own_answers(model)
    allowed = 20 * float(np.var(data.targets[0]))

    result = prune_to(
        model, evaluate=data.loss_of, max_loss_rise=allowed, fine_tune=recovery(data, epochs=3), n_levels=3, rounds=2
    )

    assert result.loss - result.loss_dense <= allowed
    assert result.measured.bytes < result.dense.bytes


def test_targets_that_cannot_be_reached_say_what_can() -> None:
    model = cnn()
    data = own_answers(model)
    with pytest.raises(TargetError, match=r"bytes of at most 100 cannot be reached.*narrowest it is \d+"):
        prune_to(model, evaluate=data.loss_of, max_bytes=100, n_levels=2)
    with pytest.raises(TargetError, match="the loss rose by"):
        prune_to(model, evaluate=data.loss_of, max_bytes=6500, max_loss_rise=1e-9, n_levels=3)
    with pytest.raises(PruningError, match="needs a target"):
        prune_to(model, evaluate=data.loss_of)


def test_recalibration_gives_batch_norm_the_statistics_of_the_cut_network() -> None:
    model = cnn()
    data = own_answers(model)
    cut = apply_plan(model, plan_pruning(model, ratio=0.5))
    better = recalibrate(cut, data)
    seen = tf_keras.Model(better.input, better.get_layer("conv0").output)(data.inputs[0]).numpy()

    np.testing.assert_allclose(better.get_layer("bn0").moving_mean, seen.mean((0, 1, 2)), rtol=1e-3, atol=1e-3)
    assert not np.array_equal(cut.get_layer("bn0").moving_mean, better.get_layer("bn0").moving_mean)
    assert recalibrate(lstm(), own_answers(lstm(), 4)).count_params() == lstm().count_params()


def test_fine_tuning_and_distillation_recover_some_of_what_was_lost() -> None:
    model = cnn()
    data = own_answers(model)
    cut = apply_plan(model, plan_pruning(model, ratio=0.3))
    blind = Calibration(data.inputs, None)

    tuned = fine_tuned(cut, data, epochs=8, rate=3e-3)
    taught = fine_tuned(cut, blind, epochs=8, rate=3e-3, teacher=model, teacher_share=1)

    assert data.loss_of(tuned) < data.loss_of(cut)
    assert data.loss_of(taught) == pytest.approx(data.loss_of(tuned), rel=0.05)


def test_training_that_diverges_is_an_error() -> None:
    model = cnn()
    data = own_answers(model)
    with pytest.raises(CalibrationError, match="diverged"):
        fine_tuned(model, Calibration(data.inputs, [t * 1e30 for t in data.targets]), epochs=2, rate=1e3)


def test_the_guard_refuses_what_harms_a_subgroup_and_names_it() -> None:
    values = {"dense": {"rest": 2.0, "running": 5.0}, "pruned": {"rest": 1.5, "running": 6.2}}
    guard = ClinicalGuard(lambda model: values[model], margin=1.0)

    with pytest.raises(ClinicalGuardError, match=r"running: 5 became 6.2, worse by 1.2 \(allowed 1\)"):
        guard.check("dense", "pruned")
    assert ClinicalGuard(lambda model: values[model], margin=1.0, margins={"running": 1.5}).check("dense", "pruned")
    falls = {"dense": {"falls": 0.98}, "pruned": {"falls": float("nan")}}
    with pytest.raises(ClinicalGuardError, match="falls"):
        ClinicalGuard(lambda model: falls[model], margin=0.02, higher_is_better=True).check("dense", "pruned")


def test_prune_to_obeys_the_guard() -> None:
    model = cnn()
    data = own_answers(model)
    guard = ClinicalGuard(lambda m: {"everyone": data.loss_of(m)}, margin=1e-9)
    with pytest.raises(ClinicalGuardError, match="everyone"):
        prune_to(model, evaluate=data.loss_of, max_bytes=6500, n_levels=3, guard=guard)


def test_bytes_and_latency_are_met_together_by_the_clock_that_is_given() -> None:
    model = cnn()
    data = own_answers(model)
    clock = CLOCKS["cortex-m4f"]
    dense_us = clock(to_tflite(model))

    found = prune_to(
        model, evaluate=data.loss_of, max_bytes=9000, max_latency_us=0.4 * dense_us, n_levels=3, clock=clock
    )

    assert found.dense.latency_us == dense_us
    assert found.measured.latency_us == clock(found.tflite) <= 0.4 * dense_us
    assert found.measured.bytes <= 9000
    with pytest.raises(TargetError, match=r"latency of at most 1 us cannot be reached: .* narrowest it is \d+"):
        prune_to(model, evaluate=data.loss_of, max_latency_us=1.0, n_levels=2, clock=clock)


def test_a_clock_with_a_staircase_is_followed_to_the_foot_of_a_step() -> None:
    model = cnn()
    data = own_answers(model)

    def steps(tflite: bytes) -> float:
        """Channels cost by started multiples of four, as vector units have it."""
        widths = [shape[0] for shape in kernel_shapes(tflite)]
        return float(sum(-(-width // 4) for width in widths))

    found = prune_to(
        model, evaluate=data.loss_of, max_latency_us=0.6 * steps(to_tflite(model)), n_levels=3, clock=steps
    )

    kept = [shape[0] for shape in kernel_shapes(found.tflite)]
    assert steps(found.tflite) <= 0.6 * steps(to_tflite(model))
    assert len(kept) == len(kernel_shapes(to_tflite(model)))


def kernel_shapes(tflite: bytes) -> list[tuple[int, ...]]:
    from models.export.flatbuffer import read

    graph = read(tflite).subgraphs[0]
    used = {int(op.inputs[1]) for op in graph.operators if len(op.inputs) > 2}
    return [tuple(int(n) for n in graph.tensors[k].shape) for k in sorted(used)]

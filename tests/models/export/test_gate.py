"""The gate: the two silent faults are found and cured, state is forgotten, what differs is refused."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tf_keras")

from models.export import flatbuffer
from models.export.faults import SMALLEST_CELL_SCALE, find_faults, repair
from models.export.gate import GateError, run_gate
from models.export.interpreters import load, run_rows

pytestmark = pytest.mark.tensorflow
WITHOUT_TENSORFLOW = ("litert", "litert-reference", "micro")


def test_a_sound_file_passes_every_runtime(cnn: Any, cnn_int8: bytes, cnn_rows: np.ndarray) -> None:
    report = run_gate(cnn_int8, cnn, cnn_rows)
    assert report.ok, report.refusals
    assert {result.runtime for result in report.runtimes} == {"litert", "litert-reference", "tf.lite", "micro"}
    assert all(result.model_difference < 0.03 for result in report.runtimes)
    assert report.tflite == cnn_int8


def test_a_cell_state_scale_that_is_too_small_makes_litert_answer_wrongly_until_it_is_cured(
    quiet_lstm: Any, quiet_lstm_int8: bytes, two_inputs_rows: dict[str, np.ndarray]
) -> None:
    rows = two_inputs_rows["steps"]
    expected = np.asarray(quiet_lstm(rows, training=False))
    spread = np.ptp(expected)
    ill = run_rows(load(quiet_lstm_int8, "litert"), [rows])[0]
    on_watch = run_rows(load(quiet_lstm_int8, "micro"), [rows])[0]
    assert {fault.kind for fault in find_faults(quiet_lstm_int8)} == {"cell-state scale"}
    assert np.abs(ill - expected).max() > 0.1 * spread
    assert np.abs(on_watch - expected).max() < 0.1 * spread

    cured, faults = repair(quiet_lstm_int8)

    assert all(fault.found < fault.wanted == SMALLEST_CELL_SCALE for fault in faults)
    for runtime in WITHOUT_TENSORFLOW:
        np.testing.assert_allclose(run_rows(load(cured, runtime), [rows])[0], expected, atol=0.1 * spread)
    assert find_faults(cured) == []


def test_a_bidirectional_lstm_joined_by_concatenation_gets_its_hidden_scales_back(
    two_inputs: Any, two_inputs_int8: bytes, two_inputs_rows: dict[str, np.ndarray]
) -> None:
    faults = find_faults(two_inputs_int8)
    assert "hidden-state scale" in {fault.kind for fault in faults}

    ill = run_gate(two_inputs_int8, two_inputs, two_inputs_rows, runtimes=WITHOUT_TENSORFLOW, cure=False)
    cured = run_gate(two_inputs_int8, two_inputs, two_inputs_rows, runtimes=WITHOUT_TENSORFLOW)

    assert any("hidden-state scale" in reason for reason in ill.refusals)
    assert cured.ok, cured.refusals
    for before, after in zip(ill.runtimes, cured.runtimes, strict=True):
        assert after.model_difference < before.model_difference


def test_one_users_night_cannot_leak_into_the_next(
    two_inputs_int8: bytes, two_inputs_rows: dict[str, np.ndarray]
) -> None:
    cured, _ = repair(two_inputs_int8)
    mine = [two_inputs_rows[name][:1] for name in ("steps", "age")]
    another = [3 * two_inputs_rows[name][1:2] for name in ("steps", "age")]
    for runtime in WITHOUT_TENSORFLOW:
        interpreter = load(cured, runtime)
        alone = run_rows(interpreter, mine)
        run_rows(interpreter, another)
        interpreter.reset()
        for after, before in zip(run_rows(interpreter, mine, reset=False), alone, strict=True):
            np.testing.assert_array_equal(after, before)
    report = run_gate(cured, samples=two_inputs_rows, runtimes=WITHOUT_TENSORFLOW)
    assert any(result.leaks for result in report.runtimes), "without a leak to stop, the reset proves nothing"
    assert all(result.resets for result in report.runtimes)


def test_a_file_that_differs_from_its_model_is_refused(cnn: Any, cnn_float: bytes, cnn_rows: np.ndarray) -> None:
    model = flatbuffer.read(cnn_float)
    tensor = next(t for t in model.subgraphs[0].tensors if tuple(t.shape) == (16, 1, 5, 8))
    flatbuffer.set_array(model, tensor, -flatbuffer.array(model, tensor))
    report = run_gate(flatbuffer.write(model), cnn, cnn_rows, runtimes=WITHOUT_TENSORFLOW)
    with pytest.raises(GateError, match="differs from the model"):
        report.raise_if_refused()


def test_what_the_watch_cannot_run_is_refused_by_name(cnn: Any) -> None:
    from models.export.convert import to_tflite

    half = to_tflite(cnn, "float16")
    report = run_gate(half, runtimes=WITHOUT_TENSORFLOW)
    with pytest.raises(GateError, match=r"tflite-micro refuses.*DEQUANTIZE"):
        report.raise_if_refused()
    assert run_gate(half, runtimes=("litert",)).ok


def test_the_report_is_plain_json(cnn_int8: bytes) -> None:
    import json

    entry = json.loads(json.dumps(run_gate(cnn_int8, runtimes=("litert", "micro")).entry()))
    assert entry["ok"] is True
    assert [result["runtime"] for result in entry["runtimes"]] == ["litert", "micro"]
    assert entry["runtimes"][0]["model_difference"] is None


def test_rubbish_is_not_a_tflite_file() -> None:
    with pytest.raises(flatbuffer.TFLiteFileError, match="TFL3"):
        run_gate(b"not a model at all")

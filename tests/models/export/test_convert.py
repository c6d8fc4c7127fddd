"""Conversion: what goes in stays as it was, what comes out is the same each time, crashes are errors."""

from typing import Any

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from models.export import flatbuffer  # noqa: E402
from models.export.convert import ConversionError, to_tflite  # noqa: E402
from models.export.interpreters import load, run_rows  # noqa: E402
from models.export.spec import tensor_specs  # noqa: E402

layers = tf_keras.layers
pytestmark = pytest.mark.tensorflow


def test_the_file_says_what_the_model_says(cnn: Any, cnn_float: bytes, cnn_rows: np.ndarray) -> None:
    (answer,) = run_rows(load(cnn_float, "litert"), [cnn_rows])
    np.testing.assert_allclose(answer, cnn(cnn_rows, training=False), atol=1e-5)


def test_the_same_model_gives_the_same_bytes(cnn: Any, cnn_int8: bytes, cnn_rows: np.ndarray) -> None:
    assert to_tflite(cnn, "int8", cnn_rows) == cnn_int8


def test_converting_changes_neither_weights_nor_layers_of_the_model(cnn: Any) -> None:
    weights, names = cnn.get_weights(), [layer.name for layer in cnn.layers]
    to_tflite(cnn, "float16")
    assert [layer.name for layer in cnn.layers] == names
    for before, after in zip(weights, cnn.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_inputs_and_outputs_keep_the_order_and_the_names_of_the_model(
    two_inputs: Any, two_inputs_rows: dict[str, np.ndarray], two_inputs_int8: bytes
) -> None:
    inputs, outputs = tensor_specs(two_inputs_int8)
    assert [(spec.name, spec.shape) for spec in inputs] == [("steps", (1, 12, 4)), ("age", (1, 5))]
    assert [(spec.name, spec.shape) for spec in outputs] == [("z_stage", (1, 3)), ("a_score", (1, 1))]
    assert {spec.dtype for spec in inputs + outputs} == {"int8"}


def test_a_batch_free_lstm_fuses_into_one_operator(quiet_lstm_int8: bytes) -> None:
    names = [name for _, _, name in flatbuffer.operators(flatbuffer.read(quiet_lstm_int8))]
    assert names.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    assert "WHILE" not in names


def test_int8_arithmetic_can_keep_float_at_its_borders(cnn: Any, cnn_rows: np.ndarray) -> None:
    inputs, outputs = tensor_specs(to_tflite(cnn, "int8", cnn_rows, io="float32"))
    assert (inputs[0].dtype, outputs[0].dtype) == ("float32", "float32")


def test_stripping_names_changes_no_weight_and_saves_bytes(cnn: Any, cnn_float: bytes, cnn_rows: np.ndarray) -> None:
    whole = to_tflite(cnn, strip=False)
    assert len(cnn_float) < len(whole)
    (a,), (b,) = (run_rows(load(one, "litert"), [cnn_rows[:4]]) for one in (whole, cnn_float))
    np.testing.assert_array_equal(a, b)


def test_a_crash_of_the_converter_is_an_error_that_names_the_layer() -> None:
    entry = layers.Input((6, 3))
    model = tf_keras.Model(entry, layers.GRU(4, name="gru_of_mine")(entry))
    with pytest.raises(ConversionError, match=r"died.*gru_of_mine.*unroll=True"):
        to_tflite(model, "int8", np.zeros((2, 6, 3)))


@pytest.mark.parametrize(
    ("mode", "rows", "words"),
    [
        ("int4", None, "must be one of"),
        ("int8", None, "representative"),
        ("int8", np.zeros((2, 1, 64, 4)), "shape"),
        ("int8", np.full((2, 1, 64, 3), np.nan), "NaN"),
        ("int8", [np.zeros((2, 1, 64, 3))] * 2, "expected 1 sample arrays"),
        ("int8", {"ppg": np.zeros((2, 1, 64, 3))}, "lack the inputs"),
        ("int8", np.zeros((0, 1, 64, 3)), "at least one"),
    ],
)
def test_wrong_use_gets_one_clear_error(cnn: Any, mode: Any, rows: Any, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        to_tflite(cnn, mode, rows)


def test_a_free_dimension_is_refused_before_anything_starts() -> None:
    entry = layers.Input((None, 3), name="endless")
    model = tf_keras.Model(entry, layers.Conv1D(2, 3)(entry))
    with pytest.raises(ConversionError, match=r"endless.*fixed sizes"):
        to_tflite(model)


def test_a_layer_of_ones_own_goes_by_way_of_a_saved_model() -> None:
    class Twice(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2.0 * x

    entry = layers.Input((4,), name="x")
    model = tf_keras.Model(entry, layers.Dense(2, name="y")(Twice()(entry)))
    rows = np.ones((1, 4), np.float32)
    (answer,) = run_rows(load(to_tflite(model), "litert"), [rows])
    np.testing.assert_allclose(answer, model(rows), atol=1e-6)

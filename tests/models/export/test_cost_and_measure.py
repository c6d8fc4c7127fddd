"""Measured and predicted cost: counted by hand where that can be done, ordered where it cannot."""

from pathlib import Path

import numpy as np
import pytest

from models.export import flatbuffer
from models.export.cost import CORTEX_M4F, CORTEX_M55, cost, operator_costs
from models.export.interpreters import LoadError, load, micro_interpreter
from models.export.latency_table import LatencyTable, LatencyTableError, measure_table
from models.export.measure import arena_bytes, latency, sizes
from models.export.probes import conv_probe, lstm_probe


def test_macs_of_a_convolution_are_counted_as_by_hand() -> None:
    (part,) = operator_costs(conv_probe(3, 8, 5, 64, "float32"))
    assert part.macs == 64 * 8 * 5 * 3
    assert part.weight_bytes == 4 * (8 * 5 * 3 + 8)
    assert part.activation_bytes == 4 * 64 * (3 + 8)


def test_macs_of_an_lstm_are_counted_as_by_hand() -> None:
    (part,) = operator_costs(lstm_probe(4, 16, 20))
    assert part.macs == 20 * 4 * 16 * (4 + 16)


def test_int8_and_the_newer_core_are_predicted_cheaper() -> None:
    real, small = conv_probe(16, 16, 5, 64, "float32"), conv_probe(16, 16, 5, 64, "int8")
    assert cost(small, CORTEX_M4F).cycles < cost(real, CORTEX_M4F).cycles
    assert cost(small, CORTEX_M55).energy_uj < cost(small, CORTEX_M4F).energy_uj
    assert cost(small).energy_per_day_mj(10.0) == pytest.approx(cost(small).energy_uj / 100.0)


def test_a_probe_computes_the_same_in_both_runtimes() -> None:
    probe = conv_probe(4, 6, 3, 16, "float32")
    x = np.random.default_rng(0).normal(size=(1, 1, 16, 4)).astype(np.float32)
    np.testing.assert_allclose(load(probe, "litert").invoke([x])[0], load(probe, "micro").invoke([x])[0], atol=1e-5)


def test_arena_and_latency_and_sizes_are_measured() -> None:
    small, large = conv_probe(4, 4, 5, 64, "int8"), conv_probe(4, 4, 5, 512, "int8")
    assert 2 * 64 * 4 < arena_bytes(small) < arena_bytes(large)
    figures = latency(small, runs=20)
    assert 0 < figures.best_us <= figures.median_us
    assert sizes(small).raw == len(small)


def test_written_buffers_start_on_16_byte_boundaries() -> None:
    data = conv_probe(4, 4, 5, 64, "float32")
    weights = flatbuffer.array(flatbuffer.read(data), flatbuffer.read(data).subgraphs[0].tensors[1])
    assert weights is not None
    assert data.index(weights.tobytes()) % 16 == 0


def test_rewriting_an_unchanged_file_is_stable() -> None:
    data = lstm_probe(4, 8, 5)
    assert flatbuffer.write(flatbuffer.read(data)) == data


def test_a_runtime_that_refuses_gives_its_reason() -> None:
    model = flatbuffer.read(conv_probe(4, 4, 5, 64, "float32"))
    model.operatorCodes[0].builtinCode = flatbuffer.schema.BuiltinOperator.DENSIFY
    model.operatorCodes[0].deprecatedBuiltinCode = flatbuffer.schema.BuiltinOperator.DENSIFY
    with pytest.raises(LoadError, match="micro refuses the file"):
        load(flatbuffer.write(model), "micro")


def test_a_table_knows_its_steps_and_survives_the_disk(tmp_path: Path) -> None:
    table = LatencyTable("conv", "float32", "here", {16: 10.0, 31: 30.0, 32: 23.0, 33: 46.0, 40: 56.0})
    assert table.steps() == (16, 32, 33, 40)
    assert table.step_below(31) == 16
    assert table.latency_us(24) == pytest.approx(10 + 20 * 8 / 15)
    table.save(tmp_path / "table.json")
    assert LatencyTable.load(tmp_path / "table.json") == table
    with pytest.raises(LatencyTableError, match="outside the measured 16 to 40"):
        table.latency_us(64)


def test_a_table_is_measured_without_tensorflow() -> None:
    table = measure_table("conv", "int8", (4, 8), runs=5, steps=32)
    assert set(table.us) == {4, 8}
    assert min(table.us.values()) > 0
    with pytest.raises(LatencyTableError, match="float32"):
        measure_table("lstm", "int8", (4,))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(LatencyTableError, match="no latency table"):
        LatencyTable.load(tmp_path / "t.json")


def test_an_arena_on_which_the_runtime_would_crash_is_refused_in_one_sentence() -> None:
    data = conv_probe(4, 4, 3, 16, "float32")

    with pytest.raises(LoadError, match=r"an arena of 256 bytes is too small for any file.*at least 1024"):
        micro_interpreter(data, 256)
    with pytest.raises(RuntimeError):
        micro_interpreter(data, 1024)

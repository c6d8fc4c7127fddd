"""The form that tflite-micro decodes while it runs: smaller, bit for bit the same, and never the silent trap."""

from typing import Any

import numpy as np
import pytest

from models.compress.clustering import cluster_tflite
from models.compress.decode_op import DecodeError, encode_mask, lut_axis, to_decode
from models.export import flatbuffer
from models.export.interpreters import LoadError, load, run_rows
from models.export.probes import conv_probe


def _masked(share: float, dtype: str = "int8") -> bytes:
    """Return a convolution with this share of zeros."""
    model = flatbuffer.read(conv_probe(32, 32, 5, 64, dtype))
    tensor = model.subgraphs[0].tensors[1]
    values = np.array(flatbuffer.array(model, tensor))
    values[np.random.default_rng(5).random(values.shape) < share] = 0
    flatbuffer.set_array(model, tensor, values)
    return flatbuffer.write(model)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_pruned_form_is_smaller_and_answers_to_the_bit(share: float, dtype: str) -> None:
    dense = _masked(share, dtype)
    made = to_decode(dense)
    assert made.tensors == 1
    assert len(made.tflite) < len(dense) == made.dense_bytes
    rows = [np.random.default_rng(1).normal(size=(5, 1, 64, 32)).astype(np.float32)]
    (a,), (b,) = (run_rows(load(file, "micro"), rows) for file in (dense, made.tflite))
    np.testing.assert_array_equal(a, b)
    assert np.ptp(a) > 0


def test_litert_cannot_load_it_and_says_so() -> None:
    with pytest.raises(LoadError, match="TFLM_DECODE"):
        load(to_decode(_masked(0.9, "float32")).tflite, "litert")


def test_tables_are_written_per_channel_where_scales_are_per_channel() -> None:
    clustered = cluster_tflite(_masked(0.0), bits=2)
    tensor: Any = flatbuffer.read(clustered).subgraphs[0].tensors[1]
    assert lut_axis(tensor) == 0
    made = to_decode(clustered, "lut")
    assert len(made.tflite) < len(clustered)


def test_a_dense_file_is_refused_with_what_to_do() -> None:
    with pytest.raises(DecodeError, match="prune more than an eighth"):
        to_decode(_masked(0.0))
    with pytest.raises(DecodeError, match="cluster to 4 bits"):
        to_decode(_masked(0.0), "lut")


def test_the_tool_of_tflite_micro_is_left_as_it_was() -> None:
    import importlib

    tool = importlib.import_module("tflite_micro.tensorflow.lite.micro.compression.compress")
    before = dict(tool._COMPRESSORS)
    to_decode(_masked(0.9))
    assert before == tool._COMPRESSORS


def test_the_mask_is_most_significant_bit_first() -> None:
    mask, kept = encode_mask(np.array([0, 5, 0, 0, 0, 0, 0, -1, 3], np.int8))
    assert mask == bytes([0b01000001, 0b10000000])
    assert kept == np.array([5, -1, 3], np.int8).tobytes()

"""Clustering and binary weights: few values, zeros kept, nobody's model changed."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.compress.clustering import ClusteringError, cluster_tflite
from models.compress.kmeans import cluster_values
from models.compress.pack import pack
from models.export import flatbuffer
from models.export.probes import conv_probe, lstm_probe


@settings(max_examples=80, deadline=None)
@given(arrays(np.float64, st.integers(1, 80), elements=st.floats(-4, 4, width=16)), st.integers(2, 16))
def test_clusters_are_few_keep_zeros_and_never_cross_the_range(values: np.ndarray, n: int) -> None:
    found = cluster_values(values, n)
    assert np.unique(found).size <= n
    assert (found[values == 0] == 0).all()
    assert found.min() >= min(values.min(), 0) - 1e-12
    assert found.max() <= max(values.max(), 0) + 1e-12


def test_well_parted_groups_are_found_exactly() -> None:
    values = np.repeat([-3.0, -1.0, 0.0, 2.0], 10) + np.where(np.arange(40) // 10 == 2, 0, np.tile([0.01, -0.01], 20))
    np.testing.assert_allclose(np.unique(cluster_values(values, 4)), [-3, -1, 0, 2])


def test_more_clusters_lose_less() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    lost = [float(((cluster_values(values, 1 << bits) - values) ** 2).mean()) for bits in (2, 3, 4, 5)]
    assert lost == sorted(lost, reverse=True)
    assert lost[2] < 0.012  # the best 16-level quantizer of a normal variable loses 0.0095 (Max, 1960)


@pytest.mark.parametrize("data", [conv_probe(32, 32, 5, 64, "int8"), conv_probe(32, 32, 5, 64, "float32"),
                                  lstm_probe(16, 32, 10)], ids=["int8", "float", "lstm"])  # fmt: skip
def test_a_clustered_file_has_16_values_a_tensor_and_packs_small(data: bytes) -> None:
    model = flatbuffer.read(cluster_tflite(data, bits=4))
    for tensor in model.subgraphs[0].tensors:
        values = flatbuffer.array(model, tensor)
        if values is not None and values.ndim > 1:
            assert np.unique(values).size <= 16
    packed = pack(flatbuffer.write(model))
    weights = sum(v.size for v in (flatbuffer.array(model, t) for t in model.subgraphs[0].tensors) if v is not None)
    assert packed.weights_bytes * 8 < 5.2 * weights
    assert pack(data).weights_bytes > packed.weights_bytes


def test_one_code_book_serves_all_int8_tensors_of_a_file() -> None:
    model = flatbuffer.read(conv_probe(16, 16, 5, 64, "int8"))
    graph = model.subgraphs[0]
    second = copy.deepcopy(graph.tensors[1])
    flatbuffer.own_buffer(model, second)
    flatbuffer.set_array(model, second, np.random.default_rng(1).integers(-60, 60, second.shape).astype(np.int8))
    graph.tensors.append(second)
    file = flatbuffer.write(model)
    for one_book in (False, True):
        after = flatbuffer.read(cluster_tflite(file, 4, one_book=one_book))
        found = [flatbuffer.array(after, after.subgraphs[0].tensors[k]) for k in (1, -1)]
        together = np.unique(np.concatenate([np.ravel(f) for f in found]))
        assert (together.size <= 16) is one_book


def test_zeros_of_an_int8_file_stay_and_no_new_ones_appear() -> None:
    model = flatbuffer.read(conv_probe(16, 16, 5, 64, "int8"))
    tensor = model.subgraphs[0].tensors[1]
    values = np.random.default_rng(0).integers(-3, 4, (16, 1, 5, 16)).astype(np.int8)
    flatbuffer.set_array(model, tensor, values)
    after = flatbuffer.read(cluster_tflite(flatbuffer.write(model), bits=2))
    found = flatbuffer.array(after, after.subgraphs[0].tensors[1])
    np.testing.assert_array_equal(found == 0, values == 0)


@pytest.mark.parametrize("bits", [0, 9])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    with pytest.raises(ClusteringError, match="1 to 8"):
        cluster_tflite(conv_probe(4, 4, 3, 16, "int8"), bits)


@pytest.fixture(scope="module")
def net() -> Any:
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(3)
    layers = tf_keras.layers
    entry = layers.Input((20, 4), name="steps")
    x = layers.LSTM(8, name="lstm")(entry)
    x = layers.Dense(16, activation="relu", name="middle")(x)
    model = tf_keras.Model(entry, layers.Dense(2, name="out")(x))
    model.compile("adam", "mse")
    return model


@pytest.mark.tensorflow
def test_clustering_a_model_leaves_it_alone_and_keeps_zeros(net: Any) -> None:
    from models.compress.clustering import cluster_weights, kernels

    kernel = net.get_layer("middle").kernel
    kernel.assign(np.where(np.abs(kernel) < 0.2, 0, kernel))
    before = net.get_weights()
    copy = cluster_weights(net, bits=3)
    for was, now in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert net.get_layer("middle").kernel is kernel
    for mine, theirs in zip(kernels(copy), kernels(net), strict=True):
        if mine.shape.num_elements() >= 64:
            assert np.unique(mine).size <= 8
            np.testing.assert_array_equal((mine.numpy() == 0)[theirs.numpy() == 0], True)
    with pytest.raises(ClusteringError, match="no layers"):
        cluster_weights(net, layers=["nowhere"])


@pytest.mark.tensorflow
def test_tuning_the_centres_lowers_the_loss_and_keeps_the_clusters(net: Any) -> None:
    from models.compress.clustering import centroid_tuning, cluster_weights, kernels

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 20, 4)), rng.normal(size=(64, 2))
    copy = cluster_weights(net, bits=2)
    copy.compile("adam", "mse")
    before = copy.evaluate(x, y, verbose=0)
    zeros = [np.asarray(k) == 0 for k in kernels(copy)]
    copy.fit(x, y, batch_size=16, epochs=4, verbose=0, callbacks=[centroid_tuning(copy)])
    assert copy.evaluate(x, y, verbose=0) < before
    for kernel, zero in zip(kernels(copy), zeros, strict=True):
        if kernel.shape.num_elements() >= 64:
            assert np.unique(kernel).size <= 4
            assert (np.asarray(kernel)[zero] == 0).all()


@pytest.mark.tensorflow
def test_binary_connect_learns_with_two_values_a_kernel_and_packs_to_a_bit_a_weight() -> None:
    tf_keras = pytest.importorskip("tf_keras")
    from models.compress.binary import binary_connect
    from models.compress.clustering import copy_model

    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    entry = layers.Input((32,), name="x")
    x = layers.Dense(64, name="first")(entry)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    parent = tf_keras.Model(entry, layers.Dense(2, activation="softmax", name="out")(x))
    kept = parent.get_weights()
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(512, 32)).astype(np.float32)
    classes = (rows[:, :8].sum(1) > rows[:, 8:16].sum(1)).astype(int)
    model = copy_model(parent)
    model.compile(tf_keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(rows, classes, batch_size=32, epochs=12, verbose=0, callbacks=[binary_connect(model, ["first"])])

    values = np.unique(model.get_layer("first").kernel)
    assert values.size == 2
    assert values[0] == -values[1]
    assert model.evaluate(rows, classes, verbose=0)[1] > 0.9
    for was, now in zip(kept, parent.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    with pytest.raises(ClusteringError, match=r"'relu' has no kernel.*first"):
        binary_connect(model, ["relu"])

    from models.export.convert import to_tflite

    # Batch norm scales each channel's two values; per-channel int8 gives that scale its own place again.
    file = to_tflite(model, "int8", rows[:50])
    assert pack(file).weights_bytes < 32 * 64 / 8 + 4 * (64 + 2) + 64 * 2 + 80

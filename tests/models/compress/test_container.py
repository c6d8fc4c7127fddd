"""The container: bit for bit there and back, whatever the words; damage and bombs are errors, never crashes."""

import gzip
import subprocess
import sys
import zlib

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.compress import huffman, scales, streams, tree
from models.compress.container import BYTES, MAGIC, TREE, ContainerError, unpack
from models.compress.pack import pack
from models.compress.skeletons import TREES
from models.export import flatbuffer
from models.export.probes import conv_probe, lstm_probe


def _sparse_probe() -> bytes:
    """Return an int8 convolution of which nine weights in ten are zero and the rest take eight values."""
    model = flatbuffer.read(conv_probe(32, 32, 5, 64, "int8"))
    weights = model.subgraphs[0].tensors[1]
    rng = np.random.default_rng(3)
    values = rng.choice([-90, -50, -20, -5, 5, 20, 50, 90], size=(32, 1, 5, 32)).astype(np.int8)
    values[rng.random(values.shape) < 0.9] = 0
    flatbuffer.set_array(model, weights, values)
    return flatbuffer.write(model)


@pytest.mark.parametrize(
    "data",
    [conv_probe(4, 8, 5, 64, "int8"), conv_probe(4, 8, 5, 64, "float32"), lstm_probe(4, 8, 10), _sparse_probe()],
    ids=["int8", "float", "lstm", "sparse"],
)
def test_a_file_comes_back_bit_for_bit(data: bytes) -> None:
    assert unpack(pack(data).data) == data


def test_pruned_and_clustered_weights_cost_less_than_with_gzip() -> None:
    data = _sparse_probe()
    packed = pack(data)
    assert packed.dense_bytes == len(data)
    assert packed.weights_bytes + packed.structure_bytes == len(packed.data)
    assert len(packed.data) < 0.8 * len(gzip.compress(data, 9))
    # The entropy of a tenth of non-zeros of eight values is 0.77 bits a weight.
    assert packed.weights_bytes * 8 < 0.95 * 32 * 5 * 32


@pytest.mark.parametrize(
    "data",
    [conv_probe(4, 8, 5, 64, "int8"), conv_probe(4, 8, 5, 64, "float32"), lstm_probe(4, 8, 10), _sparse_probe()],
    ids=["int8", "float", "lstm", "sparse"],
)
def test_tables_instead_of_bytes_are_smaller_and_give_the_same_file(data: bytes) -> None:
    plain, smallest = pack(data), pack(data, smallest=True)
    assert unpack(smallest.data) == data
    assert smallest.structure_bytes < plain.structure_bytes
    assert smallest.weights_bytes == plain.weights_bytes


def test_a_file_that_another_writer_wrote_keeps_its_bytes() -> None:
    model = flatbuffer.read(conv_probe(4, 8, 5, 64, "int8"))
    builder = flatbuffers.Builder(1 << 12)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    foreign = bytes(builder.Output())
    assert foreign != flatbuffer.write(model)
    assert pack(foreign, smallest=True).data == pack(foreign).data
    assert unpack(pack(foreign).data) == foreign


def test_scales_that_follow_from_others_are_dropped_and_come_back_to_the_bit() -> None:
    model = flatbuffer.read(conv_probe(4, 8, 5, 64, "int8"))
    bias = model.subgraphs[0].tensors[2].quantization
    before = bias.scale.copy()
    scales.drop(model)
    assert bias.scale.size == 0
    scales.fill(model)
    np.testing.assert_array_equal(bias.scale, before)
    bias.scale = before * np.float32(1.5)
    scales.drop(model)
    np.testing.assert_array_equal(bias.scale, before * np.float32(1.5))


def test_packing_is_deterministic() -> None:
    assert pack(_sparse_probe()).data == pack(_sparse_probe()).data


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["<u1", "<u2", "<u4"]))
def test_every_stream_of_words_comes_back(data: st.DataObject, dtype: str) -> None:
    alphabet = data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=9))
    words = np.array(data.draw(st.lists(st.sampled_from([0, 0, 0, *alphabet]), max_size=300)), dtype)
    decoded = streams.decode(streams.encode(words), words.size, words.dtype.itemsize)
    np.testing.assert_array_equal(decoded, words)


@pytest.mark.parametrize("method", [streams.RAW, streams.DEFLATE, streams.DENSE, streams.SPARSE])
def test_every_way_of_coding_comes_back(method: int) -> None:
    words = np.zeros(500, "<u4")
    words[[0, 130, 131, 499]] = [7, 9, 7, 1 << 31]  # runs that are longer than one escape, a word at each end
    way, _ = streams._WAYS[method]
    np.testing.assert_array_equal(streams.decode(bytes([method]) + way(words), 500, 4), words)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=80), st.integers(0, 2**32 - 1))
def test_codes_are_prefix_free_short_enough_and_decode(counts: list[int], seed: int) -> None:
    code = huffman.build(np.array(counts))
    assert code.lengths.max() <= huffman.MAX_BITS
    symbols = np.random.default_rng(seed).integers(0, len(counts), 200)
    np.testing.assert_array_equal(huffman.decode(huffman.encode(symbols, code), code, 200), symbols)


def test_a_code_spends_at_most_one_bit_more_than_the_entropy() -> None:
    counts = np.array([900, 40, 30, 20, 10])
    share = counts / counts.sum()
    spent = float((share * huffman.build(counts).lengths).sum())
    entropy = float(-(share * np.log2(share)).sum())
    assert entropy <= spent < entropy + 1


@pytest.mark.parametrize("smallest", [False, True])
def test_every_cut_is_an_error_and_no_changed_byte_gives_another_file(smallest: bool) -> None:
    data = conv_probe(3, 4, 3, 16, "int8")
    packed = pack(data, smallest=smallest).data
    for end in range(0, len(packed), 7):
        with pytest.raises(ContainerError):
            unpack(packed[:end])
    rng, harmless = np.random.default_rng(0), 0
    for place in range(len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= int(rng.integers(1, 256))
        try:
            assert unpack(bytes(damaged)) == data  # only the padding behind a last code word may change unseen
            harmless += 1
        except ContainerError:
            continue
    assert harmless < 4


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_what_a_stranger_sends_is_an_error_and_never_a_crash(rest: bytes) -> None:
    with pytest.raises(ContainerError):
        unpack(MAGIC + rest)


def test_a_small_file_cannot_fill_the_memory() -> None:
    packed = pack(conv_probe(8, 8, 5, 64, "float32")).data
    with pytest.raises(ContainerError, match=r"claims to unpack to \d+ bytes, 100 are allowed"):
        unpack(packed, max_bytes=100)
    bomb = streams.Writer([MAGIC])
    bomb.number(1000)
    bomb.parts.append(zlib.crc32(b"").to_bytes(4, "little"))
    bomb.number(0)
    bomb.parts.append(bytes([BYTES]))
    bomb.number(1000)
    bomb.block(streams.deflate(bytes(50_000_000)))
    with pytest.raises(ContainerError, match="should unpack to 1000 bytes"):
        unpack(bomb.bytes())


def test_what_follows_the_end_is_refused() -> None:
    with pytest.raises(ContainerError, match="3 bytes follow"):
        unpack(pack(conv_probe(3, 4, 3, 16, "int8")).data + b"abc")


def test_what_is_no_tflite_file_is_not_packed() -> None:
    with pytest.raises(flatbuffer.TFLiteFileError, match="TFL3"):
        pack(b"PK\x03\x04 and so on")


def test_reading_a_container_needs_neither_tensorflow_nor_litert() -> None:
    code = (
        "import sys; sys.modules.update(tensorflow=None, tf_keras=None, ai_edge_litert=None, flatbuffers=None); "
        "from models.compress.container import unpack; print(len(unpack(sys.stdin.buffer.read())))"
    )
    data = _sparse_probe()
    done = subprocess.run([sys.executable, "-c", code], input=pack(data).data, capture_output=True, check=True)
    assert int(done.stdout) == len(data)


def test_a_damaged_tree_is_an_error_and_never_a_crash() -> None:
    plain = tree.encode(flatbuffer.read(conv_probe(3, 4, 3, 16, "int8")))
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(plain)
        for place in rng.integers(0, len(plain), 3):
            damaged[place] = int(rng.integers(256))
        container = streams.Writer([MAGIC])
        container.number(1 << 12)
        container.parts.append(bytes(4))
        container.number(0)
        container.parts.append(bytes([TREE]))
        container.number(len(damaged) + 1)
        container.block(streams.deflate(bytes([0]) + bytes(damaged), TREES))
        with pytest.raises(ContainerError):
            unpack(container.bytes())

"""Samples at rest: differences, split into byte planes, compressed; the smallest that reads back exactly."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from services.store.errors import StoreError

Samples = NDArray[Any]
DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "i2": np.dtype("<i2"), "i4": np.dtype("<i4"), "f4": np.dtype("<f4")
}  # fmt: skip
_LEVEL = 3
_local = threading.local()


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "compressor"):
        # No checksum, no dictionary id: 4 to 8 bytes a chunk; the digest beside it is the check.
        _local.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False, write_dict_id=False)
        _local.decompressor = zstandard.ZstdDecompressor()
    compressor: zstandard.ZstdCompressor = _local.compressor
    return compressor


def encode(samples: Samples) -> tuple[str, bytes]:
    """
    Return (codec, bytes) of `samples`, shape (n, n_channels), of a dtype in `DTYPES`.

    Integers: the difference from sample to sample of each channel (modulo 2^bits, so it is exact), zigzag, low
    bytes of a channel apart from high bytes. High bytes are then nearly all zero and cost nearly nothing.
    """
    n, width = samples.shape
    itemsize = samples.dtype.itemsize
    if samples.dtype.kind == "f":
        words = samples.view(f"<u{itemsize}")
        planes = words.T.reshape(width, n)
    else:
        planes = _zigzag(_delta(samples).T)
    shuffled = planes.copy().view(np.uint8).reshape(width, n, itemsize).transpose(0, 2, 1)
    return "shuffle-zstd", _compressor().compress(np.ascontiguousarray(shuffled).tobytes())


def decode(codec: str, data: bytes, dtype: str, n: int, width: int) -> Samples:
    """Return the samples, shape (n, width), that `encode` was given."""
    if codec != "shuffle-zstd":
        raise StoreError(f"samples are stored with codec {codec!r}, but this program knows shuffle-zstd; upgrade it")
    target = DTYPES[dtype]
    _compressor()
    raw = _local.decompressor.decompress(data, max_output_size=n * width * target.itemsize)
    shuffled = np.frombuffer(raw, np.uint8).reshape(width, target.itemsize, n)
    words: Samples = np.ascontiguousarray(shuffled.transpose(0, 2, 1)).view(f"<u{target.itemsize}").reshape(width, n)
    if target.kind == "f":
        return np.ascontiguousarray(words.T).view(target)
    deltas: Samples = (words >> 1) ^ (np.uint8(0) - (words & 1)).astype(words.dtype)
    summed: Samples = np.cumsum(deltas, axis=1, dtype=words.dtype)
    return np.ascontiguousarray(summed.T).view(target)


def _delta(samples: Samples) -> Samples:
    words = samples.view(f"<u{samples.dtype.itemsize}")
    return np.diff(words, axis=0, prepend=np.zeros((1, words.shape[1]), words.dtype))


def _zigzag(words: Samples) -> Samples:
    signed = words.view(f"<i{words.dtype.itemsize}")
    bits = words.dtype.itemsize * 8 - 1
    return ((signed << 1) ^ (signed >> bits)).astype(f"<u{words.dtype.itemsize}")

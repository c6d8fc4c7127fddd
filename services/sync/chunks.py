"""Chunks as they travel: checked against their own claims, then held as plain samples."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
import zstandard
from pydantic import BeforeValidator, Field, WithJsonSchema

from data.errors import WristwiseError
from data.recording import CHANNEL_UNITS
from services.store.codec import DTYPES, Samples
from services.store.intake import MAX_CHUNK_US, Chunk
from services.sync.fields import Body, Bytes, Count, Identifier

Encoding = Literal["i2", "i4", "f4", "delta-zstd", "delta-zstd-i4"]
MAX_CHANNELS = 8
MAX_CHUNK_BYTES = 4 << 20


class ChunkError(WristwiseError, ValueError):
    """A chunk contradicts itself."""


def _uuid(value: Any) -> Any:
    if isinstance(value, str):
        return str(UUID(value))
    raise ValueError("must be a UUID as text")


BootId = Annotated[str, BeforeValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Factor = Annotated[float, Field(allow_inf_nan=False)]
Factors = Factor | Annotated[list[Factor], Field(min_length=1, max_length=MAX_CHANNELS)]
ChannelName = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(CHANNEL_UNITS)})]


class WireChunk(Body):
    """Consecutive samples of one stream as sent by a watch."""

    boot_id: BootId
    stream: Identifier
    seq: Count
    t0_us: Count
    rate_hz: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
    channels: Annotated[list[ChannelName], Field(min_length=1, max_length=MAX_CHANNELS)]
    encoding: Encoding
    scale: Factors = 1.0
    offset: Factors = 0.0
    n: Annotated[int, Field(ge=1, le=1 << 21, strict=True)]
    data: Bytes


def check_chunk(wire: WireChunk) -> Chunk:
    """
    Return the chunk's samples, or say what contradicts itself.

    Raises
    ------
    ChunkError
        If channels, factors, length or data do not fit each other.
    """
    unknown = [c for c in wire.channels if c not in CHANNEL_UNITS]
    if unknown:
        raise ChunkError(f"channel {unknown[0][:32]!r} is not known; known are: {', '.join(CHANNEL_UNITS)}")
    width = len(wire.channels)
    if len(set(wire.channels)) != width:
        raise ChunkError("a channel is named twice; name each once")
    if wire.n * 1e6 / wire.rate_hz > MAX_CHUNK_US:
        raise ChunkError(
            f"{wire.n} samples at {wire.rate_hz:g} Hz last longer than {MAX_CHUNK_US // 1_000_000} s; "
            "send shorter chunks"
        )
    dtype = {"delta-zstd": "i2", "delta-zstd-i4": "i4"}.get(wire.encoding, wire.encoding)
    scale, offset = _factors(wire.scale, width, "scale"), _factors(wire.offset, width, "offset")
    if 0.0 in scale:
        raise ChunkError("scale 0 would lose every sample; send the factor from stored to physical values")
    samples = _samples(wire, dtype, width)
    return Chunk(
        wire.boot_id, wire.stream, wire.seq, wire.t0_us, wire.rate_hz, tuple(wire.channels),
        scale, offset, dtype, samples,
    )  # fmt: skip


def _factors(value: float | list[float], width: int, name: str) -> tuple[float, ...]:
    if isinstance(value, list):
        if len(value) != width:
            raise ChunkError(f"{name} has {len(value)} numbers for {width} channels; send one, or one a channel")
        return tuple(value)
    return (value,) * width


def _samples(wire: WireChunk, dtype: str, width: int) -> Samples:
    target = DTYPES[dtype]
    expected = wire.n * width * target.itemsize
    if expected > MAX_CHUNK_BYTES:
        raise ChunkError(f"the chunk holds {expected} bytes, at most {MAX_CHUNK_BYTES} are taken; send shorter chunks")
    raw = wire.data
    if wire.encoding.startswith("delta-zstd"):
        raw = _inflate(raw, expected)
    if len(raw) != expected:
        raise ChunkError(
            f"n={wire.n} of {width} channels in {wire.encoding} is {expected} bytes, but {len(raw)} came; "
            "send n and data that agree"
        )
    values: Samples = np.frombuffer(raw, target).reshape(wire.n, width)
    if wire.encoding.startswith("delta-zstd"):
        words = values.view(f"<u{target.itemsize}")
        summed: Samples = np.cumsum(words, axis=0, dtype=words.dtype)
        return summed.view(target)
    return values


def _inflate(raw: bytes, expected: int) -> bytes:
    try:
        # One byte more than announced is enough to see a lie, and no bomb gets further.
        content: bytes = zstandard.ZstdDecompressor().stream_reader(raw).read(expected + 1)
    except zstandard.ZstdError as error:
        raise ChunkError("data is not a zstd frame; compress the differences with zstd") from error
    return content

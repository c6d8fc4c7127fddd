"""Batches and replies as they travel: MessagePack or JSON, in the shapes of the sync contract."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from services.watch.clock import ClockReading

MSGPACK = "application/msgpack"
JSON = "application/json"


@dataclass(frozen=True)
class Chunk:
    """Consecutive samples of one stream; the fields are those of the contract."""

    boot_id: str
    stream: str
    seq: int
    t0_us: int
    rate_hz: float
    channels: tuple[str, ...]
    encoding: str
    scale: float
    offset: float
    n: int
    data: bytes

    @property
    def key(self) -> tuple[str, str, int]:
        """What the chunk is known by within its device: boot, stream, seq."""
        return self.boot_id, self.stream, self.seq

    def body(self) -> dict[str, Any]:
        """Return the fields as the contract names them, `data` as bytes."""
        return {
            "boot_id": self.boot_id, "stream": self.stream, "seq": self.seq, "t0_us": self.t0_us,
            "rate_hz": self.rate_hz, "channels": list(self.channels), "encoding": self.encoding,
            "scale": self.scale, "offset": self.offset, "n": self.n, "data": self.data,
        }  # fmt: skip


def sent_body(reading: ClockReading) -> dict[str, Any]:
    """Return the `sent` part of a batch: both clocks at one moment, and whose monotonic clock it is."""
    return {
        "boot_id": reading.boot_id,
        "monotonic_us": reading.monotonic_us,
        "wall": reading.wall.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "utc_offset_s": reading.utc_offset_s,
    }


def pack(body: Mapping[str, Any], content_type: str = MSGPACK) -> bytes:
    """Return `body` as bytes of `content_type`; in JSON, bytes become base64."""
    if content_type == MSGPACK:
        return bytes(msgpack.packb(body, use_bin_type=True))
    return json.dumps(body, separators=(",", ":"), default=_base64).encode()


def unpack(data: bytes, content_type: str) -> Any:
    """Return the value in `data`; None where it cannot be read as what it says it is."""
    try:
        if "msgpack" in content_type:
            return msgpack.unpackb(data, raw=False)
        return json.loads(data)
    except (ValueError, msgpack.UnpackException):
        return None


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a batch holds numbers, texts and bytes. Got {type(value).__name__} instead.")

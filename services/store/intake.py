"""What a batch leaves in the store: chunks, what was refused, the ranges held, and the clock's pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from services.store import codec, ranges
from services.store.cipher import Cipher
from services.store.clock import SLOT_US, Clock, Pair, fit_clock
from services.store.sql import insert_ignore
from services.store.store import now_us
from services.store.tables import chunks, clock_pairs, quarantine, streams

# Longest chunk that is taken: a bound for searches by time.
MAX_CHUNK_US = 900_000_000

# Built once: see `services.store.jobs`.
_BOOT_STREAMS = select(streams).where(
    streams.c.user_id == bindparam("b_user"), streams.c.device_id == bindparam("b_device"),
    streams.c.boot_id == bindparam("b_boot"),
).order_by(streams.c.stream_no)  # fmt: skip
_LAST_STREAM = select(func.max(streams.c.stream_no)).where(streams.c.user_id == bindparam("b_user"))
_ADD_STREAM = insert(streams)
_HELD = update(streams).where(
    streams.c.user_id == bindparam("b_user"), streams.c.stream_no == bindparam("b_stream")
)  # fmt: skip
_DIGEST = select(chunks.c.digest).where(
    chunks.c.user_id == bindparam("b_user"), chunks.c.stream_no == bindparam("b_stream"),
    chunks.c.seq == bindparam("b_seq"),
)  # fmt: skip
_ADD_CHUNK = insert(chunks)
_SLOT = [
    clock_pairs.c.user_id == bindparam("b_user"), clock_pairs.c.device_id == bindparam("b_device"),
    clock_pairs.c.boot_id == bindparam("b_boot"), clock_pairs.c.slot == bindparam("b_slot"),
    clock_pairs.c.utc_offset_s == bindparam("b_zone"),
]  # fmt: skip
_PAIR = select(clock_pairs.c.monotonic_us, clock_pairs.c.wall_us).where(*_SLOT)
_ADD_PAIR, _EARLIER_PAIR = insert(clock_pairs), update(clock_pairs).where(*_SLOT)
_BOOT_PAIRS = select(clock_pairs.c.monotonic_us, clock_pairs.c.wall_us, clock_pairs.c.utc_offset_s).where(*_SLOT[:3])
_PLACED = (chunks.c.user_id == bindparam("b_user"), chunks.c.stream_no.in_(bindparam("b_streams", expanding=True)))
_IN_TIME = (chunks.c.t0_us, chunks.c.stream_no, chunks.c.seq)
_SPANS = (
    select(*_IN_TIME, chunks.c.end_us, chunks.c.rate_hz, chunks.c.channels, chunks.c.data.is_not(None).label("kept"))
    .where(*_PLACED, chunks.c.t0_us > bindparam("b_after"), chunks.c.end_us > bindparam("b_from"))
    .order_by(*_IN_TIME)
)
_SAMPLES = (
    select(chunks)
    .where(*_PLACED, chunks.c.data.is_not(None), chunks.c.t0_us > bindparam("b_after"))
    .where(chunks.c.t0_us < bindparam("b_to"), chunks.c.end_us > bindparam("b_from"))
    .order_by(*_IN_TIME)
)


@dataclass(frozen=True)
class Chunk:
    """
    Consecutive samples of one stream, checked and ready to be stored.

    Parameters
    ----------
    t0_us : int
        Monotonic time of the first sample since the boot.
    scale, offset : tuple of float
        One a channel: physical = stored * scale + offset.
    samples : ndarray, shape (n, n_channels)
        As stored: little-endian i2, i4 or f4.
    """

    boot_id: str
    stream: str
    seq: int
    t0_us: int
    rate_hz: float
    channels: tuple[str, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    dtype: str
    samples: codec.Samples

    @property
    def end_us(self) -> int:
        """Monotonic time at which the last sample ends."""
        return self.t0_us + round(len(self.samples) * 1e6 / self.rate_hz)

    @cached_property
    def digest(self) -> bytes:
        """A hash of what the chunk says, whatever the encoding it travelled in."""
        head = json.dumps([self.t0_us, self.rate_hz, self.channels, self.scale, self.offset, self.dtype])
        return hashlib.sha256(head.encode() + b"\0" + self.samples.tobytes()).digest()


@dataclass(frozen=True)
class StreamRow:
    """One stream of one boot, and the sequence numbers that are held of it."""

    stream_no: int
    device_id: str
    boot_id: str
    stream: str
    held: ranges.Ranges

    @property
    def key(self) -> str:
        """How the wire names it."""
        return f"{self.boot_id}/{self.stream}"


def open_streams(
    conn: Connection, user_id: int, device_id: str, names: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], StreamRow]:
    """Return the rows of (boot, stream) `names`, made where they are new. The user must be locked."""
    wanted = sorted(set(names))
    stored: dict[tuple[str, str], StreamRow] = {}
    for boot_id in sorted({boot_id for boot_id, _ in wanted}):
        rows = conn.execute(_BOOT_STREAMS, {"b_user": user_id, "b_device": device_id, "b_boot": boot_id})
        stored |= {(boot_id, row.stream): _stream(row) for row in rows}
    for boot_id, stream in wanted:
        if (boot_id, stream) not in stored:
            number = 1 + (conn.execute(_LAST_STREAM, {"b_user": user_id}).scalar() or 0)
            values = {"user_id": user_id, "stream_no": number, "device_id": device_id, "held": "[]"}
            conn.execute(_ADD_STREAM, {**values, "boot_id": boot_id, "stream": stream})
            stored[boot_id, stream] = StreamRow(number, device_id, boot_id, stream, [])
    return {name: stored[name] for name in wanted}


def list_streams(
    conn: Connection, user_id: int, device_id: str | None = None, boot_id: str | None = None
) -> list[StreamRow]:
    """Return the user's streams, or those of one device or boot."""
    query = select(streams).where(streams.c.user_id == user_id).order_by(streams.c.stream_no)
    if device_id is not None:
        query = query.where(streams.c.device_id == device_id)
    if boot_id is not None:
        query = query.where(streams.c.boot_id == boot_id)
    return [_stream(row) for row in conn.execute(query)]


def _stream(row: Row[Any]) -> StreamRow:
    return StreamRow(row.stream_no, row.device_id, row.boot_id, row.stream, json.loads(row.held))


def stored_digest(conn: Connection, user_id: int, stream_no: int, seq: int) -> bytes | None:
    """Return the digest of a stored chunk, or None."""
    return conn.execute(_DIGEST, {"b_user": user_id, "b_stream": stream_no, "b_seq": seq}).scalar()


def put_chunk(conn: Connection, user_id: int, stream_no: int, chunk: Chunk, packed: tuple[str, bytes]) -> None:
    """Store a chunk that is new; `packed` is what `pack` gave."""
    conn.execute(
        _ADD_CHUNK,
        {
            "user_id": user_id, "stream_no": stream_no, "seq": chunk.seq, "t0_us": chunk.t0_us,
            "end_us": chunk.end_us, "rate_hz": chunk.rate_hz, "channels": json.dumps(chunk.channels),
            "dtype": chunk.dtype, "scale": json.dumps(chunk.scale), "offset": json.dumps(chunk.offset),
            "n": chunk.samples.shape[0], "digest": chunk.digest, "codec": packed[0], "data": packed[1],
        },
    )  # fmt: skip


def pack(chunk: Chunk, cipher: Cipher) -> tuple[str, bytes]:
    """Return (codec, bytes) of a chunk's samples as they are stored."""
    return cipher.seal(*codec.encode(chunk.samples), chunk.digest)


def hold(conn: Connection, user_id: int, row: StreamRow, numbers: Sequence[int]) -> StreamRow:
    """Note that `numbers` of a stream are held now, stored or in quarantine."""
    held = ranges.add(row.held, numbers)
    if held != row.held:
        text = json.dumps(held, separators=(",", ":"))
        conn.execute(_HELD, {"b_user": user_id, "b_stream": row.stream_no, "held": text})
    return StreamRow(row.stream_no, row.device_id, row.boot_id, row.stream, held)


def put_quarantine(conn: Connection, user_id: int, item: dict[str, Any]) -> str:
    """Keep what was refused, once; return the item's id (the same content gives the same id)."""
    head = json.dumps([item["device_id"], item["boot_id"], item["stream"], item["seq"], item["problem"]])
    item_id = hashlib.sha256(head.encode() + item["payload"]).hexdigest()[:32]
    insert_ignore(conn, quarantine, [{"user_id": user_id, "item_id": item_id, "received_us": now_us(), **item}])
    return item_id


def put_pairs(conn: Connection, user_id: int, device_id: str, boot_id: str, pairs: Iterable[Pair]) -> bool:
    """
    Keep the earliest pair of each slot and UTC offset, and return whether that changed anything.

    A minimum: the order of arrival does not matter.
    """
    changed = False
    for pair in pairs:
        slot = pair.monotonic_us // SLOT_US
        here = {
            "b_user": user_id,
            "b_device": device_id,
            "b_boot": boot_id,
            "b_slot": slot,
            "b_zone": pair.utc_offset_s,
        }
        value = {"monotonic_us": pair.monotonic_us, "wall_us": pair.wall_us}
        row = conn.execute(_PAIR, here).first()
        if row is None:
            key = {"user_id": user_id, "device_id": device_id, "boot_id": boot_id, "slot": slot}
            conn.execute(_ADD_PAIR, {**key, "utc_offset_s": pair.utc_offset_s, **value})
            changed = True
        elif (pair.monotonic_us, pair.wall_us) < (row.monotonic_us, row.wall_us):
            conn.execute(_EARLIER_PAIR, {**here, **value})
            changed = True
    return changed


def boot_clock(conn: Connection, user_id: int, device_id: str, boot_id: str) -> Clock | None:
    """Return the mapping of a boot's clock, or None if no pair has come yet."""
    here = {"b_user": user_id, "b_device": device_id, "b_boot": boot_id}
    return fit_clock(Pair(*row) for row in conn.execute(_BOOT_PAIRS, here))


def boot_streams(conn: Connection, user_id: int, device_id: str, boot_id: str) -> list[StreamRow]:
    """Return the streams of one boot."""
    rows = conn.execute(_BOOT_STREAMS, {"b_user": user_id, "b_device": device_id, "b_boot": boot_id})
    return [_stream(row) for row in rows]


def chunk_spans(conn: Connection, user_id: int, stream_nos: Sequence[int], from_us: int) -> list[Row[Any]]:
    """Return (t0_us, stream_no, seq, end_us, rate_hz, channels, kept) of chunks that end after `from_us`, in order."""
    return list(conn.execute(_SPANS, {"b_user": user_id, "b_streams": list(stream_nos), **_after(from_us)}))


def chunk_samples(
    conn: Connection, user_id: int, stream_nos: Sequence[int], start_us: int, end_us: int
) -> list[Row[Any]]:
    """Return whole chunk rows that overlap [start_us, end_us), in time order."""
    span = {"b_user": user_id, "b_streams": list(stream_nos), **_after(start_us), "b_to": end_us}
    return list(conn.execute(_SAMPLES, span))


def _after(from_us: int) -> dict[str, int]:
    # The index is on t0: no chunk is longer (the wire refuses it), so this bound loses none.
    return {"b_from": from_us, "b_after": from_us - MAX_CHUNK_US}


def unpack(row: Row[Any], cipher: Cipher) -> NDArray[np.float32]:
    """Return a chunk row's physical samples, shape (n, n_channels)."""
    scale, offset = json.loads(row.scale), json.loads(row.offset)
    stored = codec.decode(*cipher.open(row.codec, row.data, row.digest), row.dtype, row.n, len(scale))
    physical: NDArray[np.float64] = stored.astype(np.float64) * np.asarray(scale) + np.asarray(offset)
    return physical.astype(np.float32)

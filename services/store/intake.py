"""What a batch leaves in the store: chunks, what was refused, the ranges held, and the clock's pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, func, insert, select, update

from services.store import codec, ranges
from services.store.cipher import Cipher
from services.store.clock import SLOT_US, Clock, Pair, fit_clock
from services.store.sql import insert_ignore
from services.store.store import now_us
from services.store.tables import chunks, clock_pairs, quarantine, streams

# Longest chunk that is taken: a bound for searches by time.
MAX_CHUNK_US = 900_000_000


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

    def digest(self) -> bytes:
        """Return a hash of what the chunk says, whatever the encoding it travelled in."""
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
    found: dict[tuple[str, str], StreamRow] = {}
    for boot_id, stream in sorted(set(names)):
        row = conn.execute(
            select(streams).where(
                streams.c.user_id == user_id, streams.c.device_id == device_id,
                streams.c.boot_id == boot_id, streams.c.stream == stream,
            )
        ).first()  # fmt: skip
        if row is not None:
            found[boot_id, stream] = _stream(row)
            continue
        highest = conn.execute(select(func.max(streams.c.stream_no)).where(streams.c.user_id == user_id)).scalar()
        number = 1 + (highest or 0)
        conn.execute(
            insert(streams).values(
                user_id=user_id, stream_no=number, device_id=device_id, boot_id=boot_id, stream=stream, held="[]"
            )
        )
        found[boot_id, stream] = StreamRow(number, device_id, boot_id, stream, [])
    return found


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
    query = select(chunks.c.digest).where(
        chunks.c.user_id == user_id, chunks.c.stream_no == stream_no, chunks.c.seq == seq
    )
    return conn.execute(query).scalar()


def put_chunk(conn: Connection, user_id: int, stream_no: int, chunk: Chunk, packed: tuple[str, bytes]) -> None:
    """Store a chunk that is new; `packed` is what `pack` gave."""
    conn.execute(
        insert(chunks).values(
            user_id=user_id, stream_no=stream_no, seq=chunk.seq, t0_us=chunk.t0_us, end_us=chunk.end_us,
            rate_hz=chunk.rate_hz, channels=json.dumps(chunk.channels), dtype=chunk.dtype,
            scale=json.dumps(chunk.scale), offset=json.dumps(chunk.offset), n=chunk.samples.shape[0],
            digest=chunk.digest(), codec=packed[0], data=packed[1],
        )
    )  # fmt: skip


def pack(chunk: Chunk, cipher: Cipher) -> tuple[str, bytes]:
    """Return (codec, bytes) of a chunk's samples as they are stored."""
    return cipher.seal(*codec.encode(chunk.samples), chunk.digest())


def hold(conn: Connection, user_id: int, row: StreamRow, numbers: Sequence[int]) -> StreamRow:
    """Note that `numbers` of a stream are held now, stored or in quarantine."""
    held = ranges.add(row.held, numbers)
    if held != row.held:
        here = (streams.c.user_id == user_id) & (streams.c.stream_no == row.stream_no)
        conn.execute(update(streams).where(here).values(held=json.dumps(held, separators=(",", ":"))))
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
        key = {
            "user_id": user_id, "device_id": device_id, "boot_id": boot_id,
            "slot": pair.monotonic_us // SLOT_US, "utc_offset_s": pair.utc_offset_s,
        }  # fmt: skip
        value = {"monotonic_us": pair.monotonic_us, "wall_us": pair.wall_us}
        here = [clock_pairs.c[name] == content for name, content in key.items()]
        row = conn.execute(select(clock_pairs.c.monotonic_us, clock_pairs.c.wall_us).where(*here)).first()
        if row is None:
            conn.execute(insert(clock_pairs).values(**key, **value))
            changed = True
        elif (pair.monotonic_us, pair.wall_us) < (row.monotonic_us, row.wall_us):
            conn.execute(update(clock_pairs).where(*here).values(**value))
            changed = True
    return changed


def boot_clock(conn: Connection, user_id: int, device_id: str, boot_id: str) -> Clock | None:
    """Return the mapping of a boot's clock, or None if no pair has come yet."""
    query = select(clock_pairs.c.monotonic_us, clock_pairs.c.wall_us, clock_pairs.c.utc_offset_s).where(
        clock_pairs.c.user_id == user_id, clock_pairs.c.device_id == device_id, clock_pairs.c.boot_id == boot_id
    )
    return fit_clock(Pair(*row) for row in conn.execute(query))


def chunk_spans(conn: Connection, user_id: int, stream_nos: Sequence[int], from_us: int) -> list[Row[Any]]:
    """Return (stream_no, seq, t0_us, end_us, rate_hz, channels, kept) of chunks that end after `from_us`."""
    columns = (
        chunks.c.stream_no, chunks.c.seq, chunks.c.t0_us, chunks.c.end_us, chunks.c.rate_hz, chunks.c.channels,
        chunks.c.data.is_not(None).label("kept"),
    )  # fmt: skip
    return list(
        conn.execute(
            select(*columns)
            .where(chunks.c.user_id == user_id, chunks.c.stream_no.in_(stream_nos))
            # The index is on t0: no chunk is longer (the wire refuses it), so this bound loses none.
            .where(chunks.c.t0_us > from_us - MAX_CHUNK_US, chunks.c.end_us > from_us)
            .order_by(chunks.c.t0_us, chunks.c.stream_no, chunks.c.seq)
        )
    )


def chunk_samples(
    conn: Connection, user_id: int, stream_nos: Sequence[int], start_us: int, end_us: int
) -> list[Row[Any]]:
    """Return whole chunk rows that overlap [start_us, end_us), in time order."""
    return list(
        conn.execute(
            select(chunks)
            .where(chunks.c.user_id == user_id, chunks.c.stream_no.in_(stream_nos), chunks.c.data.is_not(None))
            .where(chunks.c.t0_us > start_us - MAX_CHUNK_US, chunks.c.t0_us < end_us, chunks.c.end_us > start_us)
            .order_by(chunks.c.t0_us, chunks.c.stream_no, chunks.c.seq)
        )
    )


def unpack(row: Row[Any], cipher: Cipher) -> NDArray[np.float32]:
    """Return a chunk row's physical samples, shape (n, n_channels)."""
    scale, offset = json.loads(row.scale), json.loads(row.offset)
    stored = codec.decode(*cipher.open(row.codec, row.data, row.digest), row.dtype, row.n, len(scale))
    physical: NDArray[np.float64] = stored.astype(np.float64) * np.asarray(scale) + np.asarray(offset)
    return physical.astype(np.float32)

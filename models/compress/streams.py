"""
How the constants of a file are coded: the last two stages of Deep Compression, and the plain ways beside them.

A stream is an array of words (int8, 16 or 32 bits, seen as unsigned). It is coded in each of these ways, and the
shortest is kept:

* `RAW`: as it is;
* `DEFLATE`: deflate over its byte planes (first all lowest bytes, then the next), for floats that were not clustered;
* `DENSE`: a code book of the different words and Huffman codes into it;
* `SPARSE`: the same for the non-zero words only, and Huffman codes for the runs of zeros between them.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.compress import huffman

RAW, DEFLATE, DENSE, SPARSE = range(4)
MAX_RUN = 63
"""Zeros before a word, or (exactly this) that many zeros and no word."""

Words = NDArray[np.unsignedinteger]


class StreamError(huffman.HuffmanError):
    """A coded stream is damaged."""


@dataclass
class Reader:
    """Takes bytes from a buffer and says what was missing when it ends too early."""

    data: bytes
    place: int = 0

    def take(self, n: int, what: str) -> bytes:
        """Return the next `n` bytes."""
        if n < 0 or self.place + n > len(self.data):
            raise StreamError(
                f"the file ends at byte {len(self.data)} inside {what} ({n} bytes from {self.place}); it is cut short"
            )
        part = self.data[self.place : self.place + n]
        self.place += n
        return part

    def number(self, what: str) -> int:
        """Return the next number, seven bits a byte, at most five bytes."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1, what)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise StreamError(f"{what} is a number of more than five bytes; the file is damaged")


@dataclass
class Writer:
    """Collects bytes."""

    parts: list[bytes] = field(default_factory=list)

    def number(self, value: int) -> None:
        """Append a number, seven bits a byte."""
        while value >= 0x80:
            self.parts.append(bytes([value & 0x7F | 0x80]))
            value >>= 7
        self.parts.append(bytes([value]))

    def block(self, data: bytes) -> None:
        """Append bytes with their length in front."""
        self.number(len(data))
        self.parts.append(data)

    def bytes(self) -> bytes:
        """Return all that was written."""
        return b"".join(self.parts)


def encode(words: Words) -> bytes:
    """Return the shortest coding of a stream, its method in the first byte."""
    ways = [bytes([method]) + way(words) for method, (way, _) in enumerate(_WAYS)]
    return min(ways, key=len)


def decode(data: bytes, n_words: int, width: int) -> Words:
    """
    Return the words of a coded stream.

    Parameters
    ----------
    data : bytes
    n_words : int
        How many there are.
    width : int
        Bytes of a word: 1, 2 or 4.

    Raises
    ------
    StreamError, HuffmanError
        If the stream is damaged or does not give exactly `n_words`.
    """
    reader = Reader(data)
    method = reader.take(1, "a stream's method")[0]
    if method >= len(_WAYS):
        raise StreamError(f"coding method {method} is unknown; the file is damaged or of a newer version")
    words = _WAYS[method][1](reader, n_words, np.dtype(f"<u{width}"))
    if reader.place != len(data):
        raise StreamError(f"{len(data) - reader.place} bytes are left over after a stream; the file is damaged")
    return words


def _raw(words: Words) -> bytes:
    return words.tobytes()


def _unraw(reader: Reader, n_words: int, dtype: np.dtype[np.unsignedinteger]) -> Words:
    return np.frombuffer(reader.take(n_words * dtype.itemsize, "raw weights"), dtype)


def deflate(data: bytes, dictionary: bytes = b"") -> bytes:
    """Return raw deflate at level 9, with the dictionary if there is one."""
    packer = (
        zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary)
        if dictionary
        else zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    )
    return packer.compress(data) + packer.flush()


def inflate(data: bytes, size: int, what: str, dictionary: bytes = b"") -> bytes:
    """Return exactly `size` bytes of raw deflate; never unpack more than that, whatever the data claim."""
    unpacker = zlib.decompressobj(-15, dictionary) if dictionary else zlib.decompressobj(-15)
    try:
        plain = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise StreamError(f"{what} cannot be inflated ({error}); the file is damaged") from error
    if len(plain) != size or not unpacker.eof or unpacker.unused_data:
        raise StreamError(f"{what} should unpack to {size} bytes and does not; the file is damaged")
    return plain


def _deflate_planes(words: Words) -> bytes:
    planes = words.view(np.uint8).reshape(-1, words.dtype.itemsize).T
    return deflate(np.ascontiguousarray(planes).tobytes())


def _inflate_planes(reader: Reader, n_words: int, dtype: np.dtype[np.unsignedinteger]) -> Words:
    rest = reader.take(len(reader.data) - reader.place, "deflated weights")
    planes = np.frombuffer(inflate(rest, n_words * dtype.itemsize, "a block of weights"), np.uint8)
    return np.ascontiguousarray(planes.reshape(dtype.itemsize, n_words).T).view(dtype).reshape(n_words)


def _write_book(writer: Writer, symbols: Words, code: huffman.Code) -> None:
    """Write the different words (as a bit map where that is shorter) and the lengths of their codes."""
    writer.number(symbols.size)
    if symbols.dtype.itemsize == 1 and symbols.size > 32:
        present = np.zeros(256, np.uint8)
        present[symbols] = 1
        writer.parts.append(np.packbits(present).tobytes())
    else:
        writer.parts.append(symbols.tobytes())
    _write_lengths(writer, code)


def _read_book(reader: Reader, dtype: np.dtype[np.unsignedinteger]) -> tuple[Words, huffman.Code]:
    n = reader.number("the size of a code book")
    if n > 1 << huffman.MAX_BITS:
        raise StreamError(f"a code book of {n} words is larger than any code; the file is damaged")
    if dtype.itemsize == 1 and n > 32:
        present = np.unpackbits(np.frombuffer(reader.take(32, "a code book"), np.uint8))
        symbols = np.flatnonzero(present).astype(dtype)
        if symbols.size != n:
            raise StreamError(f"a code book holds {symbols.size} words where {n} were announced; the file is damaged")
    else:
        symbols = np.frombuffer(reader.take(n * dtype.itemsize, "a code book"), dtype)
    return symbols, _read_lengths(reader, n)


def _write_lengths(writer: Writer, code: huffman.Code) -> None:
    """Write code lengths of four bits each."""
    lengths = np.concatenate([code.lengths, np.zeros(code.lengths.size % 2, np.uint8)])
    writer.parts.append((lengths[0::2] << 4 | lengths[1::2]).astype(np.uint8).tobytes())


def _read_lengths(reader: Reader, n: int) -> huffman.Code:
    pairs = np.frombuffer(reader.take((n + 1) // 2, "code lengths"), np.uint8)
    return huffman.from_lengths(np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1)[:n])


def _dense(words: Words) -> bytes:
    if words.size == 0:
        return b""
    symbols, places, counts = np.unique(words, return_inverse=True, return_counts=True)
    if symbols.size > 1 << (huffman.MAX_BITS - 3):
        return _raw(words)  # longer than RAW by its method byte alone: never chosen, so never read
    code = huffman.build(counts)
    writer = Writer()
    _write_book(writer, symbols, code)
    writer.parts.append(huffman.encode(places.reshape(-1), code))
    return writer.bytes()


def _undense(reader: Reader, n_words: int, dtype: np.dtype[np.unsignedinteger]) -> Words:
    symbols, code = _read_book(reader, dtype)
    if n_words and not symbols.size:
        raise StreamError("a code book is empty; the file is damaged")
    rest = reader.take(len(reader.data) - reader.place, "coded weights")
    return symbols[huffman.decode(rest, code, n_words)]


def _runs(words: Words) -> tuple[NDArray[np.int64], Words]:
    """Return runs of zeros (`MAX_RUN`: that many and no word after them) and the words between them."""
    places = np.flatnonzero(words)
    gaps = np.diff(places, prepend=-1) - 1
    escapes, rests = np.divmod(gaps, MAX_RUN)
    runs = np.full(int(escapes.sum()) + gaps.size, MAX_RUN, np.int64)
    runs[np.cumsum(escapes + 1) - 1] = rests
    return runs, words[places]


def _sparse(words: Words) -> bytes:
    runs, found = _runs(words)
    symbols, places, counts = np.unique(found, return_inverse=True, return_counts=True)
    if not found.size or symbols.size > 1 << (huffman.MAX_BITS - 3):
        return _raw(words) + b"."  # longer than RAW: never chosen
    writer = Writer()
    code = huffman.build(counts)
    _write_book(writer, symbols, code)
    run_symbols, run_places, run_counts = np.unique(runs, return_inverse=True, return_counts=True)
    run_code = huffman.build(run_counts)
    _write_book(writer, run_symbols.astype("<u1"), run_code)
    writer.number(runs.size)
    writer.block(huffman.encode(run_places.reshape(-1), run_code))
    writer.parts.append(huffman.encode(places.reshape(-1), code))
    return writer.bytes()


def _unsparse(reader: Reader, n_words: int, dtype: np.dtype[np.unsignedinteger]) -> Words:
    symbols, code = _read_book(reader, dtype)
    run_symbols, run_code = _read_book(reader, np.dtype("<u1"))
    n_runs = reader.number("the number of runs")
    if n_runs > n_words or not symbols.size or not run_symbols.size:
        raise StreamError(f"{n_runs} runs of zeros for {n_words} weights; the file is damaged")
    coded = reader.take(reader.number("the length of the runs"), "coded runs")
    runs = run_symbols[huffman.decode(coded, run_code, n_runs)].astype(np.int64)
    is_word = runs != MAX_RUN
    places = (np.cumsum(runs + is_word) - 1)[is_word]
    rest = reader.take(len(reader.data) - reader.place, "coded weights")
    if places.size and places[-1] >= n_words:
        raise StreamError(f"a weight stands at place {places[-1]} of {n_words}; the file is damaged")
    words = np.zeros(n_words, dtype)
    words[places] = symbols[huffman.decode(rest, code, places.size)]
    return words


_WAYS: tuple[tuple[Callable[[Words], bytes], Callable[[Reader, int, np.dtype[np.unsignedinteger]], Words]], ...] = (
    (_raw, _unraw),
    (_deflate_planes, _inflate_planes),
    (_dense, _undense),
    (_sparse, _unsparse),
)

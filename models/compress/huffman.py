"""
Canonical Huffman codes over small alphabets, in numpy.

Code lengths are at most 15 bits, so that a code book stores four bits a symbol and a decoder needs one table of 32,768
entries. An alphabet of one symbol costs no bits at all.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.errors import WristwiseError

MAX_BITS = 15
_BLOCK = 1 << 16  # bits looked at together: memory stays small however long the stream


class HuffmanError(WristwiseError, ValueError):
    """A coded stream or its code book is damaged."""


@dataclass(frozen=True)
class Code:
    """
    A canonical code: symbols ``0 .. n - 1`` in order of (length, symbol).

    Parameters
    ----------
    lengths : ndarray of uint8, shape (n,)
        Bits of each symbol, 1 to 15; a single 0 if there is one symbol only.
    words : ndarray of uint16, shape (n,)
        The code words, right-aligned.
    """

    lengths: NDArray[np.uint8]
    words: NDArray[np.uint16]


def build(counts: NDArray[np.int64]) -> Code:
    """Return the best code for symbols that occur `counts` times each (all above zero)."""
    counts = np.asarray(counts, np.int64)
    if counts.size == 1:
        return from_lengths(np.zeros(1, np.uint8))
    while True:
        lengths = _depths(counts)
        if lengths.max() <= MAX_BITS:
            return from_lengths(lengths)
        # Flatten the counts until the rarest symbol fits; the loss is far below a per cent.
        counts = (counts + 1) // 2 + 1


def _depths(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return each symbol's depth in the Huffman tree."""
    heap: list[tuple[int, int, tuple[int, ...]]] = [(int(count), k, (k,)) for k, count in enumerate(counts)]
    heapq.heapify(heap)
    depths = np.zeros(counts.size, np.int64)
    ticket = counts.size
    while len(heap) > 1:
        (a, _, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        members = left + right
        depths[list(members)] += 1
        heapq.heappush(heap, (a + b, ticket, members))
        ticket += 1
    return depths.astype(np.uint8)


def from_lengths(lengths: NDArray[np.uint8]) -> Code:
    """
    Return the canonical code of given lengths.

    Raises
    ------
    HuffmanError
        If no prefix code of these lengths exists (Kraft's inequality), or one would leave codes unused.
    """
    lengths = np.asarray(lengths, np.uint8)
    if lengths.size == 1 and lengths[0] == 0:
        return Code(lengths, np.zeros(1, np.uint16))
    if lengths.size < 2 or lengths.min() < 1 or lengths.max() > MAX_BITS:
        raise HuffmanError(f"code lengths must be 1 to {MAX_BITS} bits, got {lengths[:8].tolist()}: a damaged file")
    if int((1 << (MAX_BITS - lengths.astype(np.int64))).sum()) != 1 << MAX_BITS:
        raise HuffmanError("the code lengths describe no complete prefix code; the file is damaged")
    words = np.zeros(lengths.size, np.uint16)
    word, before = 0, 0
    for k in np.lexsort((np.arange(lengths.size), lengths)):
        word <<= int(lengths[k]) - before
        before = int(lengths[k])
        words[k] = word
        word += 1
    return Code(lengths, words)


def encode(symbols: NDArray[np.int64], code: Code) -> bytes:
    """Return the code words of `symbols` one after the other, most significant bit first, padded with zeros."""
    lengths = code.lengths[symbols].astype(np.int64)
    total = int(lengths.sum())
    if total == 0:
        return b""
    ends = np.cumsum(lengths)
    bits = np.zeros(total, np.uint8)
    words = code.words[symbols].astype(np.int64)
    for place in range(int(lengths.max())):  # the place-th bit of every word, counted from its last
        has = lengths > place
        bits[ends[has] - 1 - place] = (words[has] >> place) & 1
    return np.packbits(bits).tobytes()


def decode(data: bytes, code: Code, n_symbols: int) -> NDArray[np.int64]:
    """
    Return `n_symbols` symbols.

    Raises
    ------
    HuffmanError
        If the data end before that.
    """
    if code.lengths.size == 1 or n_symbols == 0:
        return np.zeros(n_symbols, np.int64)
    bits = np.concatenate([np.unpackbits(np.frombuffer(data, np.uint8)), np.zeros(MAX_BITS, np.uint8)])
    end = bits.size - MAX_BITS
    tables = _tables(code)
    found: list[int] = []
    place = 0
    while len(found) < n_symbols:
        if place >= end:
            raise HuffmanError(f"the coded stream ends after {len(found)} of {n_symbols} symbols; it is cut short")
        place = _decode_block(bits, place, min(place + _BLOCK, end), tables, n_symbols, found)
    if place > end:
        raise HuffmanError("the coded stream ends inside its last symbol; it is cut short")
    return np.array(found, np.int64)


def _decode_block(
    bits: NDArray[np.uint8], start: int, stop: int, tables: tuple[NDArray[np.int64], NDArray[np.int64]],
    n_symbols: int, found: list[int],
) -> int:  # fmt: skip
    """Decode what begins before the bit `stop` into `found`; return where the next symbol begins."""
    window = np.zeros(stop - start, np.int32)  # the 15 bits that begin at each place
    for k in range(MAX_BITS):
        window = (window << 1) | bits[start + k : stop + k]
    symbols, steps = (table[window].tolist() for table in tables)
    place, size = 0, stop - start
    wanted = n_symbols - len(found)
    while place < size and wanted:
        found.append(symbols[place])
        place += steps[place]
        wanted -= 1
    return start + place


def _tables(code: Code) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return symbol and length for each value of the next 15 bits."""
    symbol_at = np.zeros(1 << MAX_BITS, np.int64)
    length_at = np.ones(1 << MAX_BITS, np.int64)
    for k, (length, word) in enumerate(zip(code.lengths.tolist(), code.words.tolist(), strict=True)):
        start = word << (MAX_BITS - length)
        stop = start + (1 << (MAX_BITS - length))
        symbol_at[start:stop], length_at[start:stop] = k, length
    return symbol_at, length_at

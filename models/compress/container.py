"""
The `.wwz` container: a `.tflite` file as Deep Compression leaves it, and back to the byte.

Reading one needs numpy and the standard library only, no TensorFlow and no LiteRT. Layout, numbers in seven bits a
byte unless said otherwise::

    "WWZ1"
    length of the original; its CRC-32 (4 bytes, little-endian)
    number of streams; for each: bytes of a word (1, 2, 4), number of words, length, coded words (`streams`)
    form of the structure (1 byte); its length, plain and deflated; the deflated structure

The structure begins with the table of holes, one for each constant that was cut out, and is deflated with a dictionary
of what every such file holds. In form `BYTES` a hole is (stream, gap to the hole before, length), and the rest of the
original file follows. In form `TREE` a hole is (stream, buffer, length), and the tables of the file follow (`tree`): a
third to a half of the bytes, but `ai-edge-litert` and `flatbuffers` are needed to write them out again. Every length is
checked before memory is asked for, and the CRC after.
"""

import zlib

import numpy as np

from models.compress import streams
from models.compress.huffman import HuffmanError
from models.compress.skeletons import DICTIONARY, TREES

MAGIC = b"WWZ1"
BYTES, TREE = 0, 1
DICTIONARIES = (DICTIONARY, TREES)
MAX_BYTES = 64 << 20
"""What `unpack` agrees to make unless told otherwise."""


class ContainerError(HuffmanError):
    """A `.wwz` file is damaged, cut short, too large, or not one."""


def unpack(data: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """
    Return the `.tflite` file in a container, bit for bit as it was packed.

    Parameters
    ----------
    data : bytes
    max_bytes : int
        Largest result allowed, so that a small file from a stranger cannot fill the memory.

    Raises
    ------
    ContainerError
        If it is no container, is damaged or cut short, or claims more than `max_bytes`.

    Examples
    --------
    >>> unpack(b"GIF89a")
    Traceback (most recent call last):
    ...
    models.compress.container.ContainerError: expected a .wwz file (it begins with WWZ1), got b'GIF8'; ...
    """
    if data[:4] != MAGIC:
        raise ContainerError(
            f"expected a .wwz file (it begins with WWZ1), got {data[:4]!r}; make one with `wristwise compress`"
        )
    reader = streams.Reader(data, place=4)
    try:
        return _unpack(reader, max_bytes)
    except ContainerError:
        raise
    except (HuffmanError, ValueError, IndexError, OverflowError) as error:
        raise ContainerError(f"the .wwz file of {len(data)} bytes is damaged: {error}") from error


def _unpack(reader: streams.Reader, max_bytes: int) -> bytes:
    length = reader.number("the length of the original")
    if length > max_bytes:
        raise ContainerError(
            f"the file claims to unpack to {length} bytes, {max_bytes} are allowed; pass max_bytes if you trust it"
        )
    crc = int.from_bytes(reader.take(4, "the checksum"), "little")
    pieces = _read_streams(reader, length)
    form = reader.take(1, "the form of the structure")[0]
    if form not in (BYTES, TREE):
        raise ContainerError(f"structure form {form} is unknown: the .wwz file is damaged or of a newer version")
    n_plain = reader.number("the length of the structure")
    # Room for the table of holes: a hole holds a byte at least and takes 15 bytes of table at most.
    if n_plain > 16 * length + 64:
        raise ContainerError(f"a structure of {n_plain} bytes for a file of {length}: the .wwz file is damaged")
    coded = reader.take(reader.number("the length of the deflated structure"), "the structure")
    if reader.place != len(reader.data):
        raise ContainerError(f"{len(reader.data) - reader.place} bytes follow the end of the .wwz file; cut them off")
    structure = streams.Reader(streams.inflate(coded, n_plain, "the structure", DICTIONARIES[form]))
    original = _grow(structure, pieces) if form == TREE else _join(structure, pieces)
    if len(original) != length or any(piece.place != len(piece.data) for piece in pieces):
        raise ContainerError(f"the parts join to {len(original)} bytes, expected {length}: the .wwz file is damaged")
    if zlib.crc32(original) != crc:
        raise ContainerError(
            f"the unpacked file has the checksum {zlib.crc32(original):08x}, expected {crc:08x}; "
            "copy the .wwz file again, it was damaged on the way"
        )
    return original


def _read_streams(reader: streams.Reader, length: int) -> list[streams.Reader]:
    """Decode every stream; together they cannot be longer than the original."""
    pieces, total = [], 0
    for k in range(reader.number("the number of streams")):
        width = reader.take(1, "the width of a stream")[0]
        n_words = reader.number("the number of words")
        total += n_words * width
        if width not in (1, 2, 4) or total > length:
            raise ContainerError(
                f"stream {k} holds {n_words} words of {width} bytes, too much for {length}: the .wwz file is damaged"
            )
        coded = reader.take(reader.number("the length of a stream"), "a stream")
        pieces.append(streams.Reader(np.ascontiguousarray(streams.decode(coded, n_words, width)).tobytes()))
    return pieces


def _holes(structure: streams.Reader, n_streams: int) -> list[tuple[int, int, int]]:
    """Read the table of holes."""
    holes = []
    for _ in range(structure.number("the number of holes")):
        stream, place, size = (structure.number("the table of holes") for _ in range(3))
        if stream >= n_streams:
            raise ContainerError(f"a hole wants stream {stream} of {n_streams}: the .wwz file is damaged")
        holes.append((stream, place, size))
    return holes


def _join(structure: streams.Reader, pieces: list[streams.Reader]) -> bytes:
    """Put the constants back into the bytes they were cut from."""
    parts = []
    for stream, gap, size in _holes(structure, len(pieces)):
        parts += [structure.take(gap, "the structure"), pieces[stream].take(size, "a stream")]
    parts.append(structure.take(len(structure.data) - structure.place, "the structure"))
    return b"".join(parts)


def _grow(structure: streams.Reader, pieces: list[streams.Reader]) -> bytes:
    """Write the file anew from its tables and constants."""
    try:
        from models.compress import scales, tree
        from models.export import flatbuffer
    except ImportError as error:
        raise ContainerError(
            "this .wwz file was packed with --smallest and needs ai-edge-litert to be unpacked; install that, or pack "
            "it again without"
        ) from error
    holes = _holes(structure, len(pieces))
    try:
        model = tree.decode(structure)
        for stream, buffer, size in holes:
            model.buffers[buffer].data = np.frombuffer(pieces[stream].take(size, "a stream"), np.uint8)
        scales.fill(model)
        return flatbuffer.write(model)
    except HuffmanError:
        raise
    except Exception as error:  # tables that fit no schema fail in the writer, each in its own way
        raise ContainerError(f"the tables of the .wwz file fit no model ({error}): it is damaged") from error

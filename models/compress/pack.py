"""Write a `.wwz` container: cut the constants out of a `.tflite` file, code them, deflate what is left."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from models.compress import scales, streams, tree
from models.compress.container import BYTES, DICTIONARIES, MAGIC, TREE, ContainerError, unpack
from models.export import flatbuffer

_SMALL = 16  # bytes; a constant of fewer is left in the structure, its place in the table would cost as much


@dataclass(frozen=True)
class Hole:
    """A constant of the file: its buffer, where its bytes are, and the width of its numbers."""

    buffer: int
    start: int
    size: int
    width: int


@dataclass(frozen=True)
class Packed:
    """
    A container and where its bytes went.

    `weights_bytes` and `structure_bytes` are the two parts of ``len(data)``; `dense_bytes` is the file packed.
    """

    data: bytes
    dense_bytes: int
    weights_bytes: int
    structure_bytes: int
    streams: int


def pack(tflite: bytes, *, smallest: bool = False) -> Packed:
    """
    Return a `.tflite` file as a `.wwz` container; whatever the file is, `unpack` gives it back bit for bit.

    It does not change a weight: cluster first (`cluster_tflite`), or prune, and it finds what was gained.

    Parameters
    ----------
    tflite : bytes
    smallest : bool
        Store tables instead of bytes where the file allows it (files of `to_tflite` do): 0.3 to 1 KB less, but to
        unpack it takes `ai-edge-litert` beside numpy.

    Raises
    ------
    TFLiteFileError
        If the bytes are not a `.tflite` file.
    ContainerError
        If the result does not unpack to the file (never seen; it is tried every time).
    """
    holes = find_holes(tflite)
    plans = [_pooled(holes, 1 << 62), _pooled(holes, 2048), _pooled(holes, 0)]
    structures = [(BYTES, _rest(tflite, holes))]
    tables = _tables(tflite, holes) if smallest else None
    if tables is not None:
        structures.append((TREE, tables))
    packed = min(
        (_write(tflite, holes, plan, form, rest) for plan in plans for form, rest in structures),
        key=lambda made: len(made.data),
    )
    if unpack(packed.data, max_bytes=len(tflite)) != tflite:
        raise ContainerError("the container does not give back the file it was made from; please report this file")
    return packed


def find_holes(tflite: bytes) -> list[Hole]:
    """Return the constants of a file in the order of their bytes."""
    flatbuffer.read(tflite)  # says in one sentence what is wrong with it
    model = schema.Model.GetRootAsModel(tflite, 0)
    widths = _widths(model)
    holes = []
    for k in range(model.BuffersLength()):
        table = model.Buffers(k)._tab
        place = table.Offset(4)
        size = table.VectorLen(place) if place else 0
        if size >= _SMALL and k in widths:
            width = widths[k] if size % widths[k] == 0 else 1
            holes.append(Hole(k, table.Vector(place), size, width))
    holes.sort(key=lambda hole: hole.start)
    return [hole for before, hole in zip([None, *holes], holes, strict=False) if before is None or
             hole.start >= before.start + before.size]  # fmt: skip


def _widths(model: schema.Model) -> dict[int, int]:
    """Return the bytes of a number for each buffer that a tensor reads; 8-byte numbers count as pairs of 4."""
    widths: dict[int, int] = {}
    for g in range(model.SubgraphsLength()):
        graph = model.Subgraphs(g)
        for t in range(graph.TensorsLength()):
            tensor = graph.Tensors(t)
            dtype = flatbuffer.DTYPES.get(tensor.Type())
            widths[tensor.Buffer()] = min(np.dtype(dtype).itemsize, 4) if dtype is not None else 1
    return widths


def _pooled(holes: Sequence[Hole], alone_from: int) -> list[int]:
    """Return the stream of each hole: those of a width share one, but from `alone_from` bytes on each has its own."""
    place: dict[object, int] = {}
    return [
        place.setdefault((hole.width, None if hole.size < alone_from else k), len(place))
        for k, hole in enumerate(holes)
    ]


def _rest(tflite: bytes, holes: Sequence[Hole]) -> tuple[list[int], bytes]:
    """Return the gap before each hole, and the file without its holes."""
    gaps, parts, before = [], [], 0
    for hole in holes:
        gaps.append(hole.start - before)
        parts.append(tflite[before : hole.start])
        before = hole.start + hole.size
    return gaps, b"".join([*parts, tflite[before:]])


def _tables(tflite: bytes, holes: Sequence[Hole]) -> tuple[list[int], bytes] | None:
    """Return the buffer of each hole and the tables of the file, None if they would not give its bytes again."""
    model = flatbuffer.read(tflite)
    if flatbuffer.write(model) != tflite:
        return None
    for hole in holes:
        model.buffers[hole.buffer].data = None
    scales.drop(model)
    try:
        return [hole.buffer for hole in holes], tree.encode(model)
    except tree.NoTreeError:
        return None


def _write(
    tflite: bytes, holes: Sequence[Hole], plan: Sequence[int], form: int, rest: tuple[list[int], bytes]
) -> Packed:
    weights, structure = streams.Writer(), streams.Writer()
    n_streams = max(plan, default=-1) + 1
    weights.number(n_streams)
    for stream in range(n_streams):
        members = [hole for hole, place in zip(holes, plan, strict=True) if place == stream]
        joined = b"".join(tflite[hole.start : hole.start + hole.size] for hole in members)
        words = np.frombuffer(joined, np.dtype(f"<u{members[0].width}"))
        weights.parts.append(bytes([members[0].width]))
        weights.number(words.size)
        weights.block(streams.encode(words))
    structure.number(len(holes))
    for hole, stream, place in zip(holes, plan, rest[0], strict=True):
        for value in (stream, place, hole.size):
            structure.number(value)
    structure.parts.append(rest[1])
    plain = structure.bytes()
    head, tail = streams.Writer([MAGIC]), streams.Writer([bytes([form])])
    head.number(len(tflite))
    head.parts.append(zlib.crc32(tflite).to_bytes(4, "little"))
    tail.number(len(plain))
    tail.block(streams.deflate(plain, DICTIONARIES[form]))
    data = head.bytes() + weights.bytes() + tail.bytes()
    return Packed(data, len(tflite), len(weights.bytes()), len(data) - len(weights.bytes()), n_streams)

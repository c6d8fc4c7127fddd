"""
The structure of a `.tflite` file as a tree of its tables, column by column.

A flatbuffer is full of offsets that say nothing new; they are a third to a half of what deflate leaves of a small
file. Where a file is exactly what `flatbuffer.write` makes of its tables, the tables alone are stored: all shapes,
then all types, then all scales. To read them back takes the schema that comes with `ai-edge-litert`, and the same
writer: the container's checksum says if another version would write other bytes.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from models.compress.streams import Reader, StreamError, Writer

_NONE, _NUMBERS, _FLOATS, _TEXT, _ARRAYS, _TABLES, _LISTS, _MIXED = range(8)
_MOST = 1 << 16
"""Tables in one column; a file with more is not for a watch."""
_ARRAY_TYPES = ("<i4", "<i8", "<f4", "|u1", "<f8", "|i1", "<u4", "|b1")
_CLASSES = {
    name: found
    for name, found in vars(schema).items()
    if name.endswith("T") and isinstance(found, type) and hasattr(found, "Pack")
}


class NoTreeError(StreamError):
    """A file holds something that the tree cannot store."""


def encode(model: Any) -> bytes:
    """
    Return the tables of an unpacked file.

    Raises
    ------
    NoTreeError
        If a table holds a value of an unknown kind.
    """
    writer = Writer()
    _put(writer, [model])
    return writer.bytes()


def decode(reader: Reader) -> Any:
    """
    Return the tables that `encode` wrote.

    Raises
    ------
    StreamError
        If the data are damaged.
    """
    (model,) = _get(reader, 1)
    if not isinstance(model, schema.ModelT):
        raise StreamError("the tables do not begin with a model; the file is damaged")
    return model


def _kind(value: Any) -> int:
    if value is None:
        return _NONE
    if isinstance(value, bool | int | np.integer | np.bool_):
        return _NUMBERS
    if isinstance(value, float | np.floating):
        return _FLOATS
    if isinstance(value, bytes | str):
        return _TEXT
    if isinstance(value, np.ndarray) and value.dtype.str in _ARRAY_TYPES:
        return _ARRAYS
    if isinstance(value, list):
        return _LISTS
    if type(value).__name__ in _CLASSES:
        return _TABLES
    raise NoTreeError(f"a table holds a {type(value).__name__}, which the tree does not store")


def _zigzag(value: int) -> int:
    if not -(1 << 33) <= value < 1 << 33:
        raise NoTreeError(f"a table holds the number {value}, too large for the tree")
    return value << 1 if value >= 0 else (-value << 1) - 1


def _put(writer: Writer, values: list[Any]) -> None:
    """Write a column: of one kind with holes where it is None, else value by value."""
    if len(values) > _MOST:
        raise NoTreeError(f"a table holds {len(values)} entries, too many for the tree")
    there = [value for value in values if value is not None]
    kinds = {_kind(value) for value in there}
    alike = len(kinds) < 2 and len({type(value) for value in there if _kind(value) == _TABLES}) < 2
    if not there:
        writer.parts.append(bytes([_NONE]))
    elif not alike:
        writer.parts.append(bytes([_MIXED]))
        for value in values:
            _put(writer, [value])
    else:
        (kind,) = kinds
        full = len(there) == len(values)
        writer.parts.append(bytes([kind | (0 if full else 8)]))
        if not full:
            writer.parts.append(np.packbits([value is not None for value in values]).tobytes())
        _put_kind(writer, kind, there)


def _put_kind(writer: Writer, kind: int, values: list[Any]) -> None:
    if kind == _NUMBERS:
        for value in values:
            writer.number(_zigzag(int(value)))
    elif kind == _FLOATS:
        writer.parts.append(np.array(values, "<f8").tobytes())
    elif kind == _TEXT:
        for value in values:
            writer.block(value.encode() if isinstance(value, str) else value)
    elif kind == _ARRAYS:
        _put_arrays(writer, values)
    elif kind == _LISTS:
        for value in values:
            writer.number(len(value))
        _put(writer, [one for value in values for one in value])
    else:
        writer.block(type(values[0]).__name__.encode())
        for name in sorted(vars(values[0])):
            _put(writer, [getattr(value, name) for value in values])


def _put_arrays(writer: Writer, values: list[Any]) -> None:
    """Write lengths, then whole numbers in seven bits a byte, floats as they are."""
    for value in values:
        writer.number(_ARRAY_TYPES.index(value.dtype.str))
    for value in values:
        writer.number(value.size)
    for value in values:
        if value.dtype.kind == "f":
            writer.parts.append(value.tobytes())
        else:
            for number in value.tolist():
                writer.number(_zigzag(int(number)))


def _get(reader: Reader, n: int) -> list[Any]:
    """Read a column of `n` values."""
    if n > _MOST:
        raise StreamError(f"a table of {n} entries is too large; the file is damaged")
    tag = reader.take(1, "a column of tables")[0]
    kind = tag & 7
    if kind == _NONE:
        return [None] * n
    if kind == _MIXED:
        return [_get(reader, 1)[0] for _ in range(n)]
    present = np.ones(n, bool)
    if tag & 8:
        present = np.unpackbits(np.frombuffer(reader.take((n + 7) // 8, "a column"), np.uint8))[:n].astype(bool)
    there = iter(_get_kind(reader, kind, int(present.sum())))
    return [next(there) if one else None for one in present]


def _get_kind(reader: Reader, kind: int, n: int) -> list[Any]:
    if kind == _NUMBERS:
        return [_number(reader) for _ in range(n)]
    if kind == _FLOATS:
        floats: list[Any] = np.frombuffer(reader.take(8 * n, "numbers"), "<f8").tolist()
        return floats
    if kind == _TEXT:
        return [reader.take(reader.number("the length of a name"), "a name") for _ in range(n)]
    if kind == _ARRAYS:
        return _get_arrays(reader, n)
    if kind == _LISTS:
        sizes = [reader.number("the length of a list") for _ in range(n)]
        items = iter(_get(reader, sum(sizes)))
        return [[next(items) for _ in range(size)] for size in sizes]
    name = reader.take(reader.number("the length of a name"), "the name of a table").decode(errors="replace")
    if name not in _CLASSES:
        raise StreamError(f"the schema has no table {name!r}; the file is damaged or of a newer version")
    tables = [_CLASSES[name]() for _ in range(n)]
    for attribute in sorted(vars(_CLASSES[name]())):
        for table, value in zip(tables, _get(reader, n), strict=True):
            setattr(table, attribute, value)
    return tables


def _get_arrays(reader: Reader, n: int) -> list[Any]:
    kinds = [reader.number("the type of an array") for _ in range(n)]
    sizes = [reader.number("the length of an array") for _ in range(n)]
    if max(kinds, default=0) >= len(_ARRAY_TYPES) or sum(sizes) > len(reader.data):
        raise StreamError("an array is longer than the file; the file is damaged")
    found: list[Any] = []
    for kind, size in zip(kinds, sizes, strict=True):
        dtype = np.dtype(_ARRAY_TYPES[kind])
        if dtype.kind == "f":
            found.append(np.frombuffer(reader.take(size * dtype.itemsize, "an array"), dtype))
        else:
            found.append(np.array([_number(reader) for _ in range(size)], dtype))
    return found


def _number(reader: Reader) -> int:
    value = reader.number("a number")
    return -((value + 1) >> 1) if value & 1 else value >> 1

"""A file as C source: an aligned array in flash, and what goes in and comes out as constants of the header."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import WristwiseError
from models.bundle import TensorSpec
from models.export.spec import tensor_specs

_PER_LINE = 12


class CNameError(WristwiseError, ValueError):
    """A name that C does not accept."""


@dataclass(frozen=True)
class CSource:
    """Header and source of one model; `name` is the prefix of everything in them."""

    name: str
    header: str
    source: str

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``NAME.h`` and ``NAME.cc`` and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        header, source = folder / f"{self.name}.h", folder / f"{self.name}.cc"
        header.write_text(self.header, encoding="utf-8")
        source.write_text(self.source, encoding="utf-8")
        return header, source


def to_c_array(tflite: bytes, name: str, arena_bytes: int | None = None) -> CSource:
    """
    Return a file as a C array that compiles as C++ (and, renamed, as C).

    Parameters
    ----------
    tflite : bytes
    name : str
        Prefix, a C identifier, such as ``heart_rate``.
    arena_bytes : int or None
        What tflite-micro needed on a 64-bit host (`measure.arena_bytes`), given as a constant if known.

    Raises
    ------
    CNameError
        If the name is not a C identifier in lower case.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CNameError(f"the name of a C array must be lower-case letters, digits and _, got {name!r}; pass name=")
    inputs, outputs = tensor_specs(tflite)
    return CSource(name, _header(name, inputs, outputs, arena_bytes), _source(name, tflite))


def _constants(name: str, side: str, specs: Sequence[TensorSpec]) -> list[str]:
    lines = [f"#define {name.upper()}_{side}S {len(specs)}"]
    for k, spec in enumerate(specs):
        prefix = f"{name.upper()}_{side}_{k}"
        size = 1
        for n in spec.shape:
            size *= n
        lines += [
            f"/* {side.lower()} {k}: {_comment(spec.name)}, {spec.dtype}, shape {'x'.join(map(str, spec.shape))};"
            " real = SCALE * (stored - ZERO_POINT) */",
            f"#define {prefix}_SIZE {size}",
            f"#define {prefix}_IS_INT8 {int(spec.dtype == 'int8')}",
            f"#define {prefix}_SCALE {spec.scale!r}f",
            f"#define {prefix}_ZERO_POINT ({spec.zero_point})",
        ]
    return lines


def _comment(text: str) -> str:
    """Keep a tensor's name from ending the comment it stands in."""
    return re.sub(r"[^A-Za-z0-9_.:/ -]", "_", text).replace("*/", "__").replace("/*", "__")


def _header(name: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], arena_bytes: int | None) -> str:
    guard = f"{name.upper()}_H_"
    lines = [f"#ifndef {guard}", f"#define {guard}", ""]
    lines += _constants(name, "INPUT", inputs) + _constants(name, "OUTPUT", outputs)
    if arena_bytes is not None:
        lines += [
            "/* tensor arena on a 64-bit host; a 32-bit core needs somewhat less */",
            f"#define {name.upper()}_ARENA_BYTES {arena_bytes}",
        ]
    lines += [
        "", "#ifdef __cplusplus", 'extern "C" {', "#endif",
        f"extern const unsigned char {name}_model[];", f"extern const unsigned int {name}_model_len;",
        "#ifdef __cplusplus", "}", "#endif", "", f"#endif  /* {guard} */", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _source(name: str, tflite: bytes) -> str:
    # 16 bytes: the flatbuffer's own alignment, on which optimised kernels rely.
    lines = [
        f'#include "{name}.h"', "",
        "#if defined(__GNUC__)", "#define WRISTWISE_ALIGN __attribute__((aligned(16)))", "#else",
        "#define WRISTWISE_ALIGN", "#endif", "",
        f"const unsigned char {name}_model[] WRISTWISE_ALIGN = {{",
    ]  # fmt: skip
    starts = range(0, len(tflite), _PER_LINE)
    lines += ["  " + ", ".join(f"0x{byte:02x}" for byte in tflite[k : k + _PER_LINE]) + "," for k in starts]
    lines += ["};", f"const unsigned int {name}_model_len = {len(tflite)};", ""]
    return "\n".join(lines)

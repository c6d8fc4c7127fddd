"""Writing fitted numbers as a Python module: small models that live in a room without files."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def array_lines(name: str, values: NDArray[Any], digits: int = 5) -> list[str]:
    """Return the lines that define `name` as an array of float32 with that many significant digits."""
    flat = [f"{v:.{digits}g}" for v in values.ravel()]
    shape = f".reshape{values.shape}" if values.ndim > 1 else ""
    rows = ["    " + ", ".join(flat[k : k + 10]) + "," for k in range(0, len(flat), 10)]
    return [f"{name} = np.array([", *rows, f"], np.float32){shape}  # fmt: skip"]


def header(what: str, command: str) -> list[str]:
    """Return the first lines of such a module."""
    return [
        f'"""{what}; written by `{command}`."""',
        "",
        "from __future__ import annotations",
        "",
        "import numpy as np",
    ]

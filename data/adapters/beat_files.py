"""Reading long records of which only the beat and rhythm marks are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from data.errors import RecordingError
from data.recording import Annotations


def read_marks(path: Path, extension: str, fs_hz: float) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """
    Return times in seconds, codes and notes of a WFDB annotation file, whether or not its header is there.

    Raises
    ------
    RecordingError
        If the file is missing or damaged.
    """
    try:
        marks: Any = wfdb.rdann(str(path), extension)
    except Exception as error:  # wfdb raises bare Exception, ValueError and IndexError for damaged files
        raise RecordingError(
            f"annotation file {path}.{extension} cannot be read ({error or type(error).__name__}); fetch it again"
        ) from error
    notes = [str(note).strip("\x00 (") for note in marks.aux_note]
    return np.asarray(marks.sample, np.float64) / fs_hz, list(marks.symbol), notes


def beat_marks(times: NDArray[np.float64], codes: list[str], allowed: frozenset[str]) -> Annotations:
    """Return the marks whose code is in `allowed`."""
    keep = [k for k, code in enumerate(codes) if code in allowed]
    return Annotations(times[keep], tuple(codes[k] for k in keep))

"""Reading one WFDB record with its beat marks, as PhysioNet's ECG sets have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import wfdb

from data.errors import RecordingError


def read_record_and_marks(path: Path, dataset: str) -> tuple[Any, Any]:
    """
    Return wfdb's record (physical units) and its `.atr` annotation.

    Parameters
    ----------
    path : Path
        Without extension.
    dataset : str
        Named in the error, as `wristwise data fetch` knows it.

    Raises
    ------
    RecordingError
        If the header, the signal file or the annotation file is missing or damaged.
    """
    try:
        return wfdb.rdrecord(str(path)), wfdb.rdann(str(path), "atr")
    except Exception as error:  # wfdb raises bare Exception, ValueError and IndexError for damaged files
        raise RecordingError(
            f"record {path} cannot be read ({error or type(error).__name__}); run wristwise data fetch {dataset}"
        ) from error

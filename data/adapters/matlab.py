"""Reading one array of a MATLAB file, with errors that say which file and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from data.errors import RecordingError


def matrix(path: Path, name: str) -> NDArray[np.float64]:
    """
    Return the array `name` of a MATLAB file (up to version 7), as float64, with its own two dimensions.

    Raises
    ------
    RecordingError
        If the file cannot be read, or has no such array.
    """
    try:
        content = loadmat(str(path), variable_names=[name])
    except Exception as error:  # scipy raises many kinds for damaged files, bare Exception subclasses among them
        raise RecordingError(
            f"{path} cannot be read as a MATLAB file ({error or type(error).__name__}); download it again"
        ) from error
    if name not in content:
        raise RecordingError(f"{path} has no array {name!r}; download the data set again")
    # Cast before any arithmetic: unsigned 16-bit samples wrap where they are subtracted.
    return np.asarray(content[name], np.float64)

"""One night from a file: read, staged by a bundle, summarised."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.adapters.sleep_accel import ADAPTER as SLEEP_ACCEL
from data.errors import RecordingError
from data.recording import Recording
from data.wfdb_folder import read_record
from models.evaluate import infer, open_model
from pipelines.sleep.night import NightReport, summarise_night
from pipelines.sleep.stages import FROM_LABEL, Stage
from pipelines.sleep_staging import TASK

# A recording that does not say when it was is put at midnight of this day: its figures do not depend on it.
_UNKNOWN_START = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def report_of(file: Path, bundle: Path | None = None) -> tuple[NightReport, NDArray[np.float64]]:
    """
    Return the report of the night in `file`, and the heart rate of each epoch in BPM, shape (n,), NaN where unknown.

    Raises
    ------
    RecordingError
        If there is no such night, or it is shorter than one epoch.
    """
    return report_of_recording(_read(file), bundle)


def report_of_recording(recording: Recording, bundle: Path | None = None) -> tuple[NightReport, NDArray[np.float64]]:
    """Return the same as `report_of`, of a recording that is at hand."""
    windows = TASK.prepare(recording)
    if not len(windows):
        raise RecordingError(f"night {recording.id!r} is shorter than one epoch of 30 s; give a longer recording")
    said = infer(TASK, recording, open_model(TASK, bundle))
    codes = np.array([FROM_LABEL[e.value] if isinstance(e.value, str) else Stage.UNDEFINED for e in said], np.int8)
    hr = windows.extras["hr"]
    known = np.isfinite(hr)
    mean = np.where(known.any(1), np.where(known, hr, 0.0).sum(1) / np.maximum(known.sum(1), 1), np.nan)
    return summarise_night(codes, recording.start or _UNKNOWN_START, recording.utc_offset_s or 0), mean


def _read(file: Path) -> Recording:
    folder = file.parent
    if (folder / "labels").is_dir():
        found = next((r for r in SLEEP_ACCEL.reader(folder) if r.id == file.name), None)
        if found is None:
            raise RecordingError(f"{folder} holds no night {file.name!r}; its nights are named in {folder / 'labels'}")
        return found
    return read_record(file)

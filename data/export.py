"""Writing a `Recording` as WFDB, so that every tool of the field can read it (docs/recordings.md)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import wfdb

from data.errors import RecordingError
from data.recording import Annotations, Channel, Recording

_WFDB_UNIT = {"a.u.": "au", "counts/15 s": "counts", "BPM": "BPM"}


def write_recording(recording: Recording, folder: Path) -> list[Path]:
    """
    Write one WFDB record for each rate, with the annotations beside the first; return their paths without extension.

    Irregular channels (`times_s`) are left out: WFDB has no place for them but an annotation file.

    Raises
    ------
    RecordingError
        If there is no regular channel.
    """
    by_rate: dict[float, list[Channel]] = defaultdict(list)
    for channel in recording.channels.values():
        if channel.times_s is None and channel.samples.size:
            by_rate[channel.fs_hz].append(channel)
    if not by_rate:
        raise RecordingError(f"recording {recording.id!r} has no channel with a fixed rate to write; add one")
    folder.mkdir(parents=True, exist_ok=True)
    stem = recording.id.replace("/", "_")
    paths = []
    for position, (rate, channels) in enumerate(sorted(by_rate.items(), reverse=True)):
        name = stem if position == 0 else f"{stem}_{rate:g}hz"
        _write_signals(recording, name, rate, channels, folder)
        paths.append(folder / name)
    _write_annotations(recording, stem, max(by_rate), folder)
    return paths


def _write_signals(recording: Recording, name: str, rate: float, channels: list[Channel], folder: Path) -> None:
    # A record has one start: what begins later is padded with NaN, which WFDB holds as its invalid sample.
    length = max(round(c.t0_s * rate) + c.samples.size for c in channels)
    signals = np.full((length, len(channels)), np.nan)
    for column, channel in enumerate(channels):
        first = round(channel.t0_s * rate)
        signals[first : first + channel.samples.size, column] = channel.samples
    comments = [
        f"subject: {recording.subject}",
        *(f"{k}: {v}" for k, v in recording.meta.items() if k != "subject"),
    ]
    if recording.utc_offset_s is not None:
        comments.append(f"utc_offset_s: {recording.utc_offset_s}")
    wfdb.wrsamp(
        name, fs=rate, units=[_WFDB_UNIT.get(c.unit, c.unit) for c in channels], sig_name=[c.name for c in channels],
        p_signal=signals, fmt=["16"] * len(channels), comments=comments, write_dir=str(folder),
        base_date=recording.start.date() if recording.start else None,
        base_time=recording.start.time() if recording.start else None,
    )  # fmt: skip


def _write_annotations(recording: Recording, stem: str, rate: float, folder: Path) -> None:
    for extension in ("hr", "stage", "fall", "activity"):
        if extension in recording.annotations:
            marks = recording.annotations[extension]
            notes = [lab or f"{val:.4f}" for lab, val in zip(marks.label, marks.value, strict=True)]
            _write_marks(stem, extension, marks, rate, ['"'] * len(notes), notes, folder)
    beats, rhythm = recording.annotations.get("beats"), recording.annotations.get("rhythm")
    if beats is None and rhythm is None:
        return
    rows = [(t, lab or "N", "") for t, lab in zip(beats.t_s, beats.label, strict=True)] if beats else []
    rows += [(t, "+", f"({lab}") for t, lab in zip(rhythm.t_s, rhythm.label, strict=True)] if rhythm else []
    rows.sort(key=lambda row: row[0])
    merged = Annotations(np.array([r[0] for r in rows]))
    _write_marks(stem, "atr", merged, rate, [r[1] for r in rows], [r[2] for r in rows], folder)


def _write_marks(
    stem: str,
    extension: str,
    marks: Annotations,
    rate: float,
    symbols: list[str],
    notes: list[str],
    folder: Path,
) -> None:
    if marks.t_s.size:
        samples = np.round(marks.t_s * rate).astype(np.int64)
        wfdb.wrann(stem, extension, samples, symbols, aux_note=notes, fs=rate, write_dir=str(folder))

"""
Our interchange format: any folder of WFDB records (docs/recordings.md).

Channels of one recording at different rates stand in one multi-frequency record (several samples a frame), or in one
WFDB record a rate with a common stem: `NAME.hea` and `NAME_64hz.hea`, ... are one recording. Both are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from data.errors import RecordingError
from data.recording import CHANNEL_UNITS, STANDARD_GRAVITY, Annotations, Channel, Recording

# Extension of each annotation file and the key it is read into. `.atr` holds beats and rhythms both.
ANNOTATION_FILES = {"hr": "hr", "stage": "stage", "fall": "fall", "activity": "activity"}
# PhysioNet's codes of beats (physionet.org/physiobank/annotations.shtml): all else in `.atr` is not a heartbeat.
BEAT_CODES = frozenset("NLRBAaJSVrFejnE/fQ?")
# Leads as ECG sets name them, in the order in which one is taken for `ecg` where no channel is called so.
_LEADS = re.compile(
    r"^(?:(?P<a>ecg)|(?P<b>m?lii|ii)|(?P<c>.*ecg.*)|(?P<d>m?li|i)|(?P<e>m?[dlv]\d|m?liii|iii))$", re.IGNORECASE
)
_STEM = re.compile(r"^(?P<stem>.+?)_(?P<rate>\d+(?:\.\d+)?)hz$")
_SCALE = {  # factor from a header's unit to ours
    ("acc", "g"): 1.0, ("acc", "mg"): 1e-3,
    ("acc", "m/s2"): 1 / STANDARD_GRAVITY, ("acc", "m/s^2"): 1 / STANDARD_GRAVITY,
    ("acc", "m/s²"): 1 / STANDARD_GRAVITY,
    ("ecg", "mv"): 1.0, ("ecg", "uv"): 1e-3, ("ecg", "v"): 1e3,
    ("gyro", "deg/s"): 1.0, ("gyro", "dps"): 1.0, ("gyro", "rad/s"): 180 / np.pi,
}  # fmt: skip


def read_folder(folder: Path) -> Iterator[Recording]:
    """
    Yield each recording of a folder of WFDB records, sorted by name; subfolders are read too.

    Raises
    ------
    RecordingError
        If the folder holds no `.hea` file, or a record cannot be read (says which and why).
    """
    headers = sorted(folder.rglob("*.hea")) if folder.is_dir() else []
    if not headers:
        raise RecordingError(f"{folder} holds no WFDB record (no *.hea file); give the folder that holds the headers")
    groups: dict[Path, list[Path]] = {}
    for header in headers:
        match = _STEM.match(header.stem)
        groups.setdefault(header.with_name(match["stem"] if match else header.stem), []).append(header.with_suffix(""))
    for stem, records in groups.items():
        yield read_record(*records, name=str(stem.relative_to(folder)))


def read_record(*paths: Path, name: str | None = None) -> Recording:
    """
    Read one recording from one WFDB record, or from several of different rates that share a start.

    Parameters
    ----------
    *paths : Path
        Without extension.
    name : str, optional
        The recording's id, default: the first file's name.

    Raises
    ------
    RecordingError
        If a header or signal file is missing, truncated or names an unknown unit.
    """
    channels: dict[str, Channel] = {}
    annotations: dict[str, Annotations] = {}
    comments: dict[str, str] = {}
    start: datetime | None = None
    for path in paths:
        record = _read(path)
        start = start or _start(record)
        comments.update(_comments(record))
        channels.update(_channels(record, path))
        annotations.update(_annotations(path, float(record.fs)))
    ident = name or paths[0].name
    offset = comments.get("utc_offset_s")
    return Recording(
        ident, comments.pop("subject", ident), channels, annotations, dataset=comments.get("dataset", "wfdb"),
        origin=str(paths[0]), licence=comments.get("licence", "unknown"), start=start,
        utc_offset_s=int(offset) if offset and offset.lstrip("+-").isdigit() else None, meta=comments,
    )  # fmt: skip


def _read(path: Path) -> Any:
    if not path.with_name(path.name + ".hea").is_file():
        raise RecordingError(f"there is no WFDB header {path}.hea; name the record without its extension")
    try:
        return wfdb.rdrecord(str(path), smooth_frames=False)
    except FileNotFoundError as error:
        raise RecordingError(
            f"record {path} lacks its signal file {error.filename}; copy it beside the header"
        ) from error
    except Exception as error:  # wfdb raises bare Exception, ValueError and IndexError for damaged files
        raise RecordingError(
            f"record {path} cannot be read ({error or type(error).__name__}): the signal file is shorter than its "
            "header says, or the header is damaged; fetch the record again"
        ) from error


def _channels(record: Any, path: Path) -> dict[str, Channel]:
    channels: dict[str, Channel] = {}
    signals = record.e_p_signal if record.e_p_signal is not None else []
    names = _with_ecg([str(n) for n in record.sig_name or ()], [str(u or "") for u in record.units or ()])
    for index, signal in enumerate(signals):
        name = names[index]
        if name not in CHANNEL_UNITS or name in channels:
            continue  # a foreign channel is no error: devices have many
        fs = float(record.fs) * record.samps_per_frame[index]
        factor = _factor(name, str(record.units[index] or ""), path)
        channels[name] = Channel(name, fs, (np.asarray(signal) * factor).astype(np.float32))
    return channels


def _with_ecg(names: list[str], units: list[str]) -> list[str]:
    """Return the names with the best lead called ``ecg``, where none is."""
    volts = [name if ("ecg", unit.lower()) in _SCALE else "" for name, unit in zip(names, units, strict=True)]
    leads = [(match.lastgroup or "", k) for k, match in enumerate(map(_LEADS.match, volts)) if match]
    if "ecg" in names or not leads:
        return names
    return [*names[: min(leads)[1]], "ecg", *names[min(leads)[1] + 1 :]]


def _factor(name: str, unit: str, path: Path) -> float:
    family = name.split("_")[0]
    if family not in {"acc", "ecg", "gyro"}:
        return 1.0
    key = (family, unit.lower())
    if key not in _SCALE:
        known = ", ".join(u for f, u in _SCALE if f == family)
        raise RecordingError(f"record {path} gives {name} in {unit!r}; known units: {known}; correct the header")
    return _SCALE[key]


def _comments(record: Any) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in record.comments or () if ":" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _start(record: Any) -> datetime | None:
    if record.base_date is None or record.base_time is None:
        return None
    return datetime.combine(record.base_date, record.base_time, tzinfo=UTC)


def _annotations(path: Path, fs_hz: float) -> dict[str, Annotations]:
    found: dict[str, Annotations] = {}
    atr = _marks(path, "atr", fs_hz)
    if atr is not None:
        times, symbols, notes = atr
        beats = [i for i, s in enumerate(symbols) if s in BEAT_CODES]
        if beats:
            found["beats"] = Annotations(times[beats], tuple(symbols[i] for i in beats))
        rhythms = [i for i, s in enumerate(symbols) if s == "+"]
        if rhythms:
            found["rhythm"] = Annotations(times[rhythms], tuple(notes[i].lstrip("(") for i in rhythms))
    for extension, key in ANNOTATION_FILES.items():
        marks = _marks(path, extension, fs_hz)
        if marks is not None:
            times, _, notes = marks
            found[key] = Annotations(times, tuple(notes), np.array([_number(n) for n in notes]))
    return found


def _marks(path: Path, extension: str, fs_hz: float) -> tuple[Any, list[str], list[str]] | None:
    file = path.with_name(f"{path.name}.{extension}")
    if not file.is_file():
        return None
    try:
        marks = wfdb.rdann(str(path), extension)
    except Exception as error:
        raise RecordingError(f"annotation file {file} cannot be read ({error}); fetch or write it again") from error
    times = np.asarray(marks.sample, np.float64) / float(marks.fs or fs_hz)
    return times, list(marks.symbol), [str(n).strip("\x00 ") for n in marks.aux_note]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")

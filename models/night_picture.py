"""A picture of one night, fit for an app's screen."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.sleep.epochs import EPOCH_S
from pipelines.sleep.night import NightReport
from pipelines.sleep.stages import Stage

_ROWS = {Stage.WAKE: 3, Stage.REM: 2, Stage.LIGHT: 1, Stage.DEEP: 0}
_COLOURS = {Stage.WAKE: "#c9781f", Stage.REM: "#7a52b3", Stage.LIGHT: "#3f83c4", Stage.DEEP: "#1f4a80"}
_NAMES = {Stage.WAKE: "Awake", Stage.REM: "REM", Stage.LIGHT: "Light", Stage.DEEP: "Deep"}
_INK, _FAINT, _LANE, _HEART = "#1d2733", "#6b7785", "#f1f4f7", "#b3263c"
_TALL = 0.62  # of a lane


def draw_night(report: NightReport, hr_bpm: NDArray[np.floating] | None, path: Path) -> None:
    """
    Save a picture of the night: what it came to, the hypnogram, and the heart rate where there is one.

    Parameters
    ----------
    hr_bpm : ndarray, shape (n,), optional
        Mean heart rate of each epoch; NaN where unknown.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    zone = dt.timezone(dt.timedelta(seconds=report.utc_offset_s))
    with_heart = hr_bpm is not None and bool(np.isfinite(hr_bpm).any())
    figure, axes = plt.subplots(
        3 if with_heart else 2, 1, figsize=(9, 5.6 if with_heart else 4.0), layout="constrained",
        height_ratios=[1.1, 3.4, 1.8] if with_heart else [1.1, 3.4],
    )  # fmt: skip
    _figures(axes[0], report)
    _hypnogram(axes[1], report)
    if with_heart and hr_bpm is not None:
        _heart_rate(axes[2], hr_bpm)
    for axis in axes[1:]:
        _clock(axis, report, zone)
    axes[1].tick_params(labelbottom=not with_heart)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")
    plt.close(figure)


def _figures(axis: Any, report: NightReport) -> None:
    """Write what the night came to: large figures with a word under each."""
    axis.axis("off")
    axis.set(xlim=(0, 1), ylim=(0, 1))
    told = report.figures
    if told.tst_min <= 0:
        axis.text(0.0, 0.55, "No sleep in this recording", size=20, weight="bold", color=_INK, va="center")
        return
    cells = [
        (_duration(told.tst_min), "asleep"), (f"{told.efficiency:.0%}", "of the time in bed"),
        (f"{told.sol_min:.0f} min", "to fall asleep"), (f"{told.waso_min:.0f} min", "awake afterwards"),
        (f"{report.score}", "sleep score of 100"),
    ]  # fmt: skip
    for k, (figure, word) in enumerate(cells):
        axis.text(k / len(cells), 0.68, figure, size=19, weight="bold", color=_INK, va="center")
        axis.text(k / len(cells), 0.2, word, size=10, color=_FAINT, va="center")


def _hypnogram(axis: Any, report: NightReport) -> None:
    """Draw a lane for each stage with its minutes, threads between spans, and hatching where nothing was sensed."""
    told, minutes = report.figures, EPOCH_S / 60
    spent = {Stage.WAKE: told.wake_min, Stage.REM: told.rem_min, Stage.LIGHT: told.light_min, Stage.DEEP: told.deep_min}
    for stage, row in _ROWS.items():
        axis.axhspan(row - _TALL / 2, row + _TALL / 2, color=_LANE, lw=0, zorder=0)
        axis.text(-0.012, row + 0.13, _NAMES[stage], size=11, color=_INK, **_beside(axis))
        axis.text(-0.012, row - 0.19, _duration(spent[stage]), size=9, color=_FAINT, **_beside(axis))
    spans = list(pairwise(np.flatnonzero(np.diff(report.hypnogram, prepend=-9, append=-9))))
    for (a, b), after in zip(spans, [*spans[1:], None], strict=True):
        stage = Stage(int(report.hypnogram[a]))
        if stage not in _ROWS:
            axis.axvspan(a * minutes, b * minutes, facecolor="none", edgecolor="#c3cad2", hatch="///", lw=0)
            if (b - a) * minutes >= 20:
                axis.text((a + b) / 2 * minutes, 3.45, "not worn", size=9, color=_FAINT, ha="center", va="bottom")
            continue
        axis.bar((a + b) / 2 * minutes, _TALL, (b - a) * minutes, _ROWS[stage] - _TALL / 2, color=_COLOURS[stage])
        following = Stage(int(report.hypnogram[after[0]])) if after else None
        if following in _ROWS:
            axis.plot([b * minutes] * 2, [_ROWS[stage], _ROWS[following]], color="#aab4bf", lw=0.8, zorder=1)
    axis.set(ylim=(-0.5, 3.75), yticks=[])


def _heart_rate(axis: Any, hr_bpm: NDArray[np.floating]) -> None:
    """Draw the heart rate, with its lowest five-minute mean marked."""
    minutes = (np.arange(hr_bpm.size) + 0.5) * EPOCH_S / 60
    axis.plot(minutes, hr_bpm, color=_HEART, lw=1.1)
    axis.set_ylabel("heart rate, BPM", color=_FAINT, size=9)
    axis.tick_params(axis="y", labelsize=9, colors=_FAINT)
    axis.grid(axis="y", color="#e6eaee", lw=0.8)
    axis.set_axisbelow(True)
    known = np.isfinite(hr_bpm)
    if known.sum() < 20:
        return
    window = np.ones(10)
    count = np.convolve(known, window, "valid")
    mean = np.convolve(np.where(known, hr_bpm, 0.0), window, "valid") / np.maximum(count, 1)
    low = int(np.where(count >= 8, mean, np.inf).argmin())
    axis.annotate(
        f"lowest {mean[low]:.0f}", (minutes[low + 5], mean[low]), xytext=(0, -3), textcoords="offset points", size=9,
        color=_HEART, ha="center", va="top",
    )  # fmt: skip
    axis.margins(y=0.18)


def _clock(axis: Any, report: NightReport, zone: dt.timezone) -> None:
    """Put the wearer's clock under an axis of minutes; hours whole, at most ten of them."""
    start = report.start.astimezone(zone)
    length = report.hypnogram.size * EPOCH_S / 60
    to_hour = (60 - start.minute - start.second / 60) % 60
    step = 60 if length <= 600 else 120
    hours = np.arange(to_hour, length + 1e-9, step) if length >= 90 else np.array([0.0, length])
    labels = [(start + dt.timedelta(minutes=float(m))).strftime("%H:%M") for m in hours]
    axis.set_xlim(0, max(length, 1.0))
    axis.set_xticks(hours, labels, size=9, color=_FAINT)
    axis.tick_params(axis="x", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color("#d5dbe1")


def _beside(axis: Any) -> dict[str, Any]:
    """Return how to place a text left of the lanes: x in shares of the axis, y in lanes."""
    return {"transform": axis.get_yaxis_transform(), "ha": "right", "va": "center"}


def _duration(minutes: float) -> str:
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest:02d}" if hours else f"{rest} min"

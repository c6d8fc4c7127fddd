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
_NAMES = {3: "Wake", 2: "REM", 1: "Light", 0: "Deep"}


def draw_night(report: NightReport, hr_bpm: NDArray[np.floating] | None, path: Path) -> None:
    """
    Save a picture of the hypnogram, and of the heart rate below where there is one.

    Parameters
    ----------
    hr_bpm : ndarray, shape (n,), optional
        Mean heart rate of each epoch; NaN where unknown.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import dates as mdates
    from matplotlib import pyplot as plt

    dates: Any = mdates  # matplotlib's dates have no types

    zone = dt.timezone(dt.timedelta(seconds=report.utc_offset_s))
    times = [
        report.start.astimezone(zone) + dt.timedelta(seconds=EPOCH_S * k) for k in range(report.hypnogram.size + 1)
    ]
    with_heart = hr_bpm is not None and bool(np.isfinite(hr_bpm).any())
    figure, axes = plt.subplots(
        2 if with_heart else 1, 1, figsize=(9, 4.4 if with_heart else 2.8), sharex=True, layout="constrained",
        height_ratios=[3, 2] if with_heart else [1], squeeze=False,
    )  # fmt: skip
    top = axes[0, 0]
    edges = np.flatnonzero(np.diff(report.hypnogram, prepend=-9, append=-9))
    for a, b in pairwise(edges):
        stage = Stage(int(report.hypnogram[a]))
        if stage in _ROWS:
            width = dates.date2num(times[b]) - dates.date2num(times[a])
            top.barh(_ROWS[stage], width, left=dates.date2num(times[a]), height=0.72, color=_COLOURS[stage])
    top.set(yticks=list(_NAMES), yticklabels=list(_NAMES.values()), ylim=(-0.6, 3.6), title=_title(report))
    if with_heart and hr_bpm is not None:
        axes[1, 0].plot(times[:-1], hr_bpm, color="#b3263c", lw=1.2)
        axes[1, 0].set_ylabel("heart rate (BPM)")
    axes[-1, 0].xaxis.set_major_formatter(dates.DateFormatter("%H:%M", tz=zone))
    for axis in axes[:, 0]:
        axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _title(report: NightReport) -> str:
    if report.figures.tst_min <= 0:
        return "No sleep in this recording"
    hours, minutes = divmod(round(report.figures.tst_min), 60)
    return f"Asleep {hours} h {minutes} min · efficiency {report.figures.efficiency:.0%} · score {report.score}"

"""From a watch's signals to a night's report: short, long, one sensor, off the wrist, across clocks, sleepless."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from data.recording import Channel, Recording
from models.evaluate import infer, open_model
from models.night import report_of_recording
from models.night_picture import draw_night
from pipelines.sleep.night import NightReport
from pipelines.sleep.stages import Stage
from pipelines.sleep_staging import TASK

EVENING = dt.datetime(2026, 1, 14, 22, 40, tzinfo=dt.UTC)


def sleeper(
    hours: float, *, start: dt.datetime = EVENING, offset_s: int = 0, awake_h: tuple[float, float] = (0.0, 0.4),
    without: str = "", off_h: tuple[float, float] | None = None, seed: int = 0,
) -> Recording:  # fmt: skip
    """Return counts and heart rate of somebody who moves and has a fast heart in `awake_h`, and else lies still."""
    rng = np.random.default_rng(seed)
    channels = {}
    for name, step in (("counts", 15.0), ("hr", 5.0)):
        times = np.arange(0.0, hours * 3600 + 1, step)
        awake = (times >= awake_h[0] * 3600) & (times < awake_h[1] * 3600)
        if name == "counts":
            value = np.where(rng.random(times.size) < np.where(awake, 0.8, 0.015), rng.gamma(2.0, 60, times.size), 0.0)
        else:
            cycle = 2.0 * np.sin(2 * np.pi * times / 5400)
            value = np.where(awake, 74.0, 56.0 + cycle) + rng.normal(0, np.where(awake, 3.0, 1.0))
        worn = np.ones(times.size, bool) if off_h is None else (times < off_h[0] * 3600) | (times >= off_h[1] * 3600)
        if name != without:
            channels[name] = Channel(name, 1 / step, value[worn].astype(np.float32), times_s=times[worn])
    return Recording("night", "somebody", channels, start=start, utc_offset_s=offset_s)


def told(recording: Recording) -> NightReport:
    report, _ = report_of_recording(recording)
    figures = report.figures
    assert figures.wake_min + figures.light_min + figures.deep_min + figures.rem_min == figures.known_min
    assert len(report.letters()) * 0.5 == figures.tib_min
    return report


def test_a_plain_night_has_a_latency_and_mostly_sleep() -> None:
    figures = told(sleeper(7.5)).figures
    assert 10 <= figures.sol_min <= 45
    assert figures.tst_min > 5.5 * 60


@pytest.mark.parametrize("without", ["hr", "counts"])
def test_a_night_of_one_sensor_is_told(without: str) -> None:
    report = told(sleeper(7.0, without=without))
    assert report.figures.known_min == 7 * 60
    assert report.figures.tst_min > 4 * 60


def test_two_hours_off_the_wrist_are_unknown_and_make_no_awakening() -> None:
    report = told(sleeper(8.0, off_h=(3.0, 5.0)))
    assert report.figures.known_min == pytest.approx(6 * 60, abs=1)
    assert report.letters()[3 * 120 + 2 : 5 * 120 - 2] == "?" * (240 - 4)
    assert report.figures.tst_min > 4 * 60


@pytest.mark.parametrize("hours", [3.0, 14.0])
def test_short_and_long_nights_keep_their_length(hours: float) -> None:
    report = told(sleeper(hours))
    assert report.figures.tib_min == hours * 60
    assert report.end - report.start == dt.timedelta(hours=hours)
    assert report.figures.tst_min > 0.6 * hours * 60


def test_a_night_across_a_change_of_the_clock_is_as_long_as_it_was_and_ends_on_the_new_clock() -> None:
    """Berlin, 2026-03-29: 22:40 of winter time to 07:10 of summer time are seven and a half hours."""
    start = dt.datetime(2026, 3, 28, 21, 40, tzinfo=dt.UTC)
    report = told(sleeper(7.5, start=start, offset_s=7200))
    local_end = report.end + dt.timedelta(seconds=report.utc_offset_s)
    assert report.figures.tib_min == 450.0
    assert (local_end.hour, local_end.minute) == (7, 10)
    assert report.date == dt.date(2026, 3, 29)


def test_a_night_across_midnight_belongs_to_the_day_on_which_it_ends() -> None:
    assert told(sleeper(6.0)).date == dt.date(2026, 1, 15)


def test_without_sleep_nothing_is_said_of_latency_waking_or_score() -> None:
    figures = told(sleeper(3.0, awake_h=(0.0, 3.0))).to_dict()
    assert figures["tst_min"] == 0.0
    assert [figures[k] for k in ("sol_min", "waso_min", "rem_latency_min", "score")] == [None] * 4
    assert figures["efficiency"] == 0.0


def test_as_it_goes_a_night_is_told_much_as_when_it_is_over() -> None:
    night = sleeper(7.0)
    live, over = (infer(TASK, night, open_model(TASK), offline=offline) for offline in (False, True))
    agree = np.mean([(a.value == "wake") == (b.value == "wake") for a, b in zip(live, over, strict=True)])
    assert agree > 0.85
    assert {e.value for e in over} <= {s.name.lower() for s in Stage}


@pytest.mark.parametrize(
    "night",
    [sleeper(8.0, off_h=(3.0, 5.0)), sleeper(3.0, awake_h=(0.0, 3.0)), sleeper(14.0, without="hr"), sleeper(0.5)],
    ids=["off the wrist", "sleepless", "long, without heart rate", "half an hour"],
)
def test_every_night_has_a_picture(night: Recording, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report, heart = report_of_recording(night)
    draw_night(report, heart, tmp_path / "night.png")
    assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")

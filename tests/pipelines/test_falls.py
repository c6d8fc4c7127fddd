"""Falls: the common grid, the trigger, the view, the events, the alarm's life, and what is mistaken for a fall."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.adapters import weda_fall
from data.recording import Annotations, Channel, Recording
from data.synthetic import motion
from models.evaluate import decode, infer, open_model
from pipelines.fall_detection import TASK
from pipelines.falls import scoring
from pipelines.falls.alarm import Alarm, AlarmRules, Event, State, advance, detected
from pipelines.falls.decoding import FallDecoder
from pipelines.falls.stillness import STILL_G, movement_after
from pipelines.falls.trigger import AFTER, BEFORE, SLOT, SPAN, TRIGGER_G, find_impacts
from pipelines.falls.view import LENGTH, SIGNALS, hold, view
from pipelines.motion_grid import AXES, GRID_HZ, motion_grid
from pipelines.stream import WindowStream
from pipelines.task import Estimate, Windows

MODEL = open_model(TASK)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def alarms(recording: Recording) -> list[Estimate]:
    return [e for e in infer(TASK, recording, MODEL) if e.value == "detected"]


def with_samples(recording: Recording, samples: np.ndarray) -> Recording:
    channels = {
        name: replace(recording.channels[name], samples=np.asarray(samples[:, k], np.float32))
        for k, name in enumerate(AXES)
    }
    return replace(recording, channels=channels)


def samples_of(recording: Recording) -> np.ndarray:
    return np.stack([recording.channels[name].samples for name in AXES], axis=1)


@pytest.mark.parametrize("frequency_hz", [2.0, 4.0])
def test_sources_of_20_to_100_hz_look_alike_on_the_grid(frequency_hz: float) -> None:
    def gain(fs_hz: float) -> float:
        wave = np.sin(2 * np.pi * frequency_hz * np.arange(int(60 * fs_hz)) / fs_hz + 0.3)
        recording = motion.recording(np.repeat(wave[:, None], 3, axis=1), fs_hz=fs_hz)
        return float(motion_grid(recording, 40, 1100, limit_g=4.0)[:, 0].std())

    gains = [gain(fs) for fs in (20, 25, 32, 33.3, 40, 50, 100)]
    assert max(gains) - min(gains) < 0.035 * max(gains)


def test_a_grid_sample_sees_nothing_later_than_itself() -> None:
    recording = motion.recording(motion.still(10, rng()))
    whole = motion_grid(recording, 0, 200, limit_g=4.0)
    cut = motion_grid(recording.slice(0.0, 5.0), 0, 100, limit_g=4.0)
    np.testing.assert_array_equal(cut, whole[:100])


def test_samples_that_were_not_sensed_are_holes_on_the_grid() -> None:
    recording = motion.recording(motion.still(10, rng()))
    samples = samples_of(recording)
    samples[200:300] = np.nan
    grid = motion_grid(with_samples(recording, samples), 0, 200, limit_g=4.0)
    assert np.isnan(grid[85:118]).all()
    assert np.isfinite(grid[10:80]).all()


def test_each_impact_is_found_by_one_window_and_only_from_the_triggers_size_on() -> None:
    for size, wanted in ((TRIGGER_G + 0.2, 1), (TRIGGER_G - 0.2, 0)):
        grid = np.tile(np.array([0, 0, 1], np.float32), (400, 1))
        grid[203, 2] = size
        windows = TASK.windows_of(grid, 0, 0.0)
        assert windows.extras["wanted"].sum() == wanted
        if wanted:
            at = windows.extras["impact_s"][windows.extras["wanted"]]
            np.testing.assert_allclose(at, (203 - BEFORE) / GRID_HZ)


def test_a_stronger_neighbour_takes_the_window() -> None:
    spans = np.ones((1, SPAN, 3), np.float32)
    spans[0, BEFORE + 2] = 2.0
    assert find_impacts(spans).fired[0]
    spans[0, BEFORE + SLOT + AFTER - 1] = 3.0
    assert not find_impacts(spans).fired[0]


def test_the_trigger_lets_the_network_sleep_through_a_day_of_ordinary_life() -> None:
    parts = [motion.still(60, rng(1)), motion.walk(60, rng(2))[0], motion.typing(60, rng(3)), motion.eating(60, rng(4))]
    windows = TASK.prepare(motion.recording(np.concatenate(parts)))
    assert windows.extras["wanted"].mean() < 0.05


def random_rotation(seed: int, mirrored: bool) -> np.ndarray:
    q, _ = np.linalg.qr(rng(seed).standard_normal((3, 3)))
    return q * (1.0 if (np.linalg.det(q) < 0) == mirrored else -1.0)


@pytest.mark.parametrize("mirrored", [False, True], ids=["turned", "other wrist"])
def test_how_the_watch_is_worn_does_not_change_what_the_network_sees(mirrored: bool) -> None:
    near = rng(3).normal(0, 1, (5, LENGTH, 3)).astype(np.float32) + np.array([0, 0, 1], np.float32)
    turned = (near @ random_rotation(4, mirrored)).astype(np.float32)
    np.testing.assert_allclose(view(turned), view(near), atol=2e-4)


@pytest.mark.parametrize("mirrored", [False, True], ids=["turned", "other wrist"])
def test_a_fall_is_found_however_the_watch_is_worn(mirrored: bool) -> None:
    samples, impact_s = motion.fall(rng(2))
    found = [alarms(motion.recording(s)) for s in (samples, samples @ random_rotation(6, mirrored))]
    assert [len(f) for f in found] == [1, 1]
    assert abs(found[1][0].start_s - impact_s) < 0.3


@pytest.mark.parametrize("limit_g", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("fs_hz", [20.0, 32.0, 50.0, 100.0])
def test_staged_falls_are_found_at_every_rate_and_range(
    fs_hz: float, limit_g: float, real_data: Callable[[str], Path]
) -> None:
    # The shipped network knows these people: this asks whether rate and range matter, not how good it is.
    root = real_data("weda-fall")
    trials = [r for r in list(weda_fall.read(root))[430:680:8] if r.meta["label"] == "fall"]
    found = 0
    for trial in trials:
        samples = np.clip(samples_of(trial), -limit_g, limit_g)
        at = np.arange(int(trial.end_s * fs_hz)) / fs_hz
        times = trial.channels["acc_x"].times()
        foreign = np.stack([np.interp(at, times, samples[:, k]) for k in range(3)], axis=1)
        found += bool(alarms(motion.recording(foreign, fs_hz=fs_hz)))
    assert found >= 0.9 * len(trials) > 25


def test_a_held_sample_says_that_nothing_was_seen() -> None:
    x = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    x[0, [0, 2]] = np.nan
    np.testing.assert_array_equal(hold(x)[0, :, 0], [3, 3, 3, 9])
    np.testing.assert_array_equal(hold(np.full((1, 4, 3), np.nan, np.float32)), 0)


def test_stillness_tells_a_resting_wrist_from_one_that_works() -> None:
    lying = np.tile(np.array([0.1, -0.3, 0.95], np.float32), (1, LENGTH, 1))
    noise = rng().normal(0, 1, lying.shape).astype(np.float32)
    assert movement_after(lying + 0.01 * noise)[0] < STILL_G < movement_after(lying + 0.4 * noise)[0]


@pytest.mark.parametrize(
    "make",
    [
        motion.put_on_table,
        motion.thrown_on_bed,
        lambda r: motion.clapping(20, r),
        lambda r: motion.still(20, r),
        lambda r: motion.walk(20, r)[0],
        lambda r: np.zeros((1000, 3)),
        lambda r: np.full((1000, 3), np.nan),
        lambda r: np.full((1000, 3), 8.0),
    ],
    ids=[
        "put on a table",
        "thrown on a bed",
        "clapping",
        "still",
        "walking",
        "flat sensor",
        "nothing sensed",
        "stuck at its rail",
    ],
)
def test_no_alarm(make: object) -> None:
    for seed in range(3):
        assert not alarms(motion.recording(make(rng(seed))))  # type: ignore[operator]


def test_dropped_samples_after_the_impact_do_not_lose_the_fall() -> None:
    samples, impact_s = motion.fall(rng(2))
    drop = rng(5).random(len(samples)) < 0.1
    drop[round(impact_s * motion.FS_HZ) - 5 : round(impact_s * motion.FS_HZ) + 6] = False
    holed = samples.copy()
    holed[drop] = np.nan
    assert len(alarms(motion.recording(holed))) == 1


def test_a_jumped_clock_is_a_hole_and_not_a_crash() -> None:
    recording = motion.recording(motion.fall(rng(2))[0])
    stream = WindowStream(TASK)
    stream.push(recording.slice(0.0, 4.0).channels)
    late = {n: replace(c, t0_s=c.t0_s + 30.0) for n, c in recording.slice(4.0, np.inf).channels.items()}
    windows = stream.push(late)
    assert len(windows) > 60
    found = [e for e in decode(TASK, windows, MODEL) if e.value == "detected"]
    assert len(found) == 1
    assert found[0].start_s > 30


def long_recording() -> Recording:
    parts = [motion.fall(rng(2))[0], motion.walk(10, rng(1))[0], motion.clapping(6, rng(1)), motion.fall(rng(4))[0]]
    return motion.recording(np.concatenate(parts))


LONG = long_recording()
LONG_EVENTS = infer(TASK, LONG, MODEL)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.floats(0.01, 60.0), min_size=1, max_size=12))
def test_any_chunks_of_a_stream_give_the_events_of_one_pass(cuts: list[float]) -> None:
    assert MODEL is not None
    stream, state, found = WindowStream(TASK), None, []
    edges = [0.0, *sorted(cuts), np.inf]
    for a, b in pairwise(edges):
        windows = stream.push(LONG.slice(a, b).channels)
        decoder = TASK.decoder(config=MODEL.bundle.config)  # another process each time: only the state goes on
        if state is not None:
            decoder.restore(json.loads(state))
        found += decoder.update(MODEL.predict(windows), windows)
        state = json.dumps(decoder.state())
    assert [(e.value, round(e.start_s, 4)) for e in found] == [(e.value, round(e.start_s, 4)) for e in LONG_EVENTS]
    assert sum(e.value == "detected" for e in found) == 2


def test_a_day_in_pieces_of_any_size_has_the_events_of_one_pass() -> None:
    assert MODEL is not None
    fs_hz, day_s = 20.0, 86_400.0
    quiet = np.tile(motion.still(60, rng(1), fs_hz), (int(day_s / 60), 1))
    falls_s = (7_000.3, 40_000.0, 80_000.7)
    for at_s in falls_s:
        fall = motion.fall(rng(2), fs_hz=fs_hz)[0]
        quiet[int(at_s * fs_hz) :][: len(fall)] = fall
    day = motion.recording(quiet, fs_hz=fs_hz)
    whole = [(e.value, round(e.start_s, 3)) for e in infer(TASK, day, MODEL)]
    assert sum(value == "detected" for value, _ in whole) == len(falls_s)
    cuts = np.sort(rng(9).uniform(0, day_s, 40))
    stream, decoder, found = WindowStream(TASK), TASK.decoder(config=MODEL.bundle.config), []
    for a, b in pairwise([0.0, *cuts, np.inf]):
        windows = stream.push(day.slice(a, b).channels)
        found += decoder.update(MODEL.predict(windows), windows)
    assert [(e.value, round(e.start_s, 3)) for e in found] == whole


def one_window(at_s: float, probability: float, movement_g: float = 0.0) -> tuple[dict[str, np.ndarray], Windows]:
    extras = {
        "wanted": np.array([True]), "impact_s": np.array([at_s]), "peak_g": np.array([3.0]),
        "movement_g": np.array([movement_g]),
    }  # fmt: skip
    windows = Windows({}, np.array([at_s]), np.array([at_s + 2.25]), np.ones(1, np.float32), extras)
    return {"fall": np.array([[probability]], np.float32)}, windows


def test_what_follows_a_fall_within_ten_seconds_belongs_to_it() -> None:
    decoder = FallDecoder({"threshold": 0.5})
    said = [decoder.update(*one_window(t, 0.9))[0].value for t in (1.0, 4.0, 13.0, 30.0)]
    assert said == ["detected", None, None, "detected"]


def test_a_wrist_that_works_on_is_not_lying_there() -> None:
    decoder = FallDecoder({"threshold": 0.5, "most_movement_g": 0.5})
    assert decoder.update(*one_window(1.0, 0.9, movement_g=0.8))[0].value is None
    assert decoder.update(*one_window(30.0, 0.9, movement_g=0.2))[0].value == "detected"


def test_a_watch_of_two_g_has_its_own_threshold() -> None:
    config = {"threshold": 0.7, "threshold_2g": 0.5}
    for range_g, said in ((2.0, "detected"), (4.0, None)):
        decoder = FallDecoder({**config, "range_g": range_g})
        assert decoder.update(*one_window(1.0, 0.6))[0].value == said
    assert FallDecoder(config).update(*one_window(1.0, 0.6))[0].value is None


def test_a_falls_probability_is_that_of_its_own_span() -> None:
    samples, impact_s = motion.fall(rng(2))
    fall = motion.recording(samples, fall_s=impact_s)
    said = [
        Estimate("fall", at, at + 2.0, None, extras={"confidence": p})
        for at, p in ((impact_s - 4, 0.9), (impact_s, 0.4))
    ]
    row = scoring.score(said, fall)
    assert row["probability"] == 0.4
    assert row["impacts"] == [[round(impact_s - 4, 2), 0.9], [round(impact_s, 2), 0.4]]


def test_the_share_of_windows_without_a_network_is_told() -> None:
    recording = motion.recording(motion.still(60, rng()))
    row = TASK.score([Estimate("fall", 5.0, 7.0, None, extras={"confidence": 0.1})], recording)
    assert row["windows"] == TASK.window.count(recording.end_s)
    assert TASK.summarise([row])["trigger_rejects"] == pytest.approx(1 - 1 / row["windows"])


def test_scoring_counts_events_ages_and_latency() -> None:
    samples, impact_s = motion.fall(rng(2))
    fall = motion.recording(samples, fall_s=impact_s)
    at = scoring.impact_time(fall, impact_s - 1.2, impact_s + 1.8)
    assert at == pytest.approx(impact_s, abs=0.05)

    def event(start_s: float) -> Estimate:
        return Estimate("fall", start_s, start_s + 2.0, "detected", extras={"confidence": 0.9})

    early = scoring.score([event(1.0), event(at)], fall)
    assert (early["found"], early["false_alarms"], early["latency_s"]) == (1, 1, [pytest.approx(2.0, abs=0.01)])
    quiet = motion.recording(motion.still(3600, rng()))
    old = replace(quiet, meta={"label": "adl", "age": "81"})
    young = replace(quiet, meta={"label": "adl", "age_group": "young"})
    rows = [early, scoring.score([event(5.0)], old), scoring.score([], young)]
    metrics = scoring.summarise(rows)
    assert metrics["sensitivity"] == 1.0
    assert (metrics["specificity"], metrics["specificity_old"], metrics["specificity_young"]) == (0.5, 0.0, 1.0)
    assert metrics["false_alarms_per_hour"] == pytest.approx(0.5)
    assert metrics["latency_s"] == pytest.approx(2.0, abs=0.01)
    low, high = metrics["sensitivity_low"], metrics["sensitivity_high"]
    assert low is not None
    assert high is not None
    assert low < 1.0 <= high


def test_a_fall_without_a_moment_is_its_strongest_impact() -> None:
    samples, _ = motion.fall(rng(2))
    recording = replace(motion.recording(samples), meta={"label": "fall"})
    windows = TASK.prepare(recording)
    target = TASK.targets(recording, windows)["fall"][:, 0]
    assert (target == 1).sum() == 1
    assert (
        windows.extras["peak_g"][int(np.nanargmax(target))] == windows.extras["peak_g"][windows.extras["wanted"]].max()
    )


def test_auc_counts_ties_as_half_and_needs_both_classes() -> None:
    assert scoring.auc([1.0, 0.5], [0.5, 0.0]) == pytest.approx(0.875)
    assert scoring.auc([], [0.5]) is None


def test_an_alarm_counts_down_alerts_escalates_and_is_acknowledged() -> None:
    alarm = detected(100.0, 0.9, at_s=102.0)
    assert alarm.state is State.COUNTDOWN
    assert advance(alarm, Event.TICK, 131.9).state is State.COUNTDOWN
    alerted = advance(alarm, Event.TICK, 132.0)
    assert (alerted.state, alerted.tier) == (State.ALERTED, 1)
    later = advance(alerted, Event.TICK, 132.0 + 2 * 120)
    assert later.tier == 3
    done = advance(later, Event.ACKNOWLEDGE, 400.0)
    assert done.over
    assert [h[0] for h in done.history] == ["detected", "countdown", "alerted", "tier 2", "tier 3", "acknowledged"]
    assert advance(done, Event.CANCEL, 500.0) == done


def test_a_cancel_in_time_means_that_nobody_is_told() -> None:
    alarm = advance(detected(0.0, 0.9, 2.0), Event.CANCEL, 20.0)
    assert alarm.state is State.CANCELLED
    assert alarm.tier == 0
    assert advance(alarm, Event.TICK, 1e6) == alarm


def test_a_cancel_that_comes_late_cannot_undo_the_alert_but_closes_it() -> None:
    alarm = advance(detected(0.0, 0.9, 2.0), Event.CANCEL, 60.0)
    assert [h[:2] for h in alarm.history[2:]] == [("alerted", 32.0), ("cancelled", 60.0)]


def test_nobody_can_acknowledge_what_nobody_was_told() -> None:
    alarm = detected(0.0, 0.9, 2.0)
    assert advance(alarm, Event.ACKNOWLEDGE, 10.0) == alarm


def test_movement_gives_more_time_once_and_never_cancels() -> None:
    alarm = detected(0.0, 0.9, 2.0)
    for at in (5.0, 6.0, 7.0):
        alarm = advance(alarm, Event.MOVED, at)
    assert alarm.due_s == 62.0
    assert advance(alarm, Event.TICK, 62.0).state is State.ALERTED


def test_stillness_brings_help_sooner() -> None:
    alarm = detected(0.0, 0.9, 2.0)
    for at in (5.0, 10.0, 15.0, 20.0):
        alarm = advance(alarm, Event.STILL, at)
    assert alarm.due_s == 22.0


EVENTS = st.lists(st.tuples(st.sampled_from(list(Event)), st.floats(0.1, 60.0)), max_size=12)


@given(EVENTS)
def test_any_life_of_an_alarm_can_be_stored_and_goes_on_as_if_it_had_not(steps: list[tuple[Event, float]]) -> None:
    straight = stored = detected(0.0, 0.9, 1.0)
    at = 1.0
    for event, pause in steps:
        at += pause
        straight = advance(straight, event, at)
        stored = advance(Alarm.from_json(json.loads(json.dumps(stored.to_json()))), event, at)
    assert stored == straight
    times = [h[1] for h in straight.history]
    assert times == sorted(times)


def test_impossible_alarm_times_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        AlarmRules(countdown_s=-1)


def test_marks_of_a_fall_are_read_as_spans() -> None:
    marks = Annotations(np.array([1.0, 4.0, 9.0]), ("(FALL", "FALL)", "(FALL"))
    channel = Channel("acc_x", 20.0, np.zeros(20, np.float32))
    recording = Recording("r", "s", {"acc_x": channel}, {"fall": marks})
    assert scoring.fall_spans(recording) == [(1.0, 4.0), (9.0, 12.0)]
    assert scoring.is_fall(recording) is True
    assert len(SIGNALS) == 7

"""Activity and steps: what is known by construction."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from data.recording import Annotations
from data.synthetic import motion
from models.evaluate import infer, open_model
from pipelines import activities, activity, steps
from pipelines.stream import WindowStream
from pipelines.task import Estimate, Windows

MODEL = open_model(activity.TASK)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def count(samples: np.ndarray, fs_hz: float = motion.FS_HZ) -> float:
    found = steps.TASK.baseline(steps.TASK.prepare(motion.recording(samples, fs_hz=fs_hz)))
    return float(sum(float(e.value) for e in found if e.value is not None))


@pytest.mark.parametrize("fs_hz", [20.0, 25.0, 32.0, 50.0, 100.0])
@pytest.mark.parametrize("cadence", [70, 92, 110, 150, 170])
def test_steps_of_a_walk_are_right_to_three_per_cent(cadence: int, fs_hz: float) -> None:
    samples, truth = motion.walk(120, rng(cadence), steps_per_minute=cadence, fs_hz=fs_hz)
    assert abs(count(samples, fs_hz) - truth) <= 0.03 * truth


@pytest.mark.parametrize("seed", range(4))
def test_steps_on_stairs_are_right_to_three_per_cent(seed: int) -> None:
    samples, truth = motion.stairs(180, rng(seed))
    assert abs(count(samples) - truth) <= 0.03 * truth


@pytest.mark.parametrize("name", sorted(motion.STILL_ACTIVITIES))
def test_no_step_without_walking(name: str) -> None:
    for seed in range(3):
        assert count(motion.STILL_ACTIVITIES[name](180, rng(seed))) == 0


def test_no_step_from_a_flat_or_dead_sensor() -> None:
    assert count(np.zeros((3000, 3))) == 0
    assert count(np.full((3000, 3), np.nan)) == 0


def test_a_walk_between_rests_is_counted_in_the_minutes_in_which_it_was() -> None:
    walk, truth = motion.walk(60, rng(1))
    samples = np.concatenate([motion.still(60, rng(2)), walk, motion.still(60, rng(3))])
    found = steps.TASK.baseline(steps.TASK.prepare(motion.recording(samples)))
    assert [e.start_s for e in found] == [0.0, 60.0, 120.0]
    first, walked, last = (float(e.value or 0) for e in found)
    assert first + last <= 6
    assert abs(first + walked + last - truth) <= 0.05 * truth
    assert found[1].extras["cadence"] == pytest.approx(110, rel=0.03)


def test_steps_of_a_stream_in_pieces_are_those_of_one_pass() -> None:
    samples = np.concatenate([motion.still(20, rng(2)), motion.walk(100, rng(1))[0], motion.typing(30, rng(3))])
    recording = motion.recording(samples)
    whole = steps.TASK.baseline(steps.TASK.prepare(recording))
    stream, state, found = WindowStream(steps.TASK), None, []
    for a, b in ((0.0, 0.7), (0.7, 33.3), (33.3, 61.0), (61.0, 61.1), (61.1, np.inf)):
        windows = stream.push(recording.slice(a, b).channels)
        decoder = steps.TASK.decoder()
        if state is not None:
            decoder.restore(json.loads(state))
        found += decoder.update({}, windows)
        state = json.dumps(decoder.state())
    found += decoder.finish()
    assert [(e.start_s, e.value) for e in found] == [(e.start_s, e.value) for e in whole]


def test_steps_are_kept_only_where_the_activity_has_steps() -> None:
    minute = Estimate("steps", 0.0, 60.0, 100.0)

    def doing(label: str, start_s: float, end_s: float) -> Estimate:
        return Estimate("activity", start_s, end_s, label)

    assert steps.gated([minute], [doing("sport", 0, 60)])[0].value == 0
    assert steps.gated([minute], [doing("walk", 0, 30), doing("eat", 30, 60)])[0].value == 50
    assert steps.gated([minute], [])[0].value == 100


def test_distance_is_known_only_with_a_stride() -> None:
    assert steps.distance_m(1000, None) is None
    assert steps.distance_m(1000, 0.7) == pytest.approx(700)


def test_scores_of_steps_know_walks_and_rests() -> None:
    walk, truth = motion.walk(60, rng(1))
    walked = replace(motion.recording(walk), meta={"steps": str(truth)})
    rested = replace(motion.recording(motion.still(60, rng(1))), meta={"steps": "0"})
    task = steps.TASK
    metrics = task.summarise([task.score(task.baseline(task.prepare(r)), r) for r in (walked, rested)])
    assert metrics["steps_error"] is not None
    assert metrics["steps_error"] <= 0.03
    assert metrics["false_steps_per_minute"] == 0


@pytest.mark.parametrize(
    ("name", "label"),
    [("Jogging", "run"), ("walk", "walk"), ("washing hands", "household"), ("soup", "eat"), ("jump", None), ("", None)],
)
def test_each_name_has_one_class_or_none(name: str, label: str | None) -> None:
    assert activities.class_of(name) == label


@pytest.mark.parametrize("angle", [0.7, 2.0, np.pi])
@pytest.mark.parametrize("flip", [1.0, -1.0], ids=["same way round", "other wrist"])
def test_turning_the_watch_about_the_forearm_changes_nothing(angle: float, flip: float) -> None:
    x = rng(1).normal(0, 0.4, (3, activity.LENGTH, 3)).astype(np.float32) + np.array([-0.6, 0.3, 0.7], np.float32)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[flip, 0, 0], [0, c, -s], [0, s, c]], np.float32)
    np.testing.assert_allclose(activity.view(x @ turn.T), activity.view(x), atol=2e-4)


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda r: motion.walk(60, r)[0], "walk"),
        (lambda r: motion.still(60, r), "still"),
        (lambda r: motion.typing(60, r), "still"),
        (lambda r: motion.eating(60, r), "eat"),
    ],
    ids=["walk", "still", "typing", "eating"],
)
def test_the_shipped_network_names_what_is_made_up_to_be_plain(make: object, label: str) -> None:
    found = infer(activity.TASK, motion.recording(make(rng())), MODEL)  # type: ignore[operator]
    assert found[-1].value == label
    assert found[-1].extras["intensity"] in {"sedentary", "light", "moderate", "vigorous"}


def outputs(probabilities: list[int], wrong: int) -> tuple[dict[str, np.ndarray], Windows]:
    p = np.full((len(probabilities), len(activities.CLASSES)), 0.05, np.float32)
    p[np.arange(len(p)), probabilities] = 0.7
    p[wrong] = np.roll(p[wrong], 1)
    start = np.arange(len(p)) * 4.0
    extras = {"enmo_mg": np.full(len(p), 120.0)}
    return {"activity": p}, Windows({}, start, start + 8.0, np.ones(len(p), np.float32), extras)


def test_one_odd_window_does_not_interrupt_an_activity() -> None:
    found = activity.ActivityDecoder(60.0).update(*outputs([1] * 20, wrong=12))
    assert {e.value for e in found[3:]} == {"walk"}


def test_looking_ahead_mends_a_beginning_and_the_causal_decoder_goes_on_from_its_state() -> None:
    given, windows = outputs([1] * 20, wrong=0)
    offline = activity.ActivityDecoder(60.0, offline=True)
    assert offline.update(given, windows) == []
    assert [e.value for e in offline.finish()] == ["walk"] * 20
    whole = activity.ActivityDecoder(60.0).update(given, windows)
    first, second = activity.ActivityDecoder(60.0), activity.ActivityDecoder(60.0)
    head = first.update({"activity": given["activity"][:9]}, windows.take(slice(0, 9)))
    second.restore(json.loads(json.dumps(first.state())))
    tail = second.update({"activity": given["activity"][9:]}, windows.take(slice(9, 20)))
    assert [*head, *tail] == whole


def test_too_little_sensed_is_no_answer() -> None:
    given, windows = outputs([1] * 4, wrong=3)
    windows = replace(windows, quality=np.array([1, 0.2, 1, 1], np.float32))
    assert activity.ActivityDecoder(60.0).update(given, windows)[1].value is None


def test_a_change_inside_a_window_is_unknown() -> None:
    marks = Annotations(np.array([0.0, 20.0]), ("walking", "sitting"))
    recording = replace(motion.recording(motion.still(40, rng())), annotations={"activity": marks})
    start = np.array([0.0, 16.0, 20.0])
    codes = activities.reference(recording, start, start + 8.0)
    assert [None if c < 0 else activities.CLASSES[c] for c in codes] == ["walk", None, "still"]


def test_active_minutes_count_vigorous_ones_twice_and_no_second_twice() -> None:
    windows = [
        Estimate("activity", 4.0 * k, 4.0 * k + 8.0, "run", extras={"intensity": "vigorous" if k < 15 else "moderate"})
        for k in range(30)
    ]
    found = activities.active_minutes(windows)
    assert found["vigorous"] == pytest.approx(1.0)
    assert found["moderate"] == pytest.approx(1.0, abs=0.1)
    assert found["minutes"] == pytest.approx(found["moderate"] + 2 * found["vigorous"])


def test_enmo_of_rest_is_nothing_and_cut_points_are_the_cited_ones() -> None:
    rest = np.tile(np.array([0, 0, 1], np.float32), (1, 160, 1))
    assert activities.enmo_mg(rest)[0] == 0
    assert activities.enmo_mg(np.full((1, 160, 3), np.nan, np.float32))[0] == 0
    assert [activities.intensity(x) for x in (10, 60, 200, 500)] == ["sedentary", "light", "moderate", "vigorous"]


def test_scores_of_activity_add_up_to_f1_and_accuracy() -> None:
    task = activity.TASK
    row = {"confusion": {"walk": {"walk": 8, "stairs": 2}, "still": {"still": 10}}}
    metrics = task.summarise([row])
    assert metrics["accuracy"] == pytest.approx(0.9)
    assert metrics["f1_walk"] == pytest.approx(16 / 18)
    assert metrics["f1_macro"] == pytest.approx((16 / 18 + 1) / 2)
    assert metrics["f1_run"] is None

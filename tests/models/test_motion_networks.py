"""What the fall network learns from, and the pictures of what it and the activity network said."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.export import write_recording
from data.recording import Recording
from data.synthetic import motion
from models.motion_pictures import draw_activity, draw_falls, roc
from models.networks.fall_detection import RECIPE
from models.networks.fall_examples import CLIPS_G, COPIES, fall_examples, impacts_of, lost_beginning
from pipelines.fall_detection import INPUT, OUTPUT, TASK
from pipelines.falls.trigger import BEFORE
from pipelines.falls.view import LENGTH


def fall(k: int, **meta: str) -> Recording:
    samples, impact_s = motion.fall(np.random.default_rng(k))
    recording = motion.recording(samples, name=f"fall_{k}", fall_s=None if meta else impact_s)
    return replace(recording, subject=f"p{k}", dataset="staged", meta={"label": "fall", **meta})


def activity(k: int, dataset: str = "staged", cut_s: float = 0.0) -> Recording:
    samples = motion.put_on_table(np.random.default_rng(k)) * 1.3
    recording = motion.recording(samples[int(cut_s * motion.FS_HZ) :], name=f"{dataset}_{k}_{cut_s}", activity="table")
    return replace(recording, subject=f"q{k}", dataset=dataset, meta={"label": "adl", "activity": "table"})


def test_each_movement_is_learnt_from_as_two_devices_have_it() -> None:
    recording = fall(1)
    n = [impacts_of(recording, clip).fall.size for clip in CLIPS_G]
    examples = fall_examples([recording], seed=0)
    assert len(examples) == COPIES * sum(n)
    assert examples.inputs[INPUT].shape[1:] == (1, LENGTH, 7)
    assert max(np.abs(impacts_of(recording, 2.0).near_g[0]).max(), 0) <= 2.0


def test_weakly_labelled_falls_weigh_less_and_those_without_an_impact_nothing() -> None:
    sure, weak = impacts_of(fall(1), 4.0), impacts_of(fall(1, label_quality="weak"), 4.0)
    assert weak.weight[weak.fall == 1].max() < 0.5 * sure.weight[sure.fall == 1].max()
    faint = motion.recording(motion.still(20, np.random.default_rng(0)))
    assert impacts_of(replace(faint, meta={"label": "fall", "label_quality": "weak"}), 4.0).fall.size == 0


def test_how_trials_were_cut_does_not_tell_falls_from_activities(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every staged activity here begins just before its impact, every fall and all of life long before.
    seen: list[np.ndarray] = []
    from models.networks import fall_examples as module

    def spy(near_g: np.ndarray) -> np.ndarray:
        seen.append(lost_beginning(near_g))
        return np.zeros((len(near_g), 1, LENGTH, 7), np.float32)

    monkeypatch.setattr(module, "view", spy)
    falls, cut = [fall(k) for k in range(12)], [activity(k, cut_s=7.0) for k in range(12)]
    life = [activity(k, dataset="life") for k in range(12)]
    examples = fall_examples([*falls, *cut, *life], seed=0)
    lost = np.concatenate(seen)
    fallen = examples.targets[OUTPUT][:, 0] == 1
    alive = np.char.startswith(examples.recording, "life")
    share = [(lost[rows] > BEFORE // 3).mean() for rows in (~fallen & ~alive, fallen, alive)]
    assert share[0] > 0.3
    np.testing.assert_allclose(share[1:], share[0], atol=0.2)


def test_folds_of_falls_have_equal_parts_of_set_and_age() -> None:
    young, old = (replace(activity(1), meta={"label": "adl", "age": age}) for age in ("22", "81"))
    assert RECIPE.stratum(young) == "staged young"
    assert RECIPE.stratum(old) == "staged old"


def test_too_few_falls_fit_no_threshold() -> None:
    config = RECIPE.configure(lambda inputs: {}, [fall(k) for k in range(4)])
    assert 0.3 < config["threshold"] < 0.9
    assert config["fitted_on"] == "too few falls"


def row(recording: Recording, probability: float, threshold: float = 0.5) -> dict[str, object]:
    windows = TASK.prepare(recording)
    windows = windows.take(windows.extras["wanted"])
    said = TASK.decoder(config={"threshold": threshold}).update(
        {"fall": np.full((len(windows), 1), probability, np.float32)}, windows
    )
    return {"id": recording.id, **TASK.score(said, recording)}


def test_pictures_of_falls_show_what_was_scored(tmp_path: Path) -> None:
    falls, calm = [fall(k) for k in range(3)], [activity(k) for k in range(4)]
    for r in calm:
        r.meta["age"] = "22"  # type: ignore[index]
    rows = [row(r, 0.9) for r in falls] + [row(r, p) for r, p in zip(calm, (0.1, 0.2, 0.3, 0.8), strict=True)]
    pictures = draw_falls(rows, [*falls, *calm], 0.5, tmp_path)
    assert [path.name for path in pictures] == ["fall_roc.png", "fall_timeline.png", "fall_false_alarms.png"]
    assert all(path.stat().st_size > 3000 for path in pictures)
    assert draw_falls([], [], 0.5, tmp_path) == []


def test_a_picture_of_activity_needs_a_known_class(tmp_path: Path) -> None:
    assert draw_activity([{"confusion": {}}], tmp_path) == []
    assert draw_activity([{"confusion": {"walk": {"walk": 3, "run": 1}}}], tmp_path)[0].name == "activity_confusion.png"


def test_the_roc_begins_with_nothing_called_a_fall_and_ends_with_all() -> None:
    x, y = roc([0.9, 0.4], [0.4, 0.1])
    np.testing.assert_allclose(x, [0, 0, 0.5, 1])
    np.testing.assert_allclose(y, [0, 0.5, 1, 1])


@pytest.mark.parametrize(
    ("task", "keys"),
    [
        (
            "fall-detection",
            {"sensitivity", "specificity", "specificity_young", "specificity_old", "false_alarms_per_hour", "latency_s",
             "auc", "trigger_rejects"},
        ),
        ("activity", {"f1_macro", "accuracy"}),
    ],
)  # fmt: skip
def test_evaluate_gives_the_promised_keys_for_a_folder(task: str, keys: set[str], tmp_path: Path) -> None:
    walk = motion.recording(motion.walk(60, np.random.default_rng(0))[0], name="walk", activity="walking")
    for recording, age in ((fall(2), "22"), (replace(walk, meta={**walk.meta, "label": "adl"}), "81")):
        write_recording(replace(recording, meta={**recording.meta, "age": age}), tmp_path)
    command = [sys.executable, "wristwise.py", "evaluate", task, "--recordings", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    metrics = json.loads(done.stdout)["metrics"]
    assert keys <= set(metrics)
    if task == "activity":
        assert metrics["accuracy"] is not None
    else:
        assert (metrics["sensitivity"], metrics["specificity"], metrics["specificity_old"]) == (1.0, 1.0, 1.0)

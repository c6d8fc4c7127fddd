"""The arithmetic of benchmarks/compression.py: what is called significant, and which stage is called best."""

from typing import Any

import numpy as np
import pytest

from benchmarks.compression import GOAL_STAGE, auc, goals, interval, stages_table, summary


def test_auc_counts_pairs_and_halves_ties() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.9], np.float32)
    target = np.array([0, 1, 0, 1], np.float32)
    assert auc(score, target, np.ones(4, np.float32)) == pytest.approx(3.5 / 4)
    assert auc(score, target, np.array([0, 1, 1, 1], np.float32)) == pytest.approx(1.5 / 2)


def test_the_interval_is_students() -> None:
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(mean - low) == pytest.approx(4.303 / np.sqrt(3))


def _runs(lost: tuple[float, float, float]) -> list[dict[str, Any]]:
    sizes = {"bytes": 1000, "gzip": 900, "wwz": 800, "smallest": 790}
    small = {"bytes": 100, "gzip": 80, "wwz": 40, "smallest": 30}
    return [
        {
            "parameters": 200,
            "parameters_cut": 50,
            "stages": {"dense, float32": {**sizes, "auc": 0.9}, GOAL_STAGE: {**small, "auc": 0.9 - change}},
        }
        for change in lost
    ]


def test_a_loss_outside_chance_does_not_count_towards_a_goal() -> None:
    sure, unsure = _runs((0.010, 0.011, 0.012)), _runs((0.010, -0.011, 0.012))
    assert not summary(sure)[GOAL_STAGE]["no_significant_loss"]
    assert summary(unsure)[GOAL_STAGE]["no_significant_loss"]
    for runs, reached in ((sure, False), (unsure, True)):
        found = goals({"net": {"seeds": dict(enumerate(runs)), "summary": summary(runs)}})
        assert [goal["reached"] for goal in found] == [reached] * 3
    assert "**-0.0110 (" in stages_table({"net": {"seeds": dict(enumerate(sure)), "summary": summary(sure)}})


def test_a_smaller_stage_cannot_stand_in_for_the_one_that_is_judged() -> None:
    runs = _runs((0.010, 0.011, 0.012))
    for run, noise in zip(runs, (0.3, -0.3, 0.1), strict=True):
        run["stages"]["tiny"] = {"bytes": 9, "gzip": 9, "wwz": 9, "smallest": 9, "auc": 0.9 + noise}
    table = summary(runs)
    assert table["tiny"]["no_significant_loss"], "a wide interval covers zero"
    assert not any(goal["reached"] for goal in goals({"net": {"seeds": dict(enumerate(runs)), "summary": table}}))


def test_without_three_seeds_there_is_no_goal() -> None:
    runs = _runs((0.0, 0.0, 0.0))[:2]
    assert goals({"net": {"seeds": dict(enumerate(runs)), "summary": summary(runs)}}) == []

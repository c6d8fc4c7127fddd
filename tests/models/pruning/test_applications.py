"""One family of tf_keras.applications here; all of them with `wristwise bench applications`."""

import json
from pathlib import Path

import pytest

pytest.importorskip("tf_keras")

from models.pruning.applications import FAMILIES, try_family

RESULT = Path(__file__).parents[3] / "benchmarks" / "results" / "applications.json"


def test_half_of_mobilenet_goes_and_the_rest_answers_like_the_masked_network() -> None:
    outcome = try_family("MobileNet")

    assert outcome.works, outcome.reason
    assert outcome.error <= 1e-4
    assert outcome.parameters_after < 0.3 * outcome.parameters_before


def test_the_committed_table_holds_every_family_and_a_reason_for_each_that_fails() -> None:
    rows = {r["name"]: r for r in json.loads(RESULT.read_text(encoding="utf-8"))["rows"]}

    assert set(rows) == set(FAMILIES)
    assert all(r["works"] or r["reason"] for r in rows.values())
    assert sum(r["works"] for r in rows.values()) >= 16

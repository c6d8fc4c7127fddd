"""Every stage of a run, on a toy task: what comes out is pruned, gated, scored on other people, and reproducible."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.adapters.adapter import Adapter
from data.errors import BundleError, DataSetError, RecordingError
from models.bundle import CARD_FILE, MODEL_FILE, Bundle
from models.evaluate import evaluate, infer
from models.run import loading, pipeline
from models.run.report import write_report
from models.runtime import Model
from models.training.folds import subject_folds
from tests.models.toy import ToyRecipe, toy_recordings

TOY = Adapter("toy", "Toy", "https://example.org", "MIT", True, lambda folder: iter(()), "*")


@pytest.fixture(scope="module", autouse=True)
def _toy_set() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "adapter", lambda name: TOY)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    out = tmp_path_factory.mktemp("run")
    config = pipeline.RunConfig(seed=3, folds=2)
    return out, pipeline.run(ToyRecipe(), toy_recordings(), config, out, lambda fraction, word: None)


@pytest.mark.xdist_group("toy")
def test_a_run_ends_with_a_pruned_bundle_that_generalises_to_other_people(finished: tuple[Path, Bundle]) -> None:
    _, bundle = finished
    card = bundle.card
    assert card["metrics"]["accuracy"] >= 0.9
    assert card["method"]["parameters"]["pruned"] < 0.5 * card["method"]["parameters"]["dense"]
    assert card["sizes"]["tflite_bytes"] < 0.5 * card["parent"]["tflite_bytes"]
    assert card["config"] == {"threshold": 0.5, "seen": 20}
    assert [d["name"] for d in card["training"]["data_sets"]] == ["toy"]


@pytest.mark.xdist_group("toy")
def test_no_scored_subject_was_trained_on(finished: tuple[Path, Bundle]) -> None:
    out, _ = finished
    scored = []
    for k in range(2):
        trained = set(Bundle.open(out / f"fold_{k}").card["training"]["subjects"])
        rows = json.loads((out / f"fold_{k}.json").read_text())["per_recording"]
        assert trained.isdisjoint({f"toy/{row['subject']}" for row in rows})
        scored += [row["subject"] for row in rows]
    assert sorted(scored) == [f"s{k}" for k in range(8)]


@pytest.mark.xdist_group("toy")
def test_the_same_run_again_resumes_and_gives_the_same_bytes(finished: tuple[Path, Bundle]) -> None:
    out, bundle = finished
    before = {p: p.stat().st_mtime_ns for p in out.glob("fold_*.json")}
    again = pipeline.run(ToyRecipe(), toy_recordings(), pipeline.RunConfig(seed=3, folds=2), out, lambda f, w: None)
    assert {p: p.stat().st_mtime_ns for p in out.glob("fold_*.json")} == before
    assert again.model == bundle.model


@pytest.mark.xdist_group("toy")
def test_a_folder_with_another_run_is_refused(finished: tuple[Path, Bundle]) -> None:
    out, _ = finished
    with pytest.raises(RecordingError, match="holds another run"):
        pipeline.run(ToyRecipe(), toy_recordings(), pipeline.RunConfig(seed=4, folds=2), out, lambda f, w: None)


@pytest.mark.xdist_group("toy")
def test_the_report_names_sizes_figures_and_licences(finished: tuple[Path, Bundle], tmp_path: Path) -> None:
    _, bundle = finished
    text = write_report(bundle, tmp_path).read_text(encoding="utf-8")
    assert f"{bundle.card['sizes']['tflite_bytes']} bytes" in text
    assert "toy: 8 recordings, 8 subjects, MIT" in text


@pytest.mark.xdist_group("toy")
def test_both_runtimes_agree_on_the_bundle(finished: tuple[Path, Bundle]) -> None:
    _, bundle = finished
    inputs, wanted = bundle.stored_check()
    for runtime in ("litert", "micro"):
        found = Model(bundle, runtime).run(inputs)["fast"]
        np.testing.assert_allclose(found, wanted["fast"], atol=1.01 * bundle.outputs[0].scale)


@pytest.mark.xdist_group("toy")
def test_evaluate_scores_and_says_whom_it_refused(finished: tuple[Path, Bundle]) -> None:
    _, bundle = finished
    (first, *_), task = toy_recordings(2), ToyRecipe().task
    result = evaluate(task, [first, first.select([])], Model(bundle))
    assert (result["n_recordings"], result["n_windows"]) == (1, 20)
    assert result["refused"] == [{"id": "r0", "why": "recording 'r0' has no channel 'ppg'; it has: none"}]
    with pytest.raises(RecordingError, match="no recording could be scored; the first was refused because"):
        evaluate(task, [first.select([])], Model(bundle))


@pytest.mark.xdist_group("toy")
def test_a_changed_file_is_refused_by_its_hash(finished: tuple[Path, Bundle], tmp_path: Path) -> None:
    _, bundle = finished
    copy = tmp_path / "copy"
    shutil.copytree(bundle.folder, copy)
    data = bytearray((copy / MODEL_FILE).read_bytes())
    data[100] ^= 1
    (copy / MODEL_FILE).write_bytes(bytes(data))
    with pytest.raises(BundleError, match="was changed: its card says sha256"):
        Bundle.open(copy)


@pytest.mark.xdist_group("toy")
def test_a_bundle_of_other_preprocessing_is_refused(finished: tuple[Path, Bundle], tmp_path: Path) -> None:
    _, bundle = finished
    copy = tmp_path / "copy"
    shutil.copytree(bundle.folder, copy)
    card = json.loads((copy / CARD_FILE).read_text())
    (copy / CARD_FILE).write_text(json.dumps({**card, "preprocessing": "0"}))
    with pytest.raises(BundleError, match="trained on preprocessing '0' of 'toy', this version has '1'"):
        Bundle.open(copy).check_task(ToyRecipe().task)


@pytest.mark.xdist_group("toy")
def test_wrong_input_names_what_was_wanted(finished: tuple[Path, Bundle]) -> None:
    _, bundle = finished
    model = Model(bundle)
    with pytest.raises(BundleError, match="wants input 'ppg', got acc"):
        model.run({"acc": np.zeros((1, 3), np.float32)})
    with pytest.raises(BundleError, match=r"has shape \(1, 64, 1\) a row, got \(1, 63, 1\)"):
        model.run({"ppg": np.zeros((1, 1, 63, 1), np.float32)})
    with pytest.raises(BundleError, match="holds NaN or infinity"):
        model.run({"ppg": np.full((1, 1, 64, 1), np.nan, np.float32)})


@pytest.mark.xdist_group("toy")
def test_inference_does_not_depend_on_who_came_before(finished: tuple[Path, Bundle]) -> None:
    _, bundle = finished
    model, (mine, other) = Model(bundle), toy_recordings(2)
    alone = infer(ToyRecipe().task, mine, model)
    infer(ToyRecipe().task, other, model)
    assert infer(ToyRecipe().task, mine, model) == alone


def test_a_folder_that_is_no_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no card.json; `wristwise run TASK"):
        Bundle.open(tmp_path)


def test_folds_divide_no_subject_and_test_each_once() -> None:
    subjects = np.array(["a", "a", "b", "c", "c", "d"])
    tested = []
    for train, test in subject_folds(subjects, 3, seed=1):
        assert set(subjects[train]).isdisjoint(subjects[test])
        tested += list(np.unique(subjects[test]))
    assert sorted(tested) == ["a", "b", "c", "d"]


def test_folds_get_equal_parts_of_each_stratum_where_one_is_named() -> None:
    subjects = [f"s{k:02}" for k in range(20) for _ in range(3)]
    strata = ["old" if k < 10 else "young" for k in range(20) for _ in range(3)]
    for _, test in subject_folds(subjects, 5, seed=2, strata=strata):
        ages = {s: a for s, a, use in zip(subjects, strata, test, strict=True) if use}
        assert sorted(ages.values()) == ["old", "old", "young", "young"]


def test_more_folds_than_subjects_are_refused() -> None:
    with pytest.raises(DataSetError, match="there are 2 subjects"):
        list(subject_folds(["a", "b"], 3))

"""What the rhythm network learns from: variants of the training strips, folds with equal parts of each rhythm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from data.errors import DataSetError
from data.recording import Recording
from data.synthetic.ecg import ecg
from models.networks.ecg_rhythm import RECIPE, _Draws
from models.run.loading import load
from models.training.folds import subject_folds
from models.training.recipe import strata_of
from pipelines.ecg_rhythm import BEATS, OUTPUT, SUMMARY, TASK


def strips() -> list[Recording]:
    return [
        replace(ecg(seconds=20.0, seed=k, fs_hz=300.0), id=f"A{k}", subject=f"A{k}", meta={"rhythm": label})
        for k, label in enumerate("NNNNAAOO")
    ]


def test_each_strip_comes_as_it_is_and_in_variants_of_the_same_subject() -> None:
    examples = RECIPE.examples(strips(), seed=0)
    assert len(examples) == 8 * 3
    assert sorted(set(examples.recording)) == [f"synthetic/A{k}#{v}" for k in range(8) for v in range(3)]
    own = examples.take(np.char.endswith(examples.recording, "#0"))
    np.testing.assert_array_equal(own.inputs[SUMMARY][3], TASK.whole(strips()[3]).inputs[SUMMARY][0])
    for k in range(8):
        rows = examples.take(examples.subject == f"A{k}")
        assert len({r.tobytes() for r in rows.inputs[BEATS]}) == 3
        np.testing.assert_array_equal(rows.targets[OUTPUT], np.tile(rows.targets[OUTPUT][0], (3, 1)))


def test_the_same_seed_gives_the_same_variants() -> None:
    first, second = RECIPE.examples(strips()[:2], seed=5), RECIPE.examples(strips()[:2], seed=5)
    np.testing.assert_array_equal(first.inputs[BEATS], second.inputs[BEATS])


def test_an_epoch_draws_one_variant_of_each_strip_half_of_them_as_recorded() -> None:
    names = np.array([f"set/A{k}#{v}" for k in range(200) for v in range(3)])
    draws, rng = _Draws(names), np.random.default_rng(0)
    assert draws.n_rows == 200
    drawn = [draws(rng) for _ in range(20)]
    assert all(np.array_equal(rows // 3, np.arange(200)) for rows in drawn)
    assert np.mean([rows % 3 == 0 for rows in drawn]) == pytest.approx(0.5, abs=0.03)


def test_folds_have_equal_parts_of_each_rhythm() -> None:
    recordings = strips()
    strata = strata_of(RECIPE, recordings)
    for _, test in subject_folds([r.subject for r in recordings], 2, 0, strata):
        labels = [r.meta["rhythm"] for r, use in zip(recordings, test, strict=True) if use]
        assert sorted(labels) == ["A", "N", "N", "O"]


def test_open_data_only_says_that_there_is_none(tmp_path: Path) -> None:
    base = tmp_path / "challenge-2017" / "training2017"
    base.mkdir(parents=True)
    savemat(base / "A00001.mat", {"val": np.zeros((1, 3000), np.int16)}, format="4")
    (base / "REFERENCE-v3.csv").write_text("A00001,N\n", encoding="utf-8")
    assert len(load(RECIPE, tmp_path)) == 1
    with pytest.raises(DataSetError, match="none of the open data sets that 'ecg-rhythm' trains on"):
        load(RECIPE, tmp_path, open_data=True)

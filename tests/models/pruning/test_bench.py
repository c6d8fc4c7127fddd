"""The benchmark: one small sweep, resumed; the page that is made of its results."""

import json

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from data.errors import MissingExtraError, WristwiseError  # noqa: E402
from models.pruning import bench  # noqa: E402
from models.pruning.bench import METHODS, Job, run_job  # noqa: E402
from models.pruning.bench_pages import BEGIN, END, write_pages  # noqa: E402
from models.pruning.bench_result import interval, summary  # noqa: E402
from models.pruning.cases import row_error, subgroup_errors  # noqa: E402
from models.pruning.errors import PruningError  # noqa: E402
from models.pruning.representatives import REPRESENTATIVES, representative_case  # noqa: E402
from models.pruning.sweep import finished, jobs_for, sweep  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def small(monkeypatch):
    """A case of few rows and epochs."""
    import dataclasses

    case = dataclasses.replace(representative_case("two-branch", 256), epochs=2, recover_epochs=1)
    monkeypatch.setattr(bench, "case_of", lambda *options: case)
    return case


KINDS = [
    m for m in METHODS if m.schedule in ("iterative", "knapsack") or m.part == "control" or "Taylor, poly" in m.name
]


@pytest.mark.parametrize("method", KINDS, ids=lambda m: m.name)
def test_every_kind_of_method_gives_a_row_with_error_and_size(method, small, folder) -> None:
    row = run_job(Job("two-branch", method, 0.8, 0), folder)

    assert 0 <= row["error"] <= 1
    if method.part == "weights":
        assert row["parameters"] == small.build(0).count_params()
    else:
        assert row["parameters"] < 0.35 * small.build(0).count_params()
        assert row["bytes"] < 0.6 * 27000


def test_a_sweep_goes_on_where_it_was(small, folder) -> None:
    jobs = list(jobs_for("two-branch", methods=METHODS[:1], rates=(0.5, 0.8), seeds=(0,)))
    first = sweep(jobs, folder)
    stamps = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}

    assert sweep(jobs, folder) == first
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == stamps
    assert finished(jobs, folder) == first


def test_a_cluster_without_dask_is_one_sentence(small, folder, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wristwise\[cluster\]'"):
        sweep([], folder, cluster="tcp://127.0.0.1:1")


def test_every_representative_learns_something() -> None:
    assert set(REPRESENTATIVES) == {"cnn", "lstm", "bilstm", "two-branch"}
    case = representative_case("cnn", 600)
    model = case.build(0)
    before = case.error(model)
    case.fit(model, 3, 0, None, ())

    assert case.error(model) < before
    assert len(case.subgroups(model)) == 3
    with pytest.raises(PruningError, match="no representative network"):
        representative_case("nose")


def test_errors_are_those_of_the_kind_of_target() -> None:
    classes = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    said = np.eye(2, dtype=np.float32)[[0, 0, 1, 0]]
    assert row_error([classes], [classes]) == 0
    assert row_error([said], [classes]) == pytest.approx(1 - (0.8 + 2 / 3) / 2)
    assert subgroup_errors(said, classes) == {"class 0": 0.0, "class 1": 0.5}
    assert row_error([np.array([[0.9], [0.2]])], [np.array([[1.0], [1.0]])]) == 0.5
    assert row_error([np.array([[70.0]])], [np.array([[72.5]])]) == 2.5


def entry() -> dict:
    dense = [
        {"seed": s, "error": 5.0 + s, "bytes": 1000, "gzip": 900, "latency_us": 10, "arena": 500} for s in (0, 1, 2)
    ]
    rows = [
        {"method": name, "part": name.split(",")[0], "rate": 0.8, "seed": s, "error": 5.0 + s + rise,
         "parameters": 9, "macs": 9, "bytes": size,
         "gzip": size, "latency_us": 10, "arena": 500, "predicted_bytes": None}
        for name, rise, size in (("units, L2, local", 0.0, 300), ("from scratch", 1.0, 300),
                                 ("weights, Taylor, local", 2.0, 1000))
        for s in (0, 1, 2)
    ]  # fmt: skip
    return {"case": "heart-rate", "command": "x", "unit": "BPM", "mode": "int8", "epochs": {"dense": 1, "recovery": 1},
            "notes": {}, "dense": dense, "rows": rows, "overlap": [], "recovery": {}, "parts": {}}  # fmt: skip


def test_a_summary_pairs_seeds_and_says_what_was_bought() -> None:
    lines = {s["method"]: s for s in summary(entry())}

    assert lines["units, L2, local"]["harmless"]
    assert lines["units, L2, local"]["bought"]
    assert not lines["weights, Taylor, local"]["harmless"]
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5))


def test_the_page_is_made_of_result_files(tmp_path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    results.mkdir()
    docs.mkdir()
    with pytest.raises(WristwiseError, match="run `wristwise bench pruning TASK` first"):
        write_pages(results, docs)
    (results / "pruning_heart_rate.json").write_text(json.dumps(entry()))
    (docs / "pruning.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    assert {p.name for p in write_pages(results, docs)} == {"pruning.md", "pruning_heart_rate.png"}
    text = (docs / "pruning.md").read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| units, L2, local | 6 (+0 to +0) |" in text
    assert "| weights, Taylor, local | 8 (+2 to +2) **worse** |" in text
    assert "| units, L2, local, 80% | –, 300 | 300 | 10 | –, 500 | |" in text.replace("|  |", "| |")
    assert "| heart rate | -50%, -30%, +5% | -70%, +0% (units, L2, local, 80%)" in text
    assert write_pages(results, docs)
    assert (docs / "pruning.md").read_text() == text


def test_goals_count_only_files_that_did_no_harm() -> None:
    from benchmarks.pruning import case_goals

    def link(method: str, error: float, gzip: int, us: float) -> list[dict]:
        return [
            {"method": method, "mode": "int8", "seed": s, "error": error + 0.01 * s, "gzip": gzip,
             "container": gzip // 2, "latency_us": us, "m4f_us": 9 * us} for s in (0, 1, 2)
        ]  # fmt: skip

    found = entry() | {
        "chain": link("dense", 1.0, 1000, 8.0) + link("... a", 1.0, 90, 2.0) + link("... b", 2.0, 10, 1.0)
    }
    goals = case_goals(found)

    assert [g["measured"] for g in goals[:3]] == [f"{x}×, int8; error 1.01 +0" for x in ("11.1", "22.2", "4.0")]
    assert [g["reached"] for g in goals] == [True, True, True, None, True]
    assert "pruned against from scratch" in goals[4]["goal"]
    assert all(len(str(value)) <= 100 for goal in goals for value in goal.values())
    harmful = case_goals(entry() | {"chain": link("dense", 1.0, 1000, 8.0) + link("... b", 2.0, 10, 1.0)})
    assert harmful[0]["measured"] == "100.0×, int8; error 1.01 +1, worse"
    assert not harmful[0]["reached"]


def test_a_case_alone_is_its_preset_and_options_go_before_it() -> None:
    from models.pruning.bench_result import _command
    from models.pruning.presets import PRESETS
    from models.pruning.sweep import asked_jobs

    for case in (*PRESETS, "bilstm"):
        jobs = list(asked_jobs(case, "", (), (0, 1, 2)))
        assert len(set(jobs)) == len(jobs)
        assert _command(jobs) == f"wristwise bench pruning {case}"
    asked = list(asked_jobs("heart-rate", "random", (0.5,), (0,), epochs=2))
    assert [(j.method.name, j.rate, j.epochs) for j in asked] == [("units, random", 0.5, 2)]
    assert '--methods "units, random" --rates 0.5 --seeds 0' in _command(asked)
    with pytest.raises(PruningError, match="no method's name holds 'magic'"):
        list(asked_jobs("cnn", "magic", (), (0,)))


def test_a_sweep_runs_on_a_dask_cluster(small, tmp_path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'wristwise[cluster]'")
    jobs = list(jobs_for("two-branch", methods=METHODS[:1], rates=(0.5, 0.8), seeds=(0,)))
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    )
    try:
        rows = sweep(jobs, tmp_path, cluster=cluster.scheduler_address)
    finally:
        cluster.close()

    assert [(row["method"], row["rate"]) for row in rows] == [(METHODS[0].name, 0.5), (METHODS[0].name, 0.8)]
    assert finished(jobs, tmp_path) == rows

"""Sweeps: many jobs, here, in processes or on a Dask cluster; every finished one is kept."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models.pruning.bench import METHODS, RATES, SEEDS, Job, Method, run_job
from models.pruning.presets import chosen, preset


def jobs_for(
    case: str,
    *,
    methods: Sequence[Method] = METHODS,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = SEEDS,
    **options: Any,
) -> Iterator[Job]:
    """Yield every job of a sweep, seed by seed, so that an interrupted one has whole seeds; `options` as of `Job`."""
    for seed in seeds:
        for method in methods:
            for rate in rates:
                yield Job(case, method, rate, seed, **options)


def preset_jobs(case: str, seeds: Sequence[int] = SEEDS, **options: Any) -> Iterator[Job]:
    """Yield the jobs of a case's preset, block by block; `options` go before the preset's own."""
    own = preset(case)
    named = {method.name: method for method in METHODS}
    for methods, rates in own.blocks:
        for seed in seeds:
            for rate in rates:
                yield from (Job(case, named[m], rate, seed, **(own.options | options)) for m in methods)


def asked_jobs(
    case: str, methods: str, rates: Sequence[float], seeds: Sequence[float], **options: Any
) -> Iterator[Job]:
    """
    Yield the jobs of a command line: those of the preset where neither methods nor rates are named.

    Parameters
    ----------
    methods : str
        Parts of names with semicolons; empty for the preset's.
    rates : sequence of float
        Empty for the preset's, or with `methods` given for 0.8, at which the goals are judged.
    """
    whole = tuple(int(seed) for seed in seeds)
    if not methods and not rates:
        yield from preset_jobs(case, whole, **options)
        return
    names = chosen(methods, tuple(method.name for method in METHODS))
    own = [method for method in METHODS if method.name in names]
    settings = preset(case).options | options
    yield from jobs_for(case, methods=own, rates=tuple(rates) or (0.8,), seeds=whole, **settings)


def finished(jobs: Sequence[Job], folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the jobs that are done."""
    paths = [folder / f"row_{job.key}.json" for job in jobs]
    return [json.loads(p.read_text(encoding="utf-8")) for p in paths if p.is_file()]


def sweep(
    jobs: Sequence[Job],
    folder: Path,
    *,
    n_jobs: int = 1,
    cluster: str | None = None,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """
    Run jobs, here or on a Dask cluster, and return their rows in order.

    Parameters
    ----------
    jobs : sequence of Job
    folder : Path
        Where finished rows are; a sweep that was interrupted goes on where it was. On a cluster, shared storage.
    n_jobs : int, default=1
        Local processes.
    cluster : str, optional
        Address of a Dask scheduler (``tcp://host:8786``); joblib hands the jobs to it.
    say : callable
        Told of each finished job when they run one by one.
    """
    from joblib import Parallel, delayed, parallel_config

    calls = [delayed(run_job)(job, folder) for job in jobs]
    if cluster is not None:
        client = _dask_client(cluster)
        with parallel_config(backend="dask"):
            rows: list[dict[str, Any]] = Parallel()(calls)
        client.close()
        return rows
    if n_jobs != 1:
        return list(Parallel(n_jobs=n_jobs, inner_max_num_threads=1, backend="loky")(calls))
    rows = []
    for k, job in enumerate(jobs):
        rows.append(run_job(job, folder))
        if say is not None:
            say(f"{k + 1}/{len(jobs)} {job.case}, seed {job.seed}: {job.method.name} at {job.rate:.0%}")
    return rows


def _dask_client(address: str) -> Any:
    from data.errors import MissingExtraError

    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("--cluster needs Dask; install it with: pip install 'wristwise[cluster]'") from error
    make: Any = Client  # its types differ from release to release
    return make(address, timeout="10s")

"""What a file costs here: bytes, microseconds in LiteRT, arena bytes in tflite-micro."""

import gzip
import re
import time
from dataclasses import dataclass

import numpy as np

from models.export.interpreters import LoadError, captured_stderr, load, micro_allocations

_ARENA = re.compile(r"Arena allocation total (\d+) bytes")


@dataclass(frozen=True)
class Sizes:
    """Bytes of a file as it is and after gzip; a mask of zeros moves only the second."""

    raw: int
    gzip: int


@dataclass(frozen=True)
class Latency:
    """Microseconds of one inference on one thread: the best and the median of all runs."""

    best_us: float
    median_us: float


def sizes(tflite: bytes) -> Sizes:
    """Return raw and gzip (level 9) bytes."""
    return Sizes(len(tflite), len(gzip.compress(tflite, compresslevel=9, mtime=0)))


def latency(tflite: bytes, runs: int = 200, runtime: str = "litert") -> Latency:
    """
    Time one inference on one thread, state and input left alone.

    The best of all runs is the figure to compare: noise only ever adds.

    Parameters
    ----------
    tflite : bytes
    runs : int
        Timed runs after a tenth as many for warming up.
    runtime : str
        One of `interpreters.RUNTIMES`. The time of ``micro`` on a host says nothing about a watch.
    """
    interpreter = load(tflite, runtime)
    rng = np.random.default_rng(0)
    raw = [
        rng.integers(-100, 100, spec.shape).astype(spec.dtype)
        if spec.dtype != "float32"
        else rng.normal(size=spec.shape).astype(np.float32)
        for spec in interpreter.inputs
    ]
    for _ in range(max(1, runs // 10)):
        interpreter.invoke(raw)
    times = np.empty(runs)
    for k in range(runs):
        start = time.perf_counter_ns()
        interpreter.invoke(raw)
        times[k] = time.perf_counter_ns() - start
    return Latency(float(times.min()) / 1e3, float(np.median(times)) / 1e3)


def latency_us(tflite: bytes, runs: int = 200, runtime: str = "litert") -> float:
    """Return the best time of one inference in microseconds; see `latency`."""
    return latency(tflite, runs, runtime).best_us


def arena_bytes(tflite: bytes) -> int:
    """
    Return the arena that tflite-micro uses, in bytes of this 64-bit host (a 32-bit core needs somewhat less).

    Raises
    ------
    LoadError
        If tflite-micro refuses the file.
    """
    with captured_stderr() as said:
        micro_allocations(tflite)
    found = _ARENA.search(said.getvalue())
    if found is None:
        raise LoadError(f"tflite-micro gave no arena size; it said: {said.getvalue()[:200]!r}")
    return int(found.group(1))

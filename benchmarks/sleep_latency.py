"""Latency of a step of the shipped sleep network against its dense parent's, in LiteRT on one thread."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from models.networks.sleep_staging import RECIPE
from models.tensorflow_setup import quiet
from models.training.sequences import stepwise
from pipelines.sleep_staging import TASK

_STEPS, _ROUNDS = 200, 40


def ratio() -> float:
    """Return the median, over rounds that take turns, of the shipped file's time for a step over the parent's."""
    quiet()
    from models.bundle import shipped
    from models.export.convert import to_tflite

    dense = to_tflite(stepwise(RECIPE.build(seed=0)), "float32", None)  # weights do not change the time
    files = (shipped(TASK).model, dense)
    taken = [[_seconds(interpreter) for interpreter in map(_open, files)] for _ in range(_ROUNDS)]
    small, large = np.array(taken).T
    return float(np.median(small) / np.median(large))


def _open(model: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], rng.normal(size=detail["shape"]).astype(np.float32))
    return interpreter


def _seconds(interpreter: Any) -> float:
    interpreter.invoke()
    began = time.perf_counter()
    for _ in range(_STEPS):
        interpreter.invoke()
    return time.perf_counter() - began

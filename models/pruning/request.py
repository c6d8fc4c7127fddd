"""What is asked of a prune, and how a case is pruned as asked: to a target, by a plan, or by a named method."""

import re
from dataclasses import dataclass, replace
from typing import Any

from models.export.convert import Mode, to_tflite
from models.pruning.cases import Case
from models.pruning.errors import PruningError
from models.pruning.footprint import BYTES_PER_WEIGHT, CLOCKS, Footprint, footprint
from models.pruning.importance import importance_named
from models.pruning.methods import AnyPlan, Way, prune_by
from models.pruning.plan import PruningPlan
from models.pruning.surgery import apply_plan
from models.pruning.target import Pruned, prune_to

_TAYLOR = Way("taylor")
_ROWS = 1024  # rows on which importance is measured


@dataclass(frozen=True)
class Request:
    """
    What is asked.

    Attributes
    ----------
    max_bytes, max_latency_us, max_arena_bytes : float, optional
        Of the file.
    max_loss : str, optional
        Allowed rise of the loss: absolute (``0.1``) or relative to the dense model's (``0.5%``).
    way : Way
        The method; with `by_way`, its target is what is asked, instead of a size or a loss.
    plan : PruningPlan, optional
        Apply this (edited) plan instead of searching for one.
    loss : str
        A Keras loss, for a saved model.
    epochs : int
        Of recovery; 0 for none.
    clock : {"here", "cortex-m4f", "cortex-m55"}
        What latency is: LiteRT's on this machine, or predicted for a watch's processor.
    """

    max_bytes: float | None = None
    max_latency_us: float | None = None
    max_arena_bytes: float | None = None
    max_loss: str | None = None
    way: Way = _TAYLOR
    by_way: bool = False
    plan: PruningPlan | None = None
    loss: str = "mse"
    mode: Mode = "float32"
    epochs: int = 5
    seed: int = 0
    round_to: int | None = None
    clock: str = "here"

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise PruningError(f"--clock must be one of {', '.join(CLOCKS)}, got {self.clock!r}")


def allowed_rise(text: str | None, dense_loss: float) -> float | None:
    """
    Return the allowed rise of the loss: ``"0.1"`` is absolute, ``"0.5%"`` relative to the dense model's loss.

    Examples
    --------
    >>> allowed_rise("2%", 5.0)
    0.1
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)\s*", text)
    if match is None:
        raise PruningError(f"--max-loss must be a number or a percentage such as 0.5%, got {text!r}")
    value = float(match[1])
    return value / 100 * dense_loss if match[2] else value


def prune_case(case: Case, model: Any, request: Request) -> Pruned:
    """
    Prune a case's model as asked, and measure it; the model is not changed.

    Raises
    ------
    PruningError
        If the request contradicts itself or cannot be met.
    """
    if request.plan is not None:
        cut = apply_plan(model, request.plan)
        if request.epochs:
            case.fit(cut, request.epochs, request.seed, model, ())
        return _measured(case, model, cut, request.plan, request)
    if request.by_way:
        steps = max(1, request.epochs) * -(-len(case.data) // case.data.batch)
        way = replace(request.way, steps=max(2, steps // 2))
        allowed = allowed_rise(request.max_loss, case.error(model))
        if allowed is not None:
            way = replace(way, tolerance=allowed / max(abs(case.error(model)), 1e-12))
        small, plan = prune_by(model, way, case.data.take(_ROWS), _trainer(case, request), case.error)
        return _measured(case, model, small, plan, request)
    return prune_to(
        model,
        evaluate=case.error,
        max_bytes=request.max_bytes,
        max_latency_us=request.max_latency_us,
        max_arena_bytes=request.max_arena_bytes,
        max_loss_rise=allowed_rise(request.max_loss, case.error(model)),
        fine_tune=(lambda one, teacher: case.fit(one, request.epochs, request.seed, teacher, ()))
        if request.epochs
        else None,
        importance=importance_named(request.way.method, case.data.take(_ROWS), request.seed),
        mode=request.mode,
        representative=case.representative(),
        round_to=request.round_to,
        clock=CLOCKS[request.clock],
    )


def _trainer(case: Case, request: Request) -> Any:
    def tune(one: Any, callbacks: list[Any], teacher: Any) -> None:
        if request.epochs or callbacks:
            case.fit(one, max(1, request.epochs), request.seed, teacher, callbacks)

    return tune


def _measured(case: Case, model: Any, small: Any, plan: AnyPlan, request: Request) -> Pruned:
    """Convert and measure both; weights are predicted exactly, the rest of the file as in the dense one."""
    rows, clock = case.representative(), CLOCKS[request.clock]
    tflite = to_tflite(small, request.mode, rows)
    dense = footprint(to_tflite(model, request.mode, rows), clock)
    saved = BYTES_PER_WEIGHT[request.mode] * (model.count_params() - small.count_params())
    return Pruned(
        model=small,
        tflite=tflite,
        plan=plan,
        dense=dense,
        measured=footprint(tflite, clock),
        predicted=Footprint(dense.bytes - saved),
        loss_dense=case.error(model),
        loss=case.error(small),
        curves=None,
    )

"""Importances by the names that the command line and the tables use."""

from collections.abc import Callable
from typing import Any

from models.pruning.calibration import Calibration
from models.pruning.errors import CalibrationError, PruningError
from models.pruning.importance.gradient import Fisher, GradientNorm, Taylor
from models.pruning.importance.magnitude import BatchNormGamma, Norm, Random
from models.pruning.importance.measured import Ablation, APoZ
from models.pruning.importance.path import PathFlow

_BLIND: dict[str, Callable[[int], Any]] = {
    "l1": lambda _: Norm(1),
    "l2": lambda _: Norm(2),
    "bn-gamma": lambda _: BatchNormGamma(),
    "path": lambda _: PathFlow(),
    "random": Random,
}
_SEEING: dict[str, Callable[[Calibration], Any]] = {
    "taylor": Taylor,
    "fisher": Fisher,
    "gradient-l1": lambda data: GradientNorm(data, 1),
    "gradient-l2": lambda data: GradientNorm(data, 2),
    "apoz": APoZ,
    "ablation": Ablation,
}
IMPORTANCES: tuple[str, ...] = (*_BLIND, *_SEEING)


def importance_named(name: str, data: Calibration | None = None, seed: int = 0) -> Any:
    """
    Return the importance of that name.

    Raises
    ------
    PruningError
        If there is none of that name.
    CalibrationError
        If it needs data and gets none.
    """
    if name in _BLIND:
        return _BLIND[name](seed)
    if name not in _SEEING:
        raise PruningError(f"no importance is named {name!r}; there are {', '.join(IMPORTANCES)}")
    if data is None:
        raise CalibrationError(
            f"importance {name!r} needs calibration data; give some, or use one of {', '.join(_BLIND)}"
        )
    return _SEEING[name](data)

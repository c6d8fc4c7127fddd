"""Unstructured pruning: single weights set to zero. It shrinks what gzip makes of a file, and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.pruning.calibration import Calibration
from models.pruning.errors import CalibrationError, PlanError, PruningError
from models.pruning.graph import trace
from models.pruning.importance.gradient import weight_gradients
from models.pruning.surgery import copy_exposing

Key = tuple[str, int]
Method = Literal["magnitude", "taylor", "fisher", "gradient-l1", "gradient-l2", "random"]
METHODS: tuple[Method, ...] = ("magnitude", "taylor", "fisher", "gradient-l1", "gradient-l2", "random")


@dataclass(frozen=True)
class Masks:
    """
    Which weights stay.

    Attributes
    ----------
    keep : mapping of (layer name, weight index) to ndarray of bool
        Shape of the weight; False is zero.
    threshold : float
        The score below which weights went (of the last layer, if local).
    """

    keep: Mapping[Key, NDArray[np.bool_]]
    threshold: float = float("nan")

    @property
    def sparsity(self) -> float:
        """Share of the masked weights that are zero."""
        total = sum(m.size for m in self.keep.values())
        return 1 - sum(int(m.sum()) for m in self.keep.values()) / total if total else 0.0

    def save(self, path: Path) -> None:
        """Write the masks as an ``.npz``."""
        np.savez_compressed(path, **{f"{layer}|{i}": m for (layer, i), m in self.keep.items()})  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Masks":
        """Read masks that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            split = {name: name.rsplit("|", 1) for name in stored.files}
            return cls({(layer, int(i)): np.asarray(stored[name], bool) for name, (layer, i) in split.items()})


def prunable_weights(model: Any, exclude: Iterable[str] = ()) -> dict[Key, NDArray[np.float32]]:
    """Return the kernels of a model (weights of two axes or more that are no biases) by layer and index."""
    skipped = set(exclude)
    return {
        (layer.name, i): value
        for layer in model.layers
        if layer.name not in skipped
        for i, (variable, value) in enumerate(zip(layer.weights, layer.get_weights(), strict=True))
        if value.ndim >= 2 and "bias" not in variable.name.rsplit("/", 1)[-1]
    }


def weight_scores(
    model: Any,
    method: Method = "magnitude",
    data: Calibration | None = None,
    exclude: Iterable[str] = (),
    seed: int = 0,
) -> dict[Key, NDArray[np.float64]]:
    """
    Return one non-negative number per weight; the lowest go first.

    Parameters
    ----------
    model : tf_keras.Model
    method : {"magnitude", "taylor", "fisher", "gradient-l1", "gradient-l2", "random"}
        |w|; mean |w g|; mean (w g)^2; mean |g|; root mean g^2 over batches; a draw.
    data : Calibration
        For all but magnitude and random.
    """
    values = prunable_weights(model, exclude)
    if method not in METHODS:
        raise PruningError(f"no weight-pruning method is named {method!r}; there are {', '.join(METHODS)}")
    if method == "magnitude":
        return {k: np.abs(v).astype(np.float64) for k, v in values.items()}
    if method == "random":
        rng = np.random.default_rng(seed)
        return {k: rng.random(v.shape) for k, v in values.items()}
    if data is None:
        raise CalibrationError(f"method {method!r} needs calibration data; give some, or use 'magnitude'")
    total = {k: np.zeros(v.shape) for k, v in values.items()}
    n = 0
    for gradients in weight_gradients(trace(model), data):
        n += 1
        for key, value in values.items():
            total[key] += _term(method, value, gradients.get(key, np.zeros(value.shape)))
    return {k: np.sqrt(t / n) if method == "gradient-l2" else t / n for k, t in total.items()}


def _term(method: Method, w: NDArray[np.float32], g: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one batch's contribution to a weight's score."""
    if method == "taylor":
        return np.asarray(np.abs(w * g), np.float64)
    if method == "fisher":
        return np.asarray((w * g) ** 2, np.float64)
    return np.abs(g) if method == "gradient-l1" else g**2


def plan_masks(
    model: Any,
    *,
    sparsity: float | None = None,
    threshold: float | None = None,
    method: Method = "magnitude",
    data: Calibration | None = None,
    scope: Literal["local", "global"] = "global",
    exclude: Iterable[str] = (),
    seed: int = 0,
) -> Masks:
    """
    Choose which weights become zero. Pure.

    Parameters
    ----------
    model : tf_keras.Model
    sparsity : float in [0, 1), optional
        Share of the kernel weights that go; the threshold follows from it.
    threshold : float, optional
        Weights whose score (|w|) is below it go.
    scope : {"local", "global"}
        Whether the share holds in every weight tensor, or over all of them together.

    Raises
    ------
    PruningError
        Unless exactly one of `sparsity` and `threshold` is given, within its range.
    """
    if (sparsity is None) == (threshold is None):
        raise PruningError("give either sparsity= or threshold=, to say how many weights go")
    scores = weight_scores(model, method, data, exclude, seed)
    if threshold is not None:
        return Masks({k: s >= threshold for k, s in scores.items()}, threshold)
    if sparsity is None or not 0 <= sparsity < 1:
        raise PruningError(f"sparsity must be in [0, 1), but is {sparsity}")
    if scope == "local":
        kept = {k: _largest(s, sparsity) for k, s in scores.items()}
        return Masks(kept, _border(list(scores.values())[-1], list(kept.values())[-1]))
    flat = np.concatenate([s.ravel() for s in scores.values()])
    keep = _largest(flat, sparsity)
    ends = np.cumsum([s.size for s in scores.values()])[:-1]
    parts = np.split(keep, ends)
    return Masks(
        {k: part.reshape(s.shape) for (k, s), part in zip(scores.items(), parts, strict=True)}, _border(flat, keep)
    )


def _largest(scores: NDArray[np.float64], sparsity: float) -> NDArray[np.bool_]:
    """Mark all but the lowest share; ties are broken by place, so that the share is exact."""
    keep = np.ones(scores.size, bool)
    keep[np.argsort(scores, axis=None, kind="stable")[: round(sparsity * scores.size)]] = False
    return keep.reshape(scores.shape)


def _border(scores: NDArray[np.float64], keep: NDArray[np.bool_]) -> float:
    return float(scores[keep].min()) if keep.any() else float("inf")


def zero_weights(model: Any, masks: Masks) -> None:
    """Set masked weights of a model to zero in place; for training loops, on a model of your own."""
    for name in dict.fromkeys(layer for layer, _ in masks.keep):
        layer = model.get_layer(name)
        values = layer.get_weights()
        for i in range(len(values)):
            if (name, i) in masks.keep:
                values[i] = values[i] * masks.keep[name, i]
        layer.set_weights(values)


def apply_masks(model: Any, masks: Masks) -> Any:
    """
    Return a new model with the masked weights at zero; the given one is not changed.

    Raises
    ------
    PlanError
        If the masks are not of this model's shapes.
    """
    here = {k: v.shape for k, v in prunable_weights(model).items()}
    wrong = [k for k, m in masks.keep.items() if here.get(k) != m.shape]
    if wrong:
        raise PlanError(f"masks of layer {wrong[0][0]!r} do not fit model {model.name!r}; plan again for this model")
    copy = copy_exposing(trace(model))
    zero_weights(copy, masks)
    return copy


def mask_overlap(many: Sequence[Masks]) -> tuple[float, float]:
    """
    Return how much masks agree: the stability score over seeds.

    Returns
    -------
    overlap, by_chance : float
        Mean Jaccard index of the kept weights over all pairs, and what random masks of the same rates would give.
    """
    if len(many) < 2:
        raise PruningError("an overlap needs masks of at least two runs")
    flat = [np.concatenate([m.ravel() for m in one.keep.values()]) for one in many]
    found, chance = [], []
    for a, b in combinations(flat, 2):
        found.append(float((a & b).sum() / max((a | b).sum(), 1)))
        both = float(a.mean() * b.mean())
        chance.append(both / max(float(a.mean() + b.mean()) - both, 1e-12))
    return float(np.mean(found)), float(np.mean(chance))

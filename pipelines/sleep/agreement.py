"""How well two hypnograms agree: Cohen's kappa, accuracy, macro-F1, sensitivity, and total sleep time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.sleep.epochs import EPOCH_S
from pipelines.sleep.stages import Stage, collapse

_RESAMPLES = 2000


def confusion(reference: NDArray[np.integer], found: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """Return counts, shape (n_classes, n_classes): rows the reference, columns what was found."""
    table = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(table, (reference, found), 1)
    return table


def kappa(table: NDArray[np.int64]) -> float | None:
    """Return Cohen's kappa (doi:10.1177/001316446002000104); None where chance alone gives full agreement."""
    n = table.sum()
    if n == 0:
        return None
    chance = float((table.sum(0) * table.sum(1)).sum()) / float(n) ** 2
    return None if chance >= 1.0 else float((np.trace(table) / n - chance) / (1.0 - chance))


def macro_f1(table: NDArray[np.int64]) -> float | None:
    """Return the mean F1 over classes that occur in either hypnogram."""
    both = table.sum(0) + table.sum(1)
    occurs = both > 0
    return float((2 * np.diag(table)[occurs] / both[occurs]).mean()) if occurs.any() else None


def night_agreement(reference: NDArray[np.integer], found: NDArray[np.integer]) -> dict[str, float | None]:
    """
    Return one night's metrics over the epochs that both define.

    ``kappa_n``, ``accuracy_n`` for n = 2, 3, 4 classes, ``f1_macro_4``; ``wake_specificity`` (share of wake epochs
    found) and ``sleep_sensitivity``; ``tst_bias_min`` (found less reference, over the same epochs) and
    ``tst_abs_min``; ``coverage``: share of the reference's epochs that were answered.
    """
    known = (reference >= 0) & (found >= 0)
    ref, est = reference[known], found[known]
    scores: dict[str, float | None] = {"coverage": _ratio(int(known.sum()), int((reference >= 0).sum()))}
    for n in (2, 3, 4):
        table = confusion(collapse(ref, n), collapse(est, n), n)
        scores[f"kappa_{n}"] = kappa(table)
        scores[f"accuracy_{n}"] = _ratio(int(np.trace(table)), int(table.sum()))
        if n == 4:
            scores["f1_macro_4"] = macro_f1(table)
    wake = ref == Stage.WAKE
    scores["wake_specificity"] = _ratio(int((wake & (est == Stage.WAKE)).sum()), int(wake.sum()))
    scores["sleep_sensitivity"] = _ratio(int((~wake & (est != Stage.WAKE)).sum()), int((~wake).sum()))
    bias = float((est != Stage.WAKE).sum() - (~wake).sum()) * EPOCH_S / 60.0 if ref.size else None
    scores["tst_bias_min"] = bias
    scores["tst_abs_min"] = None if bias is None else abs(bias)
    return scores


def mean_over_nights(scores: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """
    Return the mean of each metric over the nights where it is defined, with a 95 % interval for the main ones.

    ``*_low`` and ``*_high`` are percentiles of 2000 bootstrap resamples of nights (seeded).
    """
    names = [n for n in scores[0] if n not in {"id", "subject"}] if scores else []
    means: dict[str, float | None] = {}
    rng = np.random.default_rng(0)
    for name in names:
        values = np.array([s[name] for s in scores if s.get(name) is not None], np.float64)
        key = "tst_mae_min" if name == "tst_abs_min" else name
        means[key] = float(values.mean()) if values.size else None
        if name in {"kappa_2", "kappa_3", "kappa_4", "tst_bias_min"} and values.size > 1:
            resampled = rng.choice(values, (_RESAMPLES, values.size)).mean(1)
            low, high = np.percentile(resampled, [2.5, 97.5])
            means[f"{key}_low"], means[f"{key}_high"] = float(low), float(high)
    return means


def specificity_at(
    wake_probability: Sequence[NDArray[np.floating]], reference: Sequence[NDArray[np.integer]], sensitivity: float
) -> dict[str, float]:
    """
    Return the mean wake specificity of nights at the one threshold whose mean sleep sensitivity is `sensitivity`.

    The threshold looks at the nights that it is measured on: a point of the curve, to compare methods by, not an
    operating point. Nights without wake or without sleep have no say.
    """
    nights = [
        (p[r >= 0], r[r >= 0] == Stage.WAKE) for p, r in zip(wake_probability, reference, strict=True)
        if (r == Stage.WAKE).any() and (r > 0).any()
    ]  # fmt: skip
    low, high = 0.0, 1.0 + 1e-6
    for _ in range(40):
        middle = (low + high) / 2
        reached = float(np.mean([(p[~w] < middle).mean() for p, w in nights]))
        low, high = (low, middle) if reached >= sensitivity else (middle, high)
    return {
        "threshold": high,
        "sleep_sensitivity": float(np.mean([(p[~w] < high).mean() for p, w in nights])),
        "wake_specificity": float(np.mean([(p[w] >= high).mean() for p, w in nights])),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None

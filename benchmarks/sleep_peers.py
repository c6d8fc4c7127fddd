"""Sleep's peers on the same nights: Cole-Kripke, Sadeh, Oakley, and gradient boosting as it comes out of the box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.training.folds import subject_folds
from pipelines.sleep.agreement import mean_over_nights, night_agreement
from pipelines.sleep.rules import cole_kripke, oakley, sadeh
from pipelines.sleep.stages import Stage
from pipelines.sleep_staging import INPUT, NIGHT, TASK, reference_stages
from pipelines.task import Windows

Rule = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
RULES: dict[str, Rule] = {"Cole-Kripke": cole_kripke, "Sadeh": sadeh, "Oakley": oakley}
_FOLDS = 7
_FIGURES = ("wake_specificity", "sleep_sensitivity", "tst_bias_min", "tst_mae_min")
_TWO, _ALL = ("kappa_2",), ("kappa_2", "kappa_3", "kappa_4", "accuracy_3", "accuracy_4", "f1_macro_4")


def peers(recordings: Sequence[Recording]) -> dict[str, dict[str, float | None]]:
    """Return each peer's means over the nights: the rules for wake and sleep, boosting for all four stages."""
    nights = [(TASK.prepare(r), r) for r in recordings]
    truth = [reference_stages(r, w) for w, r in nights]
    found: dict[str, dict[str, float | None]] = {}
    for name, rule in RULES.items():
        said = [np.where(rule(w.extras["counts"]), Stage.LIGHT, Stage.WAKE).astype(np.int8) for w, _ in nights]
        found[name] = _means(truth, said, _TWO)
    # The same features as the network's: what the LSTM adds is then all that differs.
    for name, given in (("gradient boosting", NIGHT), ("gradient boosting, as the night goes", INPUT)):
        rows = [TASK.settle(w).inputs[given].reshape(len(w), -1) for w, _ in nights]
        found[name] = _means(truth, _boosted([w for w, _ in nights], rows, truth, recordings), _ALL)
    return found


def _means(
    truth: Sequence[NDArray[np.int8]], said: Sequence[NDArray[np.int8]], figures: tuple[str, ...]
) -> dict[str, float | None]:
    means = mean_over_nights([night_agreement(t, s) for t, s in zip(truth, said, strict=True)])
    return {k: means[k] for k in (*figures, *_FIGURES)}


def _boosted(
    windows: Sequence[Windows],
    rows: Sequence[NDArray[np.float32]],
    truth: Sequence[NDArray[np.int8]],
    recordings: Sequence[Recording],
) -> list[NDArray[np.int8]]:
    """Stage every night by scikit-learn's default boosting that was trained on other people's, seven folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    said: list[Any] = [None] * len(rows)
    for train, test in subject_folds([r.subject for r in recordings], _FOLDS):
        own = [int(k) for k in np.flatnonzero(train)]
        y = np.concatenate([truth[k] for k in own])
        x = np.concatenate([rows[k] for k in own])[y >= 0]
        model = HistGradientBoostingClassifier(random_state=0).fit(x, y[y >= 0])
        for k in map(int, np.flatnonzero(test)):
            stages = model.predict(rows[k]).astype(np.int8)
            said[k] = np.where(windows[k].quality > 0, stages, Stage.UNDEFINED).astype(np.int8)
    return said

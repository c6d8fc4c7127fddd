"""Falls by a logistic regression on statistics: same folds, trigger, windows and scoring as the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import falls_measures as measure
from benchmarks.falls import N_FOLDS
from benchmarks.folds import goal, write
from data.location import data_root
from data.recording import Recording
from models.networks.registry import recipe
from models.run.loading import load
from models.training.folds import subject_folds
from models.training.recipe import strata_of
from pipelines.fall_detection import INPUT, OUTPUT, TASK
from pipelines.falls import scoring
from pipelines.task import Windows

RESULT = Path(__file__).parent / "results" / "falls_regression.json"
COMMAND = "python -m benchmarks.falls_regression"
# Long before, before, approach, flight, impact, bounce, rest.
_PARTS = ((0, 20), (20, 40), (40, 53), (53, 59), (59, 63), (63, 72), (72, 102))
_FALL_WEIGHT = 8.0


def statistics(windows: Windows) -> NDArray[np.float64]:
    """Return mean, deviation, largest and least of each signal of the network's view in seven parts of its span."""
    x = windows.inputs[INPUT][:, 0].astype(np.float64)
    parts = [x[:, a:b] for a, b in _PARTS]
    return np.concatenate([f(p, axis=1) for p in parts for f in (np.mean, np.std, np.max, np.min)], axis=1)


def scores(recordings: list[Recording], prepared: list[Windows], train: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return the score of each recording outside `train` by a regression fitted inside."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y, weight = [], [], []
    for recording, windows, inside in zip(recordings, prepared, train, strict=True):
        target = TASK.targets(recording, windows)[OUTPUT][:, 0]
        weak = recording.meta.get("label_quality") == "weak" and scoring.is_fall(recording)
        rows = np.isfinite(target) & bool(inside)
        if rows.any():
            x.append(statistics(windows)[rows])
            y.append(target[rows])
            weight.append(np.where(target[rows] == 1, _FALL_WEIGHT * (0.3 if weak else 1.0), 1.0))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=500))
    model.fit(np.concatenate(x), np.concatenate(y), logisticregression__sample_weight=np.concatenate(weight))
    found = []
    for recording, windows, inside in zip(recordings, prepared, train, strict=True):
        if inside:
            continue
        probability = np.zeros((len(windows), 1), np.float32)
        wanted = windows.extras["wanted"]
        if wanted.any():
            probability[wanted, 0] = model.predict_proba(statistics(windows)[wanted])[:, 1]
        estimates = TASK.decoder(config={"threshold": 0.5}).update({OUTPUT: probability}, windows)
        found.append({"dataset": recording.dataset, **scoring.score(estimates, recording)})
    return found


def main() -> None:
    """Measure and write the result."""
    chosen = recipe(TASK.name)
    recordings = load(chosen, data_root())
    prepared = [TASK.prepare(r) for r in recordings]
    # Rows without an impact weigh nothing: drop them, or a day of zeros fills the memory.
    prepared = [w.take(w.extras["wanted"]) for w in prepared]
    rows = [
        row
        for train, _ in subject_folds([r.subject for r in recordings], N_FOLDS, 0, strata_of(chosen, recordings))
        for row in scores(recordings, prepared, train)
    ]
    weda = [r for r in rows if r["dataset"] == "weda-fall"]
    at_97 = measure.at_sensitivity(weda, 0.97)
    write(
        RESULT,
        {
            "how": f"logistic regression on {4 * len(_PARTS) * 7} statistics; the network's {N_FOLDS} folds by subject",
            "at_sensitivity_0.97": at_97, "auc_weda": measure.auc(weda),
            "goals": [
                goal("a regression, WEDA at sensitivity 0.97: specificity young / elders", "below the network's",
                     f"{at_97['young']:.3f} / {at_97['old']:.3f}", None, COMMAND),
            ],
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""
Set the scale of the rhythm network's summary: mean and spread of each figure over 30 s strips of mitdb and wrist.

    WRISTWISE_DATA=... python -m benchmarks.fit_rhythm_scale

Other people's strips than those the network is trained and scored on: no fold's scaling has seen its test strips. Every
second strip has noise laid over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.number_module import array_lines, header
from data.adapters.registry import adapter
from data.location import data_root
from models.training.beat_scorers import with_noise
from pipelines.rhythm_inputs import STRIP_S, strip_inputs

SETS = ("mitdb", "wrist")
EVERY_S = 60.0
_LEAST = 0.01  # a figure that hardly moves is not blown up


def main() -> None:
    """Measure and write pipelines/rhythm_scale.py."""
    rows, rng = [], np.random.default_rng(0)
    for recording in (r for name in SETS for r in adapter(name).read(data_root())):
        ecg = recording.require("ecg")
        for number, start_s in enumerate(np.arange(0.0, ecg.end_s - STRIP_S, EVERY_S)):
            samples = ecg.slice(start_s, start_s + STRIP_S).samples
            found = strip_inputs(with_noise(samples, ecg.fs_hz, rng) if number % 2 else samples, ecg.fs_hz)
            if found.n_beats:
                rows.append(found.figures)
    figures = np.stack(rows)
    figures = np.clip(figures, *np.percentile(figures, [1, 99], axis=0))
    lines = [*header("Scale of the rhythm network's summary", "python -m benchmarks.fit_rhythm_scale"), ""]
    lines += array_lines("MEAN", figures.mean(axis=0))
    lines += [*array_lines("SPREAD", np.maximum(figures.std(axis=0), _LEAST)), ""]
    path = Path(__file__).parent.parent / "pipelines" / "rhythm_scale.py"
    path.write_text("\n".join(lines), encoding="utf-8")
    print(f"{len(figures)} strips")


if __name__ == "__main__":
    main()

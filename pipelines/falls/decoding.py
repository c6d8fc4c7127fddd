"""From probabilities of impacts to events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.task import Estimate, Outputs, Windows

KIND, DETECTED = "fall", "detected"
_NARROW_G = 2.0
MERGE_S = 10.0  # a body bounces, an arm follows: one fall is one event


class FallDecoder:
    """
    Says ``detected`` of an impact whose probability reaches the threshold; causal.

    Every impact that the network judged is an estimate; its `value` is None where it was no fall (so that nothing is
    stored of it), and `extras` hold ``probability``. What follows a detection within 10 s belongs to it.

    Parameters
    ----------
    config : mapping, optional
        ``threshold`` (default 0.5) and ``most_movement_g``: the stillness check. A wrist that goes on moving harder
        than any fallen one did in training is not lying there. With ``range_g`` of 2 or less (a watch whose
        accelerometer ends at ±2 g), ``threshold_2g`` stands in: clipped falls look weaker.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        config = config or {}
        narrow = float(config.get("range_g", np.inf)) <= _NARROW_G and "threshold_2g" in config
        self._threshold = float(config["threshold_2g"] if narrow else config.get("threshold", 0.5))
        self._most_movement_g = float(config.get("most_movement_g", np.inf))
        self._last_s = -np.inf

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        """Return one estimate for each impact in these windows."""
        extras = windows.extras
        found = []
        for row in np.flatnonzero(extras["wanted"]):
            probability = float(outputs["fall"][row, 0])
            movement = float(extras["movement_g"][row])
            impact_s = float(extras["impact_s"][row])
            fall = probability >= self._threshold and movement <= self._most_movement_g
            merged = impact_s - self._last_s < MERGE_S
            if fall:
                self._last_s = impact_s
            found.append(
                Estimate(
                    KIND, impact_s, float(windows.end_s[row]), DETECTED if fall and not merged else None,
                    1 - probability if fall else probability, float(windows.quality[row]),
                    {
                        "confidence": round(probability, 4), "impact_s": round(impact_s, 3),
                        "peak_g": round(float(extras["peak_g"][row]), 2), "movement_g": round(movement, 3),
                    },
                )
            )  # fmt: skip
        return found

    def finish(self) -> list[Estimate]:
        """Return nothing: a causal decoder holds nothing back."""
        return []

    def state(self) -> dict[str, Any]:
        """Return the time of the last fall; null before any."""
        return {"last_s": None if np.isinf(self._last_s) else self._last_s}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._last_s = -np.inf if state["last_s"] is None else float(state["last_s"])

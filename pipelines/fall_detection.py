"""The task ``fall-detection``: a trigger on every window, a small network on the seconds around each impact, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.falls import scoring
from pipelines.falls.decoding import FallDecoder
from pipelines.falls.stillness import movement_after
from pipelines.falls.trigger import AFTER, BEFORE, SLOT, find_impacts, spans_of
from pipelines.falls.view import LENGTH, SIGNALS, around, view
from pipelines.motion_grid import AXES, GRID_HZ, LOOKBACK_S, delay_s, motion_grid
from pipelines.task import ChannelSpec, Estimate, Metrics, Windows, WindowSpec

# Public falls are recorded with ±2, ±4 or ±8 g. 4 g keeps what tells a fall from a jump and makes the last two alike;
# training shows the network each movement clipped at 2 g too.
LIMIT_G = 4.0
INPUT, OUTPUT = "impact", "fall"
WINDOW = WindowSpec(length_s=(SLOT + AFTER) / GRID_HZ, step_s=SLOT / GRID_HZ, context_s=BEFORE / GRID_HZ + LOOKBACK_S)
_ENOUGH = 0.5  # of the samples around an impact; below, nothing is said


class FallDetection:
    """
    Falls from the wrist's accelerometer.

    A window begins with a slot of 0.5 s and lasts until 2.1 s after it; its context is the 3 s before. It answers for
    an impact in its slot, so a fall is told 2.1 to 2.6 s after the impact.
    """

    name: str = "fall-detection"
    title: str = "Falls from the wrist's accelerometer"
    version: str = "2"  # of the view: 2 looks from 3 s before to 2.1 s after an impact, 1 from 2 s to 1.75 s
    kind: str = "fall"
    channels: tuple[ChannelSpec, ...] = tuple(ChannelSpec(axis, required=True) for axis in AXES)
    window: WindowSpec = WINDOW
    metric: str = "auc"
    higher_is_better: bool = True
    network: bool = True
    datasets: tuple[str, ...] = ("weda-fall", "smartfallmm", "wisdm", "stress-predict", "umafall")

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """
        Look for an impact in each window, and prepare the network's view of those that have one.

        `extras`: ``wanted`` (the trigger fired: only then the network need run), ``impact_s``, ``peak_g``,
        ``movement_g`` (0.75 s after the impact and later), ``turn`` (cosine of the posture before with that after).
        Rows that are not wanted are zero. `quality` is the share of samples that were there.
        """
        axes = [recording.require(name) for name in AXES]
        end_s = min(axis.end_s for axis in axes)
        first, last = windows if windows is not None else (0, self.window.count(end_s))
        return self.windows_of(
            motion_grid(recording, first * SLOT - BEFORE, max(first, last) * SLOT + AFTER, limit_g=LIMIT_G),
            first,
            max(delay_s(axis) for axis in axes),
        )

    def windows_of(
        self, motion_g: NDArray[np.float32], first: int, late_s: float, *, trigger_g: float | None = None
    ) -> Windows:
        """
        Return the windows of samples on the grid that begin with the context of window `first`.

        Parameters
        ----------
        motion_g : ndarray of float32, shape (n * SLOT + BEFORE + AFTER, 3)
        first : int
        late_s : float
            How late movements stand on the grid.
        trigger_g : float, optional
            In place of the trigger's own threshold (training looks at weaker impacts too).
        """
        spans = spans_of(motion_g)
        n = len(spans)
        impacts = find_impacts(spans) if trigger_g is None else find_impacts(spans, trigger_g)
        rows = np.flatnonzero(impacts.fired)
        near = around(spans[rows], impacts.at[rows])
        seen = ~np.isnan(near).any(axis=2)
        inputs = np.zeros((n, 1, LENGTH, len(SIGNALS)), np.float32)
        inputs[rows] = view(near)
        movement = np.zeros(n, np.float32)
        movement[rows] = movement_after(near)
        quality = (~np.isnan(spans).any(axis=2)).mean(axis=1).astype(np.float32) if n else np.empty(0, np.float32)
        quality[rows] = seen.mean(axis=1)
        start_s = np.asarray((first + np.arange(n)) * self.window.step_s, np.float64)
        return Windows(
            {INPUT: inputs},
            start_s,
            np.asarray(start_s + self.window.length_s, np.float64),
            quality,
            {
                "wanted": impacts.fired & (quality >= _ENOUGH),
                "impact_s": start_s + (impacts.at - BEFORE) / GRID_HZ - late_s,
                "peak_g": impacts.peak_g,
                "movement_g": movement,
                "turn": inputs[:, 0, -LENGTH // 4 :, SIGNALS.index("tilt_before")].mean(axis=1),
            },
        )

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        """Return 1 where the window's impact is a fall's, 0 where it is not, NaN where nobody knows."""
        return {OUTPUT: scoring.reference(recording, windows)[:, None]}

    def decoder(
        self,
        *,
        offline: bool = False,  # noqa: ARG002
        config: Mapping[str, Any] | None = None,
    ) -> FallDecoder:
        """Return a decoder; there is nothing that looking ahead would add, so `offline` is the same."""
        return FallDecoder(config)

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return what thresholds say: a strong impact, another posture after it, and rest (Kangas et al. 2008)."""
        peak, turn, movement = (windows.extras[k] for k in ("peak_g", "turn", "movement_g"))
        # The weakest of the three signs decides, each on a scale on which 0.5 is its threshold: 3 g, 60°, 0.25 g.
        signs = np.stack([peak / 6.0, (2.0 - 2 * turn) / 2.0, 0.25 / (0.25 + movement)])
        score = np.clip(signs.min(axis=0), 0, 1).astype(np.float32)
        return FallDecoder({"threshold": 0.5}).update({OUTPUT: score[:, None]}, windows)

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """Return this recording's outcome: falls found, false alarms, latency, each impact's probability."""
        end_s = min(recording.require(name).end_s for name in AXES)
        return scoring.score(estimates, recording) | {"windows": self.window.count(end_s)}

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return sensitivity, specificity (by age), false alarms an hour, latency, AUC and trigger over recordings."""
        return scoring.summarise(scores)


TASK = FallDetection()

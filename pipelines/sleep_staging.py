"""The task ``sleep-staging``: wake, light, deep and REM for each 30 s, from a wrist's motion and heart rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ChannelError
from data.recording import Recording
from pipelines.sleep.agreement import mean_over_nights, night_agreement
from pipelines.sleep.epochs import EPOCH_S, HR_PER_EPOCH, Epochs, epochs_of
from pipelines.sleep.features import CONTEXT_EPOCHS, NAMES, base_features, matrix, relative_features, trailing
from pipelines.sleep.rules import cole_kripke
from pipelines.sleep.stages import FROM_LABEL, Stage
from pipelines.sleep.stages import NAMES as STAGE_NAMES
from pipelines.sleep.surroundings import surrounding_features
from pipelines.task import ChannelSpec, Estimate, Memoryless, Metrics, Outputs, Windows, WindowSpec

# What a watch knows as it goes, and the stages from it; what is known of a finished night, and its stages as read from
# its start and from its end (`models.runtime.REVERSED`).
INPUT, OUTPUT = "features", "stages"
NIGHT, FORWARD, BACKWARD = "night", "night_stages", "night_stages_reversed"
# Context, and 5 s before it that warm the count's filter up.
WINDOW = WindowSpec(EPOCH_S, EPOCH_S, CONTEXT_EPOCHS * EPOCH_S + 10.0)
# An epoch is wake above this probability, by choice: below a half, since waking is what such watches overlook.
WAKE_ABOVE, WAKE_ABOVE_LIVE = 0.43, 0.38


class SleepStaging:
    """An LSTM over epochs as they come; finished nights by two more, one of which reads from the end."""

    name: str = "sleep-staging"
    title: str = "Sleep stages from the wrist"
    version: str = "2"
    kind: str = "sleep_stage"
    channels: tuple[ChannelSpec, ...] = (
        ChannelSpec("counts"), ChannelSpec("acc_x"), ChannelSpec("acc_y"), ChannelSpec("acc_z"), ChannelSpec("hr"),
    )  # fmt: skip
    window: WindowSpec = WINDOW
    metric: str = "kappa_4"
    higher_is_better: bool = True
    network: bool = True
    datasets: tuple[str, ...] = ("sleep-accel",)
    retrospective: bool = True  # a night is judged once it is over; `--causal` judges as it goes

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """
        Return the features of each epoch, shape (n, 1, len(NAMES)); ``night`` is the same until `settle`.

        `extras` hold the epoch's ``counts`` (2) and ``hr`` (6), from which `settle` makes the night's own scale.
        `quality` is 1 where motion and heart rate are known, 0.5 where one is, 0 where neither.

        Raises
        ------
        ChannelError
            If there is neither motion (``counts`` or ``acc_z``) nor ``hr``.
        """
        usable = [recording.channels[c.name] for c in self.channels if c.name in recording.channels]
        if not {"counts", "acc_z", "hr"} & set(recording.channels):
            raise ChannelError(
                f"recording {recording.id!r} has neither motion (counts, acc_z) nor heart rate (hr) to stage from; "
                f"it has: {', '.join(sorted(recording.channels)) or 'none'}"
            )
        first, last = windows if windows is not None else (0, self.window.count(min(c.end_s for c in usable)))
        n = max(0, last - first)
        before = max(0, first - CONTEXT_EPOCHS)
        epochs = epochs_of(recording, before, before + n + first - before)
        rows = features_of(epochs, whole=False)[first - before :]
        start = np.asarray((first + np.arange(n)) * EPOCH_S, np.float64)
        counts = epochs.counts[first - before :]
        hr = epochs.hr_bpm.reshape(-1, HR_PER_EPOCH)[first - before :]
        known = np.isfinite(counts).any(1).astype(np.float32) + np.isfinite(hr).any(1)
        return Windows(
            {INPUT: rows[:, None, :], NIGHT: rows[:, None, :]}, start, start + EPOCH_S,
            np.asarray(known / 2, np.float32), {"counts": counts, "hr": hr},
        )  # fmt: skip

    def settle(self, windows: Windows) -> Windows:
        """Return the windows of a finished night, ``night`` in relation to the whole of it."""
        if not len(windows):
            return windows
        epochs = Epochs(
            round(float(windows.start_s[0]) / EPOCH_S), windows.extras["counts"], windows.extras["hr"].reshape(-1)
        )
        inputs = {**windows.inputs, NIGHT: features_of(epochs, whole=True)[:, None, :]}
        return Windows(inputs, windows.start_s, windows.end_s, windows.quality, windows.extras)

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        """Return the reference stage of each epoch, shape (n, 1), NaN where unknown."""
        stages = reference_stages(recording, windows).astype(np.float32)
        stages[stages < 0] = np.nan
        return {OUTPUT: stages[:, None]}

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> StageDecoder:
        """Return a new decoder: of the night as it goes, or of the finished one where `offline`."""
        name, default = ("wake_above", WAKE_ABOVE) if offline else ("wake_above_live", WAKE_ABOVE_LIVE)
        return StageDecoder(float((config or {}).get(name, default)), whole=offline)

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return Cole and Kripke's rule on the counts: wake or (light) sleep."""
        counts = np.nan_to_num(windows.extras["counts"])
        asleep = cole_kripke(counts) if len(windows) else np.empty(0, bool)
        return [
            Estimate("sleep_stage", float(a), float(b), STAGE_NAMES[Stage.LIGHT if s else Stage.WAKE], None, float(q))
            for a, b, s, q in zip(windows.start_s, windows.end_s, asleep, windows.quality, strict=True)
        ]

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """
        Return the night's agreement with its ``stage`` annotations (`pipelines.sleep.agreement`).

        Raises
        ------
        ChannelError
            If the recording has no ``stage`` annotations.
        """
        if "stage" not in recording.annotations:
            raise ChannelError(f"recording {recording.id!r} has no stages (.stage) to score against")
        start = np.array([e.start_s for e in estimates])
        found = np.array(
            [FROM_LABEL[e.value] if isinstance(e.value, str) else Stage.UNDEFINED for e in estimates], np.int8
        )
        return {**night_agreement(_stages_at(recording, start), found), "n_epochs": len(estimates)}

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return means over nights."""
        return dict(mean_over_nights(scores))


class StageDecoder(Memoryless):
    """Turns logits into stages; wake has a threshold of its own."""

    def __init__(self, wake_above: float, *, whole: bool) -> None:
        self._wake_above, self._whole = wake_above, whole

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        """Return a stage an epoch; None where nothing was sensed."""
        if not len(windows):
            return []
        said = outputs[FORWARD] + outputs[BACKWARD] if self._whole else outputs[OUTPUT]
        logits = said[:, 0].astype(np.float64)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        share = odds / odds.sum(1, keepdims=True)
        asleep = share[:, 1:].argmax(1) + 1
        stage = np.where(share[:, Stage.WAKE] > self._wake_above, Stage.WAKE, asleep)
        return [
            Estimate(
                "sleep_stage", float(windows.start_s[k]), float(windows.end_s[k]),
                STAGE_NAMES[int(stage[k])] if windows.quality[k] > 0 else None,
                round(1.0 - float(share[k, stage[k]]), 4), float(windows.quality[k]),
                {"probability": [round(float(p), 4) for p in share[k]]},
            )
            for k in range(len(windows))
        ]  # fmt: skip


def reference_stages(recording: Recording, windows: Windows) -> NDArray[np.int8]:
    """Return the annotated `Stage` of each window, shape (n,); undefined where there is none."""
    return _stages_at(recording, windows.start_s)


def _stages_at(recording: Recording, start_s: NDArray[np.float64]) -> NDArray[np.int8]:
    stages = np.full(start_s.size, Stage.UNDEFINED, np.int8)
    marks = recording.annotations.get("stage")
    if marks is None or not marks.t_s.size:
        return stages
    codes = np.array([FROM_LABEL.get(label, Stage.UNDEFINED) for label in marks.label], np.int8)
    # The mark that begins nearest to the epoch's start, at most half an epoch away.
    at = np.clip(np.searchsorted(marks.t_s, start_s + EPOCH_S / 2) - 1, 0, marks.t_s.size - 1)
    near = np.abs(marks.t_s[at] - start_s) <= EPOCH_S / 2
    return np.where(near, codes[at], stages).astype(np.int8)


def features_of(epochs: Epochs, *, whole: bool) -> NDArray[np.float32]:
    """Return what a network reads of each epoch, shape (n, len(NAMES)): as it went on, or once the night is over."""
    if not len(epochs):
        return np.empty((0, len(NAMES)), np.float32)
    base = base_features(epochs)
    around = surrounding_features(epochs, trailing, whole=whole)
    return matrix({**base, **relative_features(base, epochs, whole=whole), **around})


TASK = SleepStaging()

"""The task ``ecg-rhythm``: normal, atrial fibrillation, other or too noisy, for 30 s of a single-lead ECG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ChannelError
from data.recording import Channel, Recording
from pipelines.beat_detection.blocks import MIN_RATE_HZ
from pipelines.irregular_rhythm_model import THRESHOLD
from pipelines.rhythm_inputs import STRIP_S, StripInputs, strip_inputs
from pipelines.task import ChannelSpec, Estimate, Memoryless, Metrics, Outputs, Windows, WindowSpec

CLASSES = ("N", "A", "O", "~")  # as CinC 2017 names them
BEATS, INTERVALS, SUMMARY, OUTPUT = "beats", "intervals", "summary", "rhythm"
_NOISY = CLASSES.index("~")
_STEP_S = 15.0
_LEAST_S = 5.0  # a shorter recording has no row
_SURE = 20.0  # logit of the baseline's answer, which knows no doubt
_LEFT_S = 3.0  # less than this behind the last window changes nothing
_DOUBTFUL = 0.75  # mean certainty of the beats, below which the baseline calls a strip noisy


class EcgRhythm:
    """A network over beats side by side, their intervals and a summary; the detector of `beats` is its front."""

    name: str = "ecg-rhythm"
    title: str = "Rhythm of 30 s of a single-lead ECG"
    version: str = "2"
    kind: str = "rhythm"
    channels: tuple[ChannelSpec, ...] = (ChannelSpec("ecg", required=True),)
    window: WindowSpec = WindowSpec(STRIP_S, _STEP_S, _STEP_S)
    metric: str = "f1_mean"
    higher_is_better: bool = True
    network: bool = True
    datasets: tuple[str, ...] = ("challenge-2017",)

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """
        Find the beats of each 30 s and lay them side by side.

        `extras`: ``irregular``, the chance of fibrillation from the intervals alone. `quality` is the mean certainty
        of the beats; 0 below 60 Hz, without beats, and on a flat line.
        """
        ecg = recording.require("ecg")
        first, last = windows if windows is not None else (0, self.window.count(ecg.end_s))
        start_s = np.asarray((first + np.arange(max(0, last - first))) * _STEP_S, np.float64)
        return self._rows(ecg, start_s, start_s + STRIP_S)

    def whole(self, recording: Recording, first: int = 0) -> Windows:
        """
        Judge a finished recording to its end, from window `first` on.

        The last window ends where the recording does; a recording of 5 to 30 s is one row.
        """
        ecg = recording.require("ecg")
        last = self.window.count(ecg.end_s)
        start_s = np.arange(first, last, dtype=np.float64) * _STEP_S
        judged_s = (last - 1) * _STEP_S + STRIP_S if last else 0.0
        if ecg.end_s >= _LEAST_S and ecg.end_s - judged_s > _LEFT_S:
            start_s = np.append(start_s, max(0.0, ecg.end_s - STRIP_S))
        return self._rows(ecg, start_s, np.minimum(start_s + STRIP_S, ecg.end_s))

    def _rows(self, ecg: Channel, start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> Windows:
        rows = [_inputs(ecg, a, b) for a, b in zip(start_s, end_s, strict=True)]
        empty = _inputs(Channel("ecg", 100.0, np.zeros(0, np.float32)), 0.0, 0.0)

        def stack(values: list[NDArray[np.float32]], like: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.stack(values) if values else np.zeros((0, *like.shape), np.float32)

        return Windows(
            {
                BEATS: stack([r.beats for r in rows], empty.beats),
                INTERVALS: stack([r.intervals for r in rows], empty.intervals),
                SUMMARY: stack([r.summary for r in rows], empty.summary),
            },
            start_s, end_s, np.array([r.quality for r in rows], np.float32),
            {"irregular": np.array([r.irregular for r in rows], np.float64)},
        )  # fmt: skip

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        """Return the recording's label for each of its windows, one-hot, shape (n, 4)."""
        row = np.full(len(CLASSES), np.nan, np.float32)
        label = reference(recording)
        if label is not None:
            row = np.eye(len(CLASSES), dtype=np.float32)[CLASSES.index(label)]
        return {OUTPUT: np.tile(row, (len(windows), 1))}

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> RhythmDecoder:
        """Return a new decoder; `offline` and `config` change nothing here."""
        del offline, config
        return RhythmDecoder()

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return what the intervals alone say: fibrillation, noisy where the beats are doubtful, else normal."""
        logits = np.zeros((len(windows), len(CLASSES)), np.float32)
        fibrillates = windows.extras["irregular"] >= THRESHOLD
        answer = np.where(windows.quality < _DOUBTFUL, _NOISY, np.where(fibrillates, 1, 0))
        logits[np.arange(len(windows)), answer] = _SURE
        return RhythmDecoder().update({OUTPUT: logits}, windows)

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """
        Return the label of the whole recording and the one found: of the mean probability over its windows.

        Raises
        ------
        ChannelError
            If the recording has no rhythm label (header comment ``rhythm: N``, A, O or ~; or `.atr`).
        """
        label = reference(recording)
        if label is None:
            raise ChannelError(
                f"recording {recording.id!r} has no rhythm label; write '# rhythm: N' (A, O, ~) in its header"
            )
        chances = [[e.extras["probability"][c] for c in CLASSES] for e in estimates]
        mean = np.mean(chances, axis=0) if chances else np.eye(len(CLASSES))[_NOISY]
        return {
            "wanted": label,
            "found": CLASSES[int(mean.argmax())],
            "probability": [round(float(p), 4) for p in mean],
        }

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return F1 of each class over recordings (None where it never occurs) and the mean of N, A and O."""
        pairs = [(s["wanted"], s["found"]) for s in scores]
        f1 = {c: _f1(pairs, c) for c in CLASSES}
        known = [f1[c] for c in "NAO" if f1[c] is not None]
        mean = float(np.mean([v for v in known if v is not None])) if known else None
        return {"f1_mean": mean, "f1_n": f1["N"], "f1_a": f1["A"], "f1_o": f1["O"], "f1_noisy": f1["~"],
                "accuracy": float(np.mean([a == b for a, b in pairs])) if pairs else None}  # fmt: skip


class RhythmDecoder(Memoryless):
    """Says the likeliest rhythm of each window; nothing is carried from one to the next."""

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        """Return one estimate a window; without a single beat it is noisy, and the value None."""
        said = []
        for k in range(len(windows)):
            quality = float(windows.quality[k])
            p = chances(outputs[OUTPUT][k]) if quality > 0 else np.eye(len(CLASSES))[_NOISY]
            best = int(p.argmax())
            said.append(
                Estimate(
                    "rhythm", float(windows.start_s[k]), float(windows.end_s[k]),
                    CLASSES[best] if quality > 0 else None,
                    1.0 - float(p[best]) if quality > 0 else None, quality,
                    {"probability": {c: round(float(v), 4) for c, v in zip(CLASSES, p, strict=True)}},
                )
            )  # fmt: skip
        return said


def chances(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of the network's logits, along the last axis."""
    weight = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def reference(recording: Recording) -> str | None:
    """Return N, A, O or ~ as the header's comment says, else from ``rhythm`` annotations, else None."""
    label = str(recording.meta.get("rhythm", "")).strip()
    if label in CLASSES:
        return label
    marks = recording.annotations.get("rhythm")
    if marks is None or not marks.label:
        return None
    found = set(marks.label)
    if "AFIB" in found:
        return "A"
    return "N" if found == {"N"} else "O"


def _inputs(ecg: Channel, start_s: float, end_s: float) -> StripInputs:
    piece = ecg.slice(start_s, end_s)
    if ecg.fs_hz < MIN_RATE_HZ:
        return strip_inputs(np.zeros(0, np.float32), MIN_RATE_HZ)
    return strip_inputs(piece.samples, ecg.fs_hz)


def _f1(pairs: Sequence[tuple[str, str]], label: str) -> float | None:
    wanted = sum(a == label for a, _ in pairs)
    found = sum(b == label for _, b in pairs)
    both = sum(a == b == label for a, b in pairs)
    return 2 * both / (wanted + found) if wanted else None


TASK = EcgRhythm()

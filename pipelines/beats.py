"""The task ``beats``: R peaks of a single-lead ECG, judged 24 s at a time, so that a stream gives what a file gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ChannelError
from data.recording import Channel, Recording
from pipelines.beat_detection.bands import BLOCK_S
from pipelines.beat_detection.blocks import (
    AFTER_S,
    APART_S,
    BEFORE_S,
    CORE_S,
    MIN_RATE_HZ,
    Judged,
    bridge,
    continued,
    judge,
    judge_with,
    settle,
)  # fmt: skip
from pipelines.beat_detection.matching import match_beats, rates
from pipelines.task import ChannelSpec, Estimate, Metrics, Outputs, Windows, WindowSpec

WINDOW = WindowSpec(CORE_S + AFTER_S, CORE_S, BEFORE_S)
_MOST = 160  # beats of one core: 400 a minute
_AT_ONCE = 64  # blocks judged together: bounded memory for a day's ECG


class BeatDetection:
    """Our own R-peak detector; no network, no bundle. See `pipelines.beat_detection` for how it judges."""

    name: str = "beats"
    title: str = "Heartbeats from a single-lead ECG"
    version: str = "1"
    kind: str = "beats"
    channels: tuple[ChannelSpec, ...] = (ChannelSpec("ecg", required=True),)
    window: WindowSpec = WINDOW
    metric: str = "f1"
    higher_is_better: bool = True
    network: bool = False
    datasets: tuple[str, ...] = ("mitdb", "wrist")

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """
        Judge blocks of 32 s; a row holds the beats of its 24 s core.

        `extras`: ``beats_s`` and ``confidence``, shape (n, 160), NaN behind the last; ``plain_s``, the beats of a plain
        rule on size, as baseline. `quality` is the share of the core that was sensed; a rate below 60 Hz gives 0.
        """
        ecg = recording.require("ecg")
        first, last = windows if windows is not None else (0, self.window.count(ecg.end_s))
        return self._rows(ecg, first, last, last * CORE_S + AFTER_S)

    def whole(self, recording: Recording, first: int = 0) -> Windows:
        """
        Judge a finished recording to its end, from window `first` on: also the 3 to 27 s behind the last whole window.

        There the signal is continued by a pause and its mirror image, as in `detect_beats`; recordings from 1 s on.
        """
        ecg = recording.require("ecg")
        last = int(np.ceil(ecg.end_s / CORE_S - 1e-9)) if ecg.samples.size >= ecg.fs_hz else 0
        return self._rows(ecg, first, last, ecg.end_s)

    def _rows(self, ecg: Channel, first: int, last: int, end_s: float) -> Windows:
        """Judge cores `first` to `last` of a stream that is known up to `end_s`."""
        n = max(0, last - first)
        start_s = np.asarray((first + np.arange(n)) * CORE_S, np.float64)
        beats, confidence, plain = (np.full((n, _MOST), np.nan) for _ in range(3))
        quality = np.zeros(n, np.float32)
        for at in range(0, n if ecg.fs_hz >= MIN_RATE_HZ else 0, _AT_ONCE):
            rows = np.arange(at, min(at + _AT_ONCE, n))
            blocks, sensed = _blocks(ecg, first + rows)
            quality[rows] = [
                _share(s, ecg.fs_hz, end_s - t + BEFORE_S) for s, t in zip(sensed, start_s[rows], strict=True)
            ]
            judged, by_size = judge(blocks, ecg.fs_hz), judge_with(blocks, ecg.fs_hz, None, None)
            for k, row in enumerate(rows):
                zero_s = start_s[row] - BEFORE_S
                until_s = min(BEFORE_S + CORE_S, end_s - zero_s)
                times, odds = _of_core(judged, k, blocks[k], sensed[k], ecg.fs_hz, until_s)
                beats[row, : times.size], confidence[row, : times.size] = zero_s + times, odds
                times, _ = _of_core(by_size, k, blocks[k], sensed[k], ecg.fs_hz, until_s)
                plain[row, : times.size] = zero_s + times
        extras = {"beats_s": beats, "confidence": confidence, "plain_s": plain}
        return Windows({}, start_s, np.minimum(start_s + self.window.length_s, end_s), quality, extras)

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        """Return nothing: there is no network to teach."""
        del recording, windows
        return {}

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> BeatDecoder:
        """Return a new decoder; `offline` and `config` change nothing here."""
        del offline, config
        return BeatDecoder("beats_s")

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return the beats of a plain rule: above 40 % of the usual beat's size."""
        return BeatDecoder("plain_s").update({}, windows)

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """
        Return hits, extra and missed beats within 150 ms, and the mean location error.

        Every annotated beat counts, also where nothing was judged.

        Raises
        ------
        ChannelError
            If the recording has no annotated beats.
        """
        if "beats" not in recording.annotations:
            raise ChannelError(f"recording {recording.id!r} has no annotated beats (.atr) to score against")
        found = np.array([t for e in estimates for t in e.extras["times_s"]])
        end_s = max((e.end_s for e in estimates), default=0.0)
        reference = recording.annotations["beats"].t_s
        met = match_beats(reference, found)
        error_ms = float(np.abs(met.error_s).mean() * 1e3) if met.hits else None
        return {
            "hits": met.hits, "extra": int(met.extra.size), "missed": int(met.missed.size),
            "location_error_ms": error_ms, "judged_s": end_s, **rates(met.hits, met.extra.size, met.missed.size),
        }  # fmt: skip

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return gross figures over all beats, and the mean F1 over recordings."""
        hits, extra, missed = (sum(int(s[k]) for s in scores) for k in ("hits", "extra", "missed"))
        errors = [s["location_error_ms"] for s in scores if s["location_error_ms"] is not None]
        return {
            **rates(hits, extra, missed),
            "location_error_ms": float(np.mean(errors)) if errors else None,
            "f1_mean": float(np.mean([s["f1"] for s in scores])), "n_beats": float(hits + missed),
        }  # fmt: skip


class BeatDecoder:
    """Says the beats of each core; the last one is remembered, so that none is said twice at a border."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._last_s = -np.inf

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        """Return one estimate a core: value is the number of beats, `extras` holds their times."""
        del outputs
        said = []
        for k in range(len(windows)):
            times = windows.extras[self._key][k]
            times = times[np.isfinite(times)]
            times = times[times > self._last_s + APART_S]
            self._last_s = float(times[-1]) if times.size else self._last_s
            quality = float(windows.quality[k])
            begin, end = float(windows.start_s[k]), float(windows.end_s[k])
            said.append(
                Estimate(
                    "beats", begin, min(begin + CORE_S, end), float(times.size) if quality > 0 else None, None, quality,
                    {"times_s": [round(float(t), 6) for t in times]},
                )
            )  # fmt: skip
        return said

    def finish(self) -> list[Estimate]:
        """Return nothing: nothing was held back."""
        return []

    def state(self) -> dict[str, Any]:
        """Return the time of the last beat, None before the first."""
        return {"last_s": self._last_s if np.isfinite(self._last_s) else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        last_s = state.get("last_s")
        self._last_s = -np.inf if last_s is None else float(last_s)


def _blocks(ecg: Channel, numbers: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return blocks of the absolute grid, without NaN, and what was sensed; beyond the samples they are continued."""
    fs, length = ecg.fs_hz, round(BLOCK_S * ecg.fs_hz)
    starts = np.round(numbers * CORE_S * fs).astype(np.intp) - round(BEFORE_S * fs) - round(ecg.t0_s * fs)
    blocks, sensed = np.zeros((numbers.size, length), np.float32), np.zeros((numbers.size, length), bool)
    for k, start in enumerate(starts):
        a, b = max(0, int(start)), min(ecg.samples.size, int(start) + length)
        if a >= b:
            continue
        clean, here = bridge(ecg.samples[a:b])
        blocks[k] = continued(clean, a - int(start), int(start) + length - b, fs)
        sensed[k, a - start : b - start] = here
    return blocks, sensed


def _share(sensed: NDArray[np.bool_], fs_hz: float, end_s: float) -> float:
    """Return which share of a block's core, or of what there is of it before `end_s`, was sensed."""
    core = sensed[round(BEFORE_S * fs_hz) : round(min(BEFORE_S + CORE_S, end_s) * fs_hz)]
    return float(core.mean()) if core.size else 0.0


def _of_core(
    judged: Judged, k: int, clean: NDArray[np.float32], sensed: NDArray[np.bool_], fs_hz: float, until_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the beats of block `k`'s core, in seconds since the block's first sample, and their confidence."""
    time_s = judged.found.time_s[k]
    core = judged.beats[k] & (time_s >= BEFORE_S) & (time_s < until_s)
    order = np.argsort(time_s[core], kind="stable")
    found = settle(clean, sensed, fs_hz, time_s[core][order].astype(np.float64), judged.odds[k][core][order])
    return found.time_s[:_MOST], found.confidence[:_MOST]


TASK = BeatDetection()

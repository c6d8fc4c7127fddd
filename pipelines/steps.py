"""The task ``steps``: how often a walking wrist swings, and nothing where it does not walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.motion_grid import AXES, GRID_HZ, LOOKBACK_S, motion_grid
from pipelines.task import ChannelSpec, Estimate, Metrics, Outputs, Windows, WindowSpec

_SLOT = round(1.0 * GRID_HZ)  # each window answers for one second
_SIDE = round(2.5 * GRID_HZ)  # whose rhythm is judged from 2.5 s on either side: 8 to 12 steps
_BAND_HZ = (0.7, 4.0)


def _kernel(n: int = 31) -> NDArray[np.float64]:
    """
    Return a symmetric band-pass of `n` taps, a windowed sinc: short, so local, so chunking changes nothing.

    The same as scipy's `firwin`, whose import alone costs a server 50 MB and half a second.
    """
    at = np.arange(n) - n // 2
    low, high = (2 * f / GRID_HZ for f in _BAND_HZ)
    taps = (high * np.sinc(high * at) - low * np.sinc(low * at)) * np.hamming(n)
    return np.asarray(taps / (taps * np.cos(np.pi * at * (low + high) / 2)).sum(), np.float64)


_KERNEL = _kernel()
_REACH = _KERNEL.size // 2
WINDOW = WindowSpec((_SLOT + _SIDE + _REACH) / GRID_HZ, _SLOT / GRID_HZ, (_SIDE + _REACH) / GRID_HZ + LOOKBACK_S)
_LAGS = np.arange(4, 41)  # up to two steps of 1 s
_STEP_LAGS = slice(1, 15)  # of those: 0.25 to 0.9 s a step (67 to 240 a minute)
_ENOUGH_G = 0.06  # rms of the size of acceleration, 0.7 to 4 Hz: half of what the gentlest walks of WISDM have
_REGULAR = 0.45  # autocorrelation at one or two steps
_SHORTER = 0.8  # of the best rhythm's: then the shorter lag is the step and the longer one the stride
FEWEST_S = 4.0  # rhythm that lasts less is no walk: an arm that stirs a cup
MINUTE_S = 60.0
LIMIT_G = 4.0
WALKING = frozenset({"walk", "run", "stairs"})  # activities whose rhythm is steps, see `gated`


class StepCounting:
    """Steps and cadence from the size of the wrist's acceleration: autocorrelation, no network."""

    name: str = "steps"
    title: str = "Steps and cadence from the wrist's accelerometer"
    version: str = "1"
    kind: str = "steps"
    channels: tuple[ChannelSpec, ...] = tuple(ChannelSpec(axis, required=True) for axis in AXES)
    window: WindowSpec = WINDOW
    metric: str = "steps_error"
    higher_is_better: bool = False
    network: bool = False
    datasets: tuple[str, ...] = ("wisdm",)

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """
        Judge the rhythm around each second.

        `extras`: ``cadence`` (steps a minute, 0 where there is no rhythm), ``regularity`` (autocorrelation),
        ``strength_g``. There is no network, so `inputs` is empty. `quality` is the share of samples that were there.
        """
        end_s = min(recording.require(name).end_s for name in AXES)
        first, last = windows if windows is not None else (0, self.window.count(end_s))
        n, margin = max(0, last - first), _SIDE + _REACH
        motion = motion_grid(recording, first * _SLOT - margin, (first + n) * _SLOT + margin, limit_g=LIMIT_G)
        band, seen = _band(motion)
        cadence, regularity, strength = _rhythm(_spans(band, n), _spans(seen, n))
        start_s = np.asarray((first + np.arange(n)) * self.window.step_s, np.float64)
        return Windows(
            {}, start_s, start_s + self.window.length_s, _spans(seen, n).mean(axis=1).astype(np.float32),
            {"cadence": cadence, "regularity": regularity, "strength_g": strength},
        )  # fmt: skip

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:  # noqa: ARG002
        """Return nothing: there is no network to train."""
        return {}

    def decoder(
        self,
        *,
        offline: bool = False,  # noqa: ARG002
        config: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> StepDecoder:
        """Return a new counter."""
        return StepDecoder()

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return the count itself: this task is the classical method."""
        decoder = StepDecoder()
        return [*decoder.update({}, windows), *decoder.finish()]

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """Return the count beside the truth in the header's ``steps``, where there is one."""
        counted = float(sum(float(e.value) for e in estimates if e.value is not None))
        truth = recording.meta.get("steps", "")
        row: dict[str, Any] = {
            "activity": recording.meta.get("activity", ""), "steps": counted, "minutes": recording.end_s / 60,
        }  # fmt: skip
        if truth.isdigit():
            row["truth"] = int(truth)
        return row

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return the mean relative error where the truth is known, and steps a minute where it is nought."""
        walked = [s for s in scores if s.get("truth")]
        rested = [s for s in scores if s.get("truth") == 0]
        minutes = sum(s["minutes"] for s in rested)
        errors = [abs(s["steps"] - s["truth"]) / s["truth"] for s in walked]
        return {
            "steps_error": float(np.mean(errors)) if errors else None,
            "false_steps_per_minute": sum(s["steps"] for s in rested) / minutes if minutes else None,
            "steps": float(sum(s["steps"] for s in scores)),
        }  # fmt: skip


@dataclass
class StepDecoder:
    """
    Adds up steps minute by minute; causal, save that a rhythm counts (from its beginning) once it has lasted 4 s.

    Each estimate spans a minute of the stream: `value` steps, ``cadence`` their rate while walking.
    """

    _minutes: dict[int, list[float]] = field(default_factory=dict)  # minute: [steps, seconds walked]
    _waiting: list[tuple[float, float]] = field(default_factory=list)  # (start_s, cadence) of an unconfirmed rhythm
    _confirmed: bool = False
    _ahead: tuple[float, float] | None = None  # (until_s, cadence) of the last window: its samples past its second
    _next_s: float | None = None

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:  # noqa: ARG002
        """Take the next seconds and return each minute that is over."""
        done: list[Estimate] = []
        for start_s, end_s, cadence in zip(windows.start_s, windows.end_s, windows.extras["cadence"], strict=True):
            self._take(float(start_s), float(cadence))
            self._ahead = (float(end_s), float(cadence) if self._confirmed else 0.0)
            self._next_s = float(start_s) + WINDOW.step_s
            done += self._over(self._next_s - FEWEST_S)
        return done

    def finish(self) -> list[Estimate]:
        """Return the last, broken minute; the rhythm of the last second is taken to go on to the last sample."""
        if self._ahead is not None and self._next_s is not None and self._ahead[1] > 0:
            until_s, cadence = self._ahead
            at = self._next_s
            while at < until_s - 1e-6:
                self._count(at, cadence, min(WINDOW.step_s, until_s - at))
                at += WINDOW.step_s
        self._ahead = None
        return self._over(np.inf)

    def state(self) -> dict[str, Any]:
        """Return open minutes and the rhythm that waits."""
        return {
            "minutes": [[k, *v] for k, v in self._minutes.items()], "waiting": [list(w) for w in self._waiting],
            "confirmed": self._confirmed, "ahead": self._ahead, "next_s": self._next_s,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._minutes = {int(k): [float(a), float(b)] for k, a, b in state["minutes"]}
        self._waiting = [(float(a), float(b)) for a, b in state["waiting"]]
        self._confirmed = bool(state["confirmed"])
        ahead = state["ahead"]
        self._ahead = None if ahead is None else (float(ahead[0]), float(ahead[1]))
        self._next_s = None if state["next_s"] is None else float(state["next_s"])

    def _take(self, start_s: float, cadence: float) -> None:
        self._minutes.setdefault(int(start_s // MINUTE_S), [0.0, 0.0])
        if cadence <= 0:
            self._waiting, self._confirmed = [], False
            return
        self._waiting.append((start_s, cadence))
        if self._confirmed or len(self._waiting) * WINDOW.step_s >= FEWEST_S:
            self._confirmed = True
            for at, rate in self._waiting:
                self._count(at, rate, WINDOW.step_s)
            self._waiting = []

    def _count(self, start_s: float, cadence: float, seconds: float) -> None:
        minute = self._minutes.setdefault(int(start_s // MINUTE_S), [0.0, 0.0])
        minute[0] += cadence / 60 * seconds
        minute[1] += seconds

    def _over(self, before_s: float) -> list[Estimate]:
        """Return and forget the minutes that end at `before_s` or earlier."""
        over = sorted(k for k in self._minutes if (k + 1) * MINUTE_S <= before_s)
        return [_minute(k, *self._minutes.pop(k)) for k in over]


def _minute(index: int, steps: float, walked_s: float) -> Estimate:
    cadence = round(steps / walked_s * 60, 1) if walked_s else 0.0
    start_s = index * MINUTE_S
    return Estimate(
        "steps", start_s, start_s + MINUTE_S, float(round(steps)), None, 1.0,
        {"cadence": cadence, "walked_s": round(walked_s, 1)},
    )  # fmt: skip


def gated(steps: Sequence[Estimate], activities: Sequence[Estimate]) -> list[Estimate]:
    """
    Scale each minute's steps by the share of it in which `activities` say walk, run or stairs.

    A rhythm alone cannot tell steps from dribbling, clapping or brushing teeth. A minute of which nothing is known
    stays as it is.
    """
    known = [a for a in activities if isinstance(a.value, str)]
    out = []
    for minute in steps:
        own = [a for a in known if a.start_s < minute.end_s and a.end_s > minute.start_s]
        share = float(np.mean([a.value in WALKING for a in own])) if own else 1.0
        value = None if minute.value is None else float(round(float(minute.value) * share))
        out.append(
            Estimate(
                minute.kind, minute.start_s, minute.end_s, value, minute.uncertainty, minute.quality, minute.extras
            )
        )
    return out


def distance_m(steps: float, stride_m: float | None) -> float | None:
    """Return steps times the length of a step as the wearer gave it; None where nobody measured it."""
    return None if stride_m is None else steps * stride_m


def _band(motion_g: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the size of acceleration, 0.7 to 4 Hz, and where it was sensed, both without the filter's margins."""
    seen = np.isfinite(motion_g.sum(axis=1))
    size = np.where(seen, np.linalg.norm(np.nan_to_num(motion_g), axis=1) - 1.0, 0.0)
    band = np.convolve(size, _KERNEL, mode="valid") if size.size >= _KERNEL.size else np.empty(0)
    return band, seen[_REACH : _REACH + band.size]


def _spans(values: NDArray[Any], n: int) -> NDArray[Any]:
    length = _SLOT + 2 * _SIDE
    if n == 0:
        return np.empty((0, length), values.dtype)
    return np.lib.stride_tricks.sliding_window_view(values, length)[::_SLOT][:n]


def _rhythm(
    band: NDArray[np.float64], seen: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return cadence, regularity and strength of each row of 6 s."""
    x = np.where(seen, band, 0.0)
    n_seen = np.maximum(seen.sum(axis=1), 1)
    strength = np.sqrt((x**2).sum(axis=1) / n_seen)
    middle = slice(_SIDE - _SLOT // 2, _SIDE + _SLOT + _SLOT // 2)
    here = np.sqrt((x[:, middle] ** 2).mean(axis=1))
    r = np.stack([_correlation(x, int(lag)) for lag in _LAGS], axis=1)
    lag, regularity = _step_lag(r)
    good = (regularity >= _REGULAR) & (strength >= _ENOUGH_G) & (here >= 0.5 * _ENOUGH_G)
    good &= seen.mean(axis=1) >= 0.5
    cadence = np.where(good, 60 * GRID_HZ / lag, 0.0)
    return cadence.astype(np.float32), regularity.astype(np.float32), strength.astype(np.float32)


def _correlation(x: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    early, late = x[:, :-lag], x[:, lag:]
    power = np.sqrt((early**2).sum(axis=1) * (late**2).sum(axis=1))
    return np.asarray((early * late).sum(axis=1) / np.maximum(power, 1e-9))


def _step_lag(r: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Return the lag of a step (in samples, between grid points by a parabola) and the autocorrelation there.

    Left and right steps differ, so two steps are often more alike than one: the lag is the one where one and two
    steps together repeat best.
    """
    steps = np.arange(_LAGS.size)[_STEP_LAGS]
    double = np.minimum(2 * _LAGS[steps] - _LAGS[0], _LAGS.size - 2)
    twice = np.maximum(np.maximum(r[:, double - 1], r[:, double + 1]), r[:, double])
    both = r[:, steps] + twice
    is_peak: NDArray[np.bool_] = np.asarray((r[:, steps] >= r[:, steps - 1]) & (r[:, steps] > r[:, steps + 1]))
    both = np.where(is_peak, both, -2.0)
    best = both.max(axis=1, keepdims=True)
    enough = both >= np.where(best > 0, _SHORTER * best, best)
    place: NDArray[np.intp] = np.logical_and(is_peak, enough).argmax(axis=1)
    rows = np.arange(len(r))
    at = steps[place]
    left, peak, right = r[rows, at - 1], r[rows, at], r[rows, at + 1]
    bend = left - 2 * peak + right
    curved = np.less(bend, -1e-9)
    shift = np.where(curved, 0.5 * (left - right) / np.where(curved, bend, -1.0), 0.0)
    regularity = np.where(is_peak[rows, place], np.maximum(peak, twice[rows, place]), 0.0)
    return _LAGS[at] + np.clip(shift, -0.5, 0.5), regularity


TASK = StepCounting()

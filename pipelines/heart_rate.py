"""Heart rate from wrist PPG and motion: 8 s windows every 2 s, a belief over BPM, an interval and a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.belief import Belief, BeliefConfig, around_mode, mass_near, odds, quantile
from pipelines.heart_rate_scores import reference_bpm, score, summarise
from pipelines.pulse_features import (
    ACC_NAMES,
    BPM,
    CONTEXT_S,
    LENGTH_S,
    N_BINS,
    N_PPG_PLANES,
    PLANES,
    STEP_S,
    pulse_planes,
)
from pipelines.task import ChannelSpec, Decoder, Estimate, Metrics, Outputs, Windows, WindowSpec

KIND = "heart_rate"
LABEL_BPM = 2.5  # spread of the target around the reference, in BPM
# Used where a bundle's card says nothing else; fitted by `benchmarks.heart_rate` on people left out of training.
# The interval's half width is exp(width_log) * spread ** width_power: a sharp belief is 6 BPM wide where errors are 1
# to 3, because it must allow for the next change; a vague one is as wide as its errors. Quality is the chance of an
# error below 5 BPM (see `quality_of`).
DEFAULTS: Mapping[str, float] = {
    "width_log": -2.472, "width_power": 1.9,
    "quality_bias": 0.498, "quality_mass": 0.744, "quality_seen": 0.309, "quality_motion": -2.157, "gate": 0.75,
}  # fmt: skip
_NARROWEST_BPM = 1.0  # the reference's own noise
_NEAR_BPM = 7.5  # width of the main lobe of an 8 s window: closer rates are one line
# Without acceleration nobody can tell a cadence from a pulse: on treadmills 65 to 80 % of confident answers are right.
_BLIND = 0.8
_LINES = (PLANES.index("acc x2"), PLANES.index("acc third"))
_MEMORY = 0.15  # of the mean over past windows: 13 s, the least in which windows do not overlap


@dataclass(frozen=True)
class Judged:
    """
    What one window left, before calibration.

    Parameters
    ----------
    guess_bpm, spread_bpm : float
        The estimate, and half the belief's span from 5 to 95 %.
    mass, seen : float
        Share of the belief near the guess, and of single windows' odds, without memory, as a mean over the last ones:
        a track that lives on its past alone has a high mass and a low `seen`.
    motion : float
        How high the acceleration stands at twice and at a third of the guess, as a mean over the last windows: the
        light of a runner can show lines at half or at three times the stride that a filter does not take out, while a
        pulse that keeps step with the stride is common and no reason to doubt.
    sensed : float
        Quality of the light, 0 where nothing was sensed; less without an accelerometer.
    """

    guess_bpm: float
    spread_bpm: float
    mass: float
    seen: float
    motion: float
    sensed: float


class HeartRate:
    """The task; see `pipelines.task.Task`."""

    name = "heart-rate"
    title = "Heart rate from wrist PPG under motion"
    version = "heart-rate-1"
    kind = KIND
    channels: tuple[ChannelSpec, ...] = (
        ChannelSpec("ppg", required=True), ChannelSpec("ppg_2"), ChannelSpec("ppg_3"),
        *(ChannelSpec(name) for name in ACC_NAMES),
    )  # fmt: skip
    window = WindowSpec(LENGTH_S, STEP_S, CONTEXT_S)
    metric = "mae_bpm"
    higher_is_better = False
    network = True
    datasets: tuple[str, ...] = ("wrist", "spc2015", "bami-1")

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        """Return the spectral planes of each window; see `Task.prepare` and `pulse_features`."""
        recording.require("ppg")
        usable = [recording.channels[c.name] for c in self.channels if c.name in recording.channels]
        first, last = windows or (0, self.window.count(min(c.end_s for c in usable)))
        starts: NDArray[np.float64] = STEP_S * np.arange(first, last, dtype=np.float64)
        if last <= first:
            planes, quality = np.zeros((0, 1, N_BINS, len(PLANES)), np.float32), np.zeros(0, np.float32)
        else:
            planes, quality = pulse_planes(recording, first, last)
        return Windows({"spectra": planes}, starts, starts + LENGTH_S, quality)

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        """Return ``logits``: the probability of each bin, a normal curve of 2.5 BPM around the reference."""
        return {"logits": soft_target(reference_bpm(recording, windows.end_s))}

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> Decoder:
        """Return a decoder; `config` is a card's."""
        return HeartRateDecoder(config or {}, offline)

    def baseline(self, windows: Windows) -> list[Estimate]:
        """Return what a classical tracker says: the line that motion does not explain, followed by the belief."""
        decoder = HeartRateDecoder({"temper": 0.5, "spread_bpm": 4.0, "gate": 0.0}, offline=False)
        return decoder.update({"logits": classical_logits(windows)}, windows)

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        """Return the errors of one recording; see `heart_rate_scores`."""
        return score(estimates, recording)

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        """Return the metrics over recordings; see `heart_rate_scores`."""
        return summarise(scores)


def soft_target(bpm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return one row of bin probabilities a rate, shape (n, 128); NaN where the rate is unknown or off the grid."""
    known = np.where((bpm > BPM[0]) & (bpm < BPM[-1]), bpm, np.nan)
    curve = np.exp(-0.5 * ((BPM - known[:, None]) / LABEL_BPM) ** 2)
    return np.asarray(curve / curve.sum(axis=1, keepdims=True), np.float32)


def classical_logits(windows: Windows) -> NDArray[np.float32]:
    """
    Return a score of each bin without a network, shape (n, 128).

    The motion-free PPG at the rate and at twice the rate, over 8 and over 20 s, less what is left of the motion.
    """
    planes = dict(zip(PLANES, np.moveaxis(windows.inputs["spectra"][:, 0], -1, 0), strict=True))
    pulse = planes["clean"] + 0.6 * planes["long clean"] + 0.4 * planes["clean x2"] + 0.3 * planes["ppg"]
    return np.asarray(12.0 * (pulse - 0.3 * planes["acc"]), np.float32)


def quality_of(judged: Judged, config: Mapping[str, float]) -> float:
    """Return the chance that the guess errs by less than 5 BPM: a logistic curve over `mass`, `seen` and `motion`."""
    x = (
        config["quality_bias"]
        + config["quality_mass"] * log_odds(judged.mass)
        + config["quality_seen"] * log_odds(judged.seen)
        + config["quality_motion"] * judged.motion
    )
    return min(judged.sensed, 1.0) / (1.0 + float(np.exp(-x)))


def log_odds(share: float) -> float:
    """Return the log-odds of a share held within 0.01 and 0.995: beyond, an int8 network says no more."""
    held = min(max(share, 0.01), 0.995)
    return float(np.log(held / (1.0 - held)))


def half_width(spread_bpm: float, config: Mapping[str, float]) -> float:
    """Return the half width of the 90 % interval in BPM: at most the belief's own."""
    fitted = float(np.exp(config["width_log"]) * spread_bpm ** config["width_power"])
    return max(_NARROWEST_BPM, min(fitted, spread_bpm))


class HeartRateDecoder:
    """
    Belief, estimate, interval and gate of one stream.

    Parameters
    ----------
    config : mapping
        Keys of `BeliefConfig` and of `DEFAULTS`.
    offline : bool
        Hold everything back and smooth it at `finish`.
    """

    def __init__(self, config: Mapping[str, Any], offline: bool) -> None:
        self._config = {k: float(config.get(k, v)) for k, v in DEFAULTS.items()}
        self._belief = Belief(BPM, BeliefConfig.read(config))
        self._seen = self._motion = 0.0
        self._offline = offline
        self._held: list[tuple[NDArray[np.float64], NDArray[np.float32] | None, Windows]] = []

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        """Return an estimate a window (offline: nothing yet)."""
        if not self._offline:
            judged = self.judge(outputs, windows)
            return [self._estimate(j, windows, k) for k, j in enumerate(judged)]
        for k in range(len(windows)):
            row = windows.take(slice(k, k + 1))
            logits = outputs["logits"][k] if row.quality[0] > 0 else None
            self._held.append((self._belief.step(logits), logits, row))
        return []

    def judge(self, outputs: Outputs, windows: Windows) -> list[Judged]:
        """Return what each window left, not yet calibrated: what `benchmarks.heart_rate` fits the config on."""
        judged = []
        for k, quality in enumerate(windows.quality):
            logits = outputs["logits"][k] if quality > 0 else None
            judged.append(
                self._judge(self._belief.step(logits), logits, windows.inputs["spectra"][k, 0], float(quality))
            )
        return judged

    def finish(self) -> list[Estimate]:
        """Return the smoothed estimates of an offline decoder."""
        if not self._held:
            return []
        smooth = self._belief.smooth(np.stack([belief for belief, _, _ in self._held]))
        estimates = [
            self._estimate(self._judge(belief, logits, row.inputs["spectra"][0, 0], float(row.quality[0])), row, 0)
            for belief, (_, logits, row) in zip(smooth, self._held, strict=True)
        ]  # fmt: skip
        self._held = []
        return estimates

    def state(self) -> dict[str, Any]:
        """Return the belief and what was seen, JSON-able."""
        return {"belief": self._belief.now.tolist(), "seen": self._seen, "motion": self._motion}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._belief.now = np.asarray(state["belief"], np.float64)
        # Absent in what earlier versions stored.
        self._seen, self._motion = (float(state.get(key, 0.0)) for key in ("seen", "motion"))

    def _judge(
        self, belief: NDArray[np.float64], logits: NDArray[np.float32] | None, planes: NDArray[np.float32],
        sensed: float,
    ) -> Judged:  # fmt: skip
        guess = around_mode(belief, logits, BPM)
        now = 0.0 if logits is None else mass_near(odds(logits), BPM, guess, _NEAR_BPM)
        self._seen += _MEMORY * (now - self._seen)
        if not planes[:, N_PPG_PLANES:].any():
            sensed *= _BLIND
        at_guess = planes[int(np.abs(BPM - guess).argmin())]
        self._motion += _MEMORY * (float(sum(at_guess[plane] for plane in _LINES)) - self._motion)
        spread = (quantile(belief, BPM, 0.95) - quantile(belief, BPM, 0.05)) / 2
        return Judged(guess, spread, mass_near(belief, BPM, guess, _NEAR_BPM), self._seen, self._motion, sensed)

    def _estimate(self, judged: Judged, windows: Windows, k: int) -> Estimate:
        quality = quality_of(judged, self._config)
        value = None if quality < self._config["gate"] else round(judged.guess_bpm, 2)
        return Estimate(
            KIND, float(windows.start_s[k]), float(windows.end_s[k]), value,
            round(half_width(judged.spread_bpm, self._config), 2), round(quality, 4),
            {"guess_bpm": round(judged.guess_bpm, 2)},
        )  # fmt: skip


TASK = HeartRate()

"""
The PPG pulse detector: against known beats, against references at rest, and beside the intervals an Empatica E4 gives.

    python -m benchmarks.heart_rate_pulses          # half a minute on one core

Into `benchmarks/results/heart_rate_pulses.json`. The E4's intervals are another detector's, not a truth.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.folds import goal, write
from data.adapters.registry import adapter
from data.location import data_root
from data.recording import Channel, Recording
from data.synthetic.pulse import slow_noise
from models.evaluate import infer, open_model
from pipelines.heart_rate import TASK
from pipelines.heart_rate_scores import reference_bpm
from pipelines.irregular_rhythm import check_rhythm
from pipelines.pulse_peaks import CLEAN, Pulses, find_pulses
from pipelines.spectral import cut

COMMAND = "python -m benchmarks.heart_rate_pulses"
SPAN_S = 8.0
_STILL_G = 0.03  # deviation of an axis in a span: typing is above, lying below
Floats = NDArray[np.float64]


def drawn_beats(bpm: float, irregular: float, fs_hz: float, seed: int) -> tuple[Floats, Channel]:
    """Return the upstrokes of 200 drawn pulses with a second wave each, over breathing and noise; and the light."""
    rng = np.random.default_rng(seed)
    vary = rng.normal(size=200).clip(-1.5, 1.5) * irregular + 0.03 * np.sin(np.arange(200) * 1.4)
    beats = 1.0 + np.cumsum(np.maximum(60 / bpm * (1 + vary), 0.3))
    times = np.arange(int((beats[-1] + 2) * fs_hz)) / fs_hz
    scale, light = float(np.sqrt(60 / bpm)), np.zeros_like(times)
    for beat in beats:
        since = (times - beat) / scale
        light += np.exp(-0.5 * ((since - 0.09) / 0.09) ** 2) + 0.35 * np.exp(-0.5 * ((since - 0.37) / 0.11) ** 2)
    light += 0.6 * slow_noise(rng, times, 2.0, 0.5) + 0.05 * rng.normal(size=times.size)
    return beats, Channel("ppg", fs_hz, light.astype(np.float32))


def matched(truth: Floats, found: Floats, within_s: float) -> tuple[int, Floats]:
    """Return how many are met, and the differences after the constant lag between them is taken off."""
    if not found.size or not truth.size:
        return 0, np.empty(0)
    nearest = np.abs(found[:, None] - truth[None]).argmin(axis=1)
    lag = float(np.median(found - truth[nearest]))
    nearest = np.abs(found[:, None] - lag - truth[None]).argmin(axis=1)
    difference = found - lag - truth[nearest]
    met = np.abs(difference) <= within_s
    return int(np.unique(nearest[met]).size), difference[met]


def on_drawn() -> dict[str, Any]:
    """Return sensitivity, precision and jitter over rates, regular and irregular."""
    out: dict[str, Any] = {}
    for title, irregular in (("regular", 0.0), ("irregular", 0.22)):
        hits = wanted = said = clean = 0
        errors = []
        for seed, bpm in enumerate((45, 60, 75, 100, 130, 160)):
            for fs_hz in (25.0, 64.0, 125.0):
                truth, light = drawn_beats(bpm, irregular, fs_hz, seed)
                pulses = find_pulses(light)
                met, difference = matched(truth, pulses.t_s, 0.1)
                hits, wanted, said = hits + met, wanted + truth.size, said + pulses.t_s.size
                clean += int((pulses.confidence >= CLEAN).sum())
                errors.append(difference)
        jitter = float(np.concatenate(errors).std() * 1e3)
        out[title] = {
            "sensitivity": round(hits / wanted, 4), "precision": round(hits / said, 4), "jitter_ms": round(jitter, 1),
            "clean": round(clean / said, 4),
        }  # fmt: skip
    return out


def still(recording: Recording, starts: Floats) -> NDArray[np.bool_]:
    """Return in which spans the wrist lies still."""
    axes = [cut(recording.channels[f"acc_{a}"], starts, SPAN_S).astype(np.float64) for a in "xyz"]
    return np.asarray(np.max([np.nanstd(a, axis=1) for a in axes], axis=0) < _STILL_G, bool)


def rate_of(pulses: Pulses, start_s: float) -> float:
    """Return the rate of a span whose pulses are nearly all clean, else NaN."""
    mine = (pulses.t_s >= start_s) & (pulses.t_s < start_s + SPAN_S)
    if mine.sum() < 4 or np.mean(pulses.confidence[mine] >= CLEAN) < 0.9:
        return float("nan")
    return 60.0 / float(np.median(np.diff(pulses.t_s[mine])))


def against_reference(name: str) -> dict[str, float]:
    """Return the error of rates from pulses in still spans, and the share of those that were answered."""
    errors, n_still, n_said = [], 0, 0
    for recording in adapter(name).read(data_root()):
        light = recording.channels["ppg"]
        starts = np.arange(0.0, light.end_s - SPAN_S, SPAN_S)
        truth = reference_bpm(recording, starts + SPAN_S)
        pulses = find_pulses(light)
        for k in np.flatnonzero(still(recording, starts) & np.isfinite(truth)):
            found = rate_of(pulses, float(starts[k]))
            n_still += 1
            if np.isfinite(found):
                n_said += 1
                errors.append(abs(found - truth[k]))
    return {
        "still_spans": n_still, "answered": round(n_said / max(1, n_still), 3),
        "mae_bpm": round(float(np.mean(errors)), 2), "median_bpm": round(float(np.median(errors)), 2),
    }  # fmt: skip


def network_beside_pulses() -> dict[str, float]:
    """
    Return how the shipped network's rates agree with those of clean pulses on the E4, a device it was never trained on.

    Two methods that share nothing but the light; the E4's own heart rate stands beside them, at its best lag.
    """
    model = open_model(TASK)
    answered, ours, theirs = [], [], []
    for recording in adapter("stress-predict").read(data_root()):
        if not {"ppg", "hr"} <= recording.channels.keys():
            continue
        estimates = infer(TASK, recording, model)
        pulses = find_pulses(recording.channels["ppg"])
        rate = np.array([rate_of(pulses, e.start_s) for e in estimates])
        said = np.array([e.value is not None for e in estimates])
        guess = np.array([e.extras["guess_bpm"] for e in estimates])
        middle = np.array([e.end_s for e in estimates]) - SPAN_S / 2
        device = recording.channels["hr"]
        lagged = [np.abs(np.interp(middle + lag, device.times(), device.samples) - rate) for lag in range(0, 21, 2)]
        both = said & np.isfinite(rate)
        answered.append(said.mean())
        ours.append(np.abs(guess - rate)[both])
        theirs.append(min(lagged, key=lambda d: float(np.nanmedian(d)))[both])
    return {
        "people": len(answered), "windows_answered": round(float(np.mean(answered)), 3),
        "windows_compared": sum(o.size for o in ours),
        "network_median_bpm": round(float(np.median(np.concatenate(ours))), 2),
        "network_mae_bpm": round(float(np.mean(np.concatenate(ours))), 2),
        "e4_mae_bpm": round(float(np.mean(np.concatenate(theirs))), 2),
    }  # fmt: skip


def beside_e4() -> dict[str, float]:
    """Return how our intervals compare with the E4's own, and how often healthy people are called irregular."""
    agreed, differences, spans, irregular = [], [], 0, 0
    for recording in adapter("stress-predict").read(data_root()):
        path = Path(recording.origin) / "IBI.csv"
        if "ppg" not in recording.channels or not path.is_file():
            continue
        theirs = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        pulses = find_pulses(recording.channels["ppg"])
        ours_end, ours = pulses.t_s[1:], np.diff(pulses.t_s)
        clean = (pulses.confidence[1:] >= CLEAN) & (pulses.confidence[:-1] >= CLEAN)
        offset = recording.channels["ppg"].t0_s
        at = np.abs(ours_end[:, None] - (theirs[:, 0] + offset)[None]).argmin(axis=0)
        near = np.abs(ours_end[at] - theirs[:, 0] - offset) < 0.5
        same = ours[at][near & clean[at]] - theirs[near & clean[at], 1]
        differences.append(same)
        agreed.append(np.mean(np.abs(same) < 0.05))
        for run in pulses.clean_runs(61):
            seen = check_rhythm(run)
            spans, irregular = spans + seen.irregular.size, irregular + int(seen.irregular.sum())
    every = np.concatenate(differences)
    return {
        "people": len(agreed), "intervals": int(every.size), "within_50_ms": round(float(np.mean(agreed)), 3),
        "median_difference_ms": round(float(np.median(np.abs(every)) * 1e3), 1),
        "windows_of_60_beats": spans, "called_irregular": round(irregular / max(1, spans), 4),
    }  # fmt: skip


def main() -> None:
    """Measure, keep and print."""
    result: dict[str, Any] = {"drawn": on_drawn(), "BAMI-1 at rest": against_reference("bami-1")}
    result["beside the E4's intervals"] = e4 = beside_e4()
    drawn, rest = result["drawn"], result["BAMI-1 at rest"]
    result["network beside pulses on the E4"] = both = network_beside_pulses()
    result["goals"] = [
        goal("PPG pulses, drawn beats: sensitivity, precision (irregular)", "–",
             ", ".join(f"{v['sensitivity']:.3f}, {v['precision']:.3f}" for v in drawn.values()), None, COMMAND),
        goal("BAMI-1, spans in which the wrist is still: rate from pulses, median error (share answered)", "–",
             f"{rest['median_bpm']} BPM ({rest['answered']:.0%} of {rest['still_spans']})", None, COMMAND),
        goal("beside the E4's own intervals: within 50 ms; healthy people called irregular", "–",
             f"{e4['within_50_ms']:.1%}; {e4['called_irregular']:.1%} of windows", None, COMMAND),
        goal("E4 (never trained on): the network beside rates from clean pulses, mean difference", "–",
             f"{both['network_mae_bpm']} BPM (the E4's own, at its best lag: {both['e4_mae_bpm']}); "
             f"{both['windows_answered']:.0%} of all windows answered", None, COMMAND),
    ]  # fmt: skip
    write(Path(__file__).parent / "results" / "heart_rate_pulses.json", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

"""Other people's R-peak detectors on the same records as ours: wfdb, neurokit2, sleepecg, biosppy, heartpy."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.disturbances import disturbed
from data.recording import Recording
from pipelines.beat_detection.blocks import detect_beats
from pipelines.beat_detection.matching import match_beats, rates

DAY_S = 86400.0
Detector = Callable[[NDArray[np.float32], float], NDArray[np.float64]]


def ours(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    """Return beats by our shipped detector."""
    return detect_beats(ecg, fs_hz).time_s


def _neurokit(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    import neurokit2

    _, found = neurokit2.ecg_peaks(ecg, sampling_rate=int(fs_hz))
    return np.asarray(found["ECG_R_Peaks"], np.float64) / fs_hz


def _neurokit_cleaned(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    import neurokit2

    return _neurokit(neurokit2.ecg_clean(ecg, sampling_rate=int(fs_hz)), fs_hz)


def _sleepecg(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    from sleepecg.heartbeats import detect_heartbeats

    return np.asarray(detect_heartbeats(ecg.astype(np.float64), fs_hz), np.float64) / fs_hz


def _biosppy(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    from biosppy.signals.ecg import correct_rpeaks, hamilton_segmenter

    (peaks,) = hamilton_segmenter(ecg, fs_hz)
    (peaks,) = correct_rpeaks(ecg, peaks, fs_hz)
    return np.unique(peaks) / fs_hz


def _heartpy(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    import heartpy

    level = heartpy.remove_baseline_wander(ecg.astype(np.float64), fs_hz)
    data, _ = heartpy.process(heartpy.scale_data(level), fs_hz)
    return np.asarray(data["peaklist"], np.float64) / fs_hz


def _gqrs(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    from wfdb.processing import gqrs_detect

    return np.asarray(gqrs_detect(ecg.astype(np.float64), fs=fs_hz), np.float64) / fs_hz


def _xqrs(ecg: NDArray[np.float32], fs_hz: float) -> NDArray[np.float64]:
    from wfdb.processing import xqrs_detect

    return np.asarray(xqrs_detect(ecg.astype(np.float64), fs_hz, verbose=False), np.float64) / fs_hz


PEERS: dict[str, Detector] = {
    "neurokit2": _neurokit, "neurokit2, cleaned": _neurokit_cleaned, "sleepecg": _sleepecg, "biosppy": _biosppy,
    "heartpy": _heartpy, "wfdb gqrs": _gqrs, "wfdb xqrs": _xqrs,
}  # fmt: skip
QUICK = ("neurokit2", "neurokit2, cleaned", "sleepecg")  # the others take minutes a disturbance


def measure(
    detector: Detector, recordings: Sequence[Recording], *, passes: int = 1, disturbance: str | None = None
) -> dict[str, Any]:
    """
    Return gross F1, sensitivity and precision over records, and the processor's seconds that a day's ECG takes.

    Parameters
    ----------
    passes : int, default=1
        The time is that of the fastest pass: what else the machine does is not the detector's.
    disturbance : str, optional
        Of `benchmarks.disturbances`, laid over each record.
    """
    # One thread each: the processor's seconds of several would be added up, waiting and all.
    with threadpool_limits(1):
        return _measured(detector, recordings, passes, disturbance)


def _measured(
    detector: Detector, recordings: Sequence[Recording], passes: int, disturbance: str | None
) -> dict[str, Any]:
    counts, failed, length, taken = np.zeros(3, np.int64), 0, 0.0, 0.0
    for number, recording in enumerate(recordings):
        ecg = recording.require("ecg")
        samples, fs_hz = ecg.samples, ecg.fs_hz
        if disturbance is not None:
            samples, fs_hz = disturbed(disturbance, samples, fs_hz, number)
        found, seconds = _fastest(detector, samples, fs_hz, passes)
        failed += found is None
        taken, length = taken + seconds, length + samples.size / fs_hz
        met = match_beats(recording.annotations["beats"].t_s, np.empty(0) if found is None else found)
        counts += (met.hits, met.extra.size, met.missed.size)
    return {**rates(*(int(n) for n in counts)), "cpu_s_a_day": round(taken * DAY_S / length, 2)} | (
        {"records_refused": failed} if failed else {}
    )


def _fastest(
    detector: Detector, samples: NDArray[np.float32], fs_hz: float, passes: int
) -> tuple[NDArray[np.float64] | None, float]:
    found, best = None, np.inf
    for _ in range(passes):
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = np.sort(detector(samples, fs_hz))
            except Exception:  # peers raise their own kinds on records that they cannot read
                found = None
        best = min(best, time.process_time() - began)
    return found, best

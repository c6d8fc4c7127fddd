"""Heart-rate variability from beats: RMSSD, SDNN, pNN50, LF/HF; ectopic beats taken out, too little said to be so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# 30 to 200 BPM: an interval outside is a beat missed, or one too many.
_SHORTEST_S, _LONGEST_S = 0.3, 2.0
# An interval that differs by more from the median of the eleven around it is not of the sinus node ...
_MOST = 0.20
# ... nor are a short one and a long one beside each other, beyond 5.2 quartile deviations (Lipponen and Tarvainen): a
# premature beat and its pause. Breathing, too, shortens by a tenth, but not from beat to beat.
_DEVIATIONS, _LEAST = 5.2, 0.08
_AROUND = 11
# Task Force of the ESC and NASPE, Circulation 1996;93:1043-1065: five minutes are the short recording's standard.
STANDARD_S = 300.0
_FEWEST, _LEAST_CLEAN = 30, 0.8
_LEAST_FREQUENCY_S = 120.0  # two minutes hold LF's slowest wave five times
_LF, _HF = (0.04, 0.15), (0.15, 0.40)
_GRID_HZ = 4.0


@dataclass(frozen=True)
class Variability:
    """
    Variability of one span.

    Parameters
    ----------
    n : int
        NN intervals used.
    clean : float
        Share of the intervals that were kept, in [0, 1].
    mean_bpm, rmssd_ms, sdnn_ms : float or None
    pnn50 : float or None
        Share of successive differences above 50 ms, in [0, 1].
    lf_hf : float or None
        Power from 0.04 to 0.15 Hz over that from 0.15 to 0.40 Hz; None below two minutes.

    Notes
    -----
    Everything but `n` and `clean` is None with fewer than 30 intervals or less than 80 % of them clean: too little to
    say, not a guess.
    """

    n: int
    clean: float
    mean_bpm: float | None = None
    rmssd_ms: float | None = None
    sdnn_ms: float | None = None
    pnn50: float | None = None
    lf_hf: float | None = None


def normal_intervals(beats_s: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """
    Return the intervals between beats in seconds, shape (n - 1,), and which are normal-to-normal.

    An ectopic beat makes two intervals wrong, the short one before it and the pause after it: both go.

    References
    ----------
    .. [1] Lipponen, Tarvainen, J Med Eng Technol 2019;43(3):173-181, doi:10.1080/03091902.2019.1640306.
    """
    intervals = np.diff(np.asarray(beats_s, np.float64))
    if not intervals.size:
        return intervals, np.zeros(0, bool)
    possible = (intervals >= _SHORTEST_S) & (intervals <= _LONGEST_S)
    width = min(_AROUND, intervals.size - (1 - intervals.size % 2))
    padded = np.pad(
        np.where(possible, intervals, np.nan), width // 2, mode="reflect" if intervals.size > width else "edge"
    )
    around = np.lib.stride_tricks.sliding_window_view(padded, width)
    known = np.isfinite(around).any(axis=1)
    median = np.full(intervals.size, np.nan)
    median[known] = np.nanmedian(around[known], axis=1)
    apart = intervals / median - 1.0
    quartiles = np.percentile(apart[possible], [25, 75]) if possible.any() else np.zeros(2)
    limit = np.clip(_DEVIATIONS * (quartiles[1] - quartiles[0]) / 2, _LEAST, _MOST)
    with np.errstate(invalid="ignore"):
        early = (np.minimum(apart[:-1], apart[1:]) < -limit) & (np.maximum(apart[:-1], apart[1:]) > limit)
        normal = possible & (np.abs(apart) <= _MOST)
    normal[:-1] &= ~early
    normal[1:] &= ~early
    return intervals, normal


def variability(beats_s: NDArray[np.float64]) -> Variability:
    """
    Return the variability of the beats of one span (5 min by the standard).

    Parameters
    ----------
    beats_s : ndarray of float64, shape (n,)
        Increasing times of R peaks or pulses in seconds.

    References
    ----------
    .. [1] Task Force of the ESC and NASPE, Circulation 1996;93(5):1043-1065, doi:10.1161/01.CIR.93.5.1043.

    Examples
    --------
    >>> variability(np.arange(0.0, 120.0, 0.8)).rmssd_ms
    0.0
    """
    intervals, normal = normal_intervals(beats_s)
    clean = float(normal.mean()) if normal.size else 0.0
    nn = intervals[normal]
    if nn.size < _FEWEST or clean < _LEAST_CLEAN:
        return Variability(int(nn.size), clean)
    both = normal[1:] & normal[:-1]  # a difference across what was taken out is none
    differences = np.diff(intervals)[both]
    return Variability(
        int(nn.size), clean, float(60.0 / nn.mean()),
        round(float(np.sqrt((differences**2).mean()) * 1e3), 6) if differences.size else None,
        float(nn.std(ddof=1) * 1e3),
        float((np.abs(differences) > 0.05 + 1e-9).mean()) if differences.size else None,
        _lf_hf(np.asarray(beats_s, np.float64)[1:][normal], nn),
    )  # fmt: skip


def _lf_hf(times_s: NDArray[np.float64], nn_s: NDArray[np.float64]) -> float | None:
    if times_s[-1] - times_s[0] < _LEAST_FREQUENCY_S:
        return None
    from scipy.interpolate import CubicSpline  # heavy, and a server that stores samples needs neither
    from scipy.signal import welch

    grid = np.arange(times_s[0], times_s[-1], 1.0 / _GRID_HZ)
    even = CubicSpline(times_s, nn_s)(grid)
    length = min(grid.size, int(_GRID_HZ * _LEAST_FREQUENCY_S))
    frequency, power = welch(even - even.mean(), _GRID_HZ, nperseg=length)
    low, high = (float(power[(frequency >= a) & (frequency < b)].sum()) for a, b in (_LF, _HF))
    return low / high if high > 0 else None

"""
The classical rules of actigraphy: Cole–Kripke, Sadeh and Oakley, from the papers.

Each was fitted to its own device's counts. Ours are te Lindert's, made to resemble the Actiwatch's; `scale` brings
them to a rule's own unit. No default was fitted to anything: a rule whose counts are scaled to it may do better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Asleep = NDArray[np.bool_]


def cole_kripke(counts: NDArray[np.float64], scale: float = 1.0 / 30.0) -> Asleep:
    """
    Tell for each 30 s epoch whether it is asleep by Cole–Kripke's rule on minutes.

    Parameters
    ----------
    counts : ndarray, shape (n, 2)
        Counts of each 15 s. NaN counts as stillness.
    scale : float, default=1/30
        From counts of a minute to the mean of the paper's epochs of 2 s.

    Returns
    -------
    ndarray of bool, shape (n,)

    References
    ----------
    Cole, Kripke et al., Sleep 1992;15(5):461–469, doi:10.1093/sleep/15.5.461, formula for one-minute means.
    """
    minutes = _minutes(counts, scale)
    if not minutes.size:
        return np.empty(0, np.bool_)
    weights = np.array([106.0, 54.0, 58.0, 76.0, 230.0, 74.0, 67.0])
    index = 0.001 * np.correlate(np.pad(minutes, (4, 2)), weights, "valid")
    return _to_epochs(index < 1.0, len(counts))


def sadeh(counts: NDArray[np.float64], scale: float = 1.0) -> Asleep:
    """
    Tell for each 30 s epoch whether it is asleep by Sadeh's rule on minutes.

    PS = 7.601 - 0.065 mean(11 min) - 1.08 (minutes of 50 to 100 counts in 11) - 0.056 sd(last 6)
    - 0.703 log(count + 1); asleep where PS >= 0. Parameters and result as `cole_kripke`.

    References
    ----------
    Sadeh, Sharkey & Carskadon, Sleep 1994;17(3):201–207, doi:10.1093/sleep/17.3.201.
    """
    minutes = np.minimum(_minutes(counts, scale), 300.0)
    if not minutes.size:
        return np.empty(0, np.bool_)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(minutes, (5, 5)), 11)
    last = np.lib.stride_tricks.sliding_window_view(np.pad(minutes, (5, 0)), 6)
    bouts = ((around >= 50) & (around < 100)).sum(1)
    score = 7.601 - 0.065 * around.mean(1) - 1.08 * bouts - 0.056 * last.std(1) - 0.703 * np.log(minutes + 1.0)
    return _to_epochs(score >= 0.0, len(counts))


def oakley(counts: NDArray[np.float64], threshold: float = 40.0, scale: float = 1.0) -> Asleep:
    """
    Tell for each 30 s epoch whether it is asleep by the Actiwatch's rule.

    An epoch counts twice itself, a fifth of the two on each side and 1/25 of the two beyond; awake above `threshold`
    (20 low, 40 medium, 80 high). Parameters and result as `cole_kripke`.

    References
    ----------
    Oakley, Validation with polysomnography of the Sleepwatch sleep/wake scoring algorithm, Mini Mitter 1997; weights
    for 30 s as in the Actiware manual.
    """
    epochs = np.nan_to_num(counts).sum(1) * scale
    weights = np.array([0.04, 0.04, 0.2, 0.2, 2.0, 0.2, 0.2, 0.04, 0.04])
    total = np.correlate(np.pad(epochs, 4), weights, "valid") if epochs.size else epochs
    return np.asarray(total <= threshold)


def _minutes(counts: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    epochs = np.nan_to_num(counts).sum(1) * scale
    return np.asarray(np.pad(epochs, (0, epochs.size % 2)).reshape(-1, 2).sum(1), np.float64)


def _to_epochs(minutes: Asleep, n: int) -> Asleep:
    return np.repeat(minutes, 2)[:n]

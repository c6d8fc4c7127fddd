"""Activity counts from raw acceleration: the one that sleep-accel holds, and ActiGraph's."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from data.errors import ChannelError

FS_HZ = 50.0  # rate for which te Lindert's formula was validated
COUNT_S = 15.0
# Below this the band of 3–11 Hz cannot be seen (te Lindert: "less than 30 Hz is not reliable").
MIN_FS_HZ = 25.0
_PASS_HZ = (3.0, 11.0)
_ORDER = 5
_BIN_EDGES_G = np.linspace(0.0, 5.0, 129)
_OFFSET, _GAIN = 18.0, 3.07
# 5 s before each epoch: the filter's longest time constant is 0.3 s.
LEAD_S = 5.0


def lindert_counts(acc_z_g: NDArray[np.floating], fs_hz: float = FS_HZ) -> NDArray[np.float64]:
    """
    Return te Lindert's activity counts of 15 s from one axis: what stands in ``sleep-accel/cropped``.

    The z axis is put on 50 Hz, band-passed (Butterworth of order 5, 3–11 Hz, forward and backward), rectified, put
    into 128 bins over 0–5 g; the largest bin of each second is summed over 15 s, less 18, times 3.07, not below 0.

    Parameters
    ----------
    acc_z_g : ndarray, shape (n_samples,)
        In g. NaN (a gap) counts as stillness at the value before it.
    fs_hz : float
        At least 25 Hz.

    Returns
    -------
    ndarray of float64, shape (n_samples // (15 * fs_hz),)

    Raises
    ------
    ChannelError
        If the rate is too low to see the band.

    References
    ----------
    te Lindert & Van Someren, Sleep 2013;36(5):781–789, doi:10.5665/sleep.2648. Walch et al., Sleep 2019;42(12):zsz180,
    doi:10.1093/sleep/zsz180, whose sums number the bins from 1, as here: stillness gives 15, under the offset of 18.
    """
    z = _at_50_hz(_filled(np.asarray(acc_z_g, np.float64)), fs_hz)
    if z.size < COUNT_S * FS_HZ:
        return np.empty(0)
    return _count(_bins(scipy.signal.filtfilt(*_band(), z)))


def lindert_blocks(blocks_g: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the counts of epochs, each filtered alone so that streaming and offline agree to the bit.

    Departs from `lindert_counts` in this only: the backward pass begins at the end of each epoch.

    Parameters
    ----------
    blocks_g : ndarray, shape (n_epochs, (LEAD_S + 30) * 50)
        50 Hz, the `LEAD_S` before each epoch included, without NaN.

    Returns
    -------
    ndarray of float64, shape (n_epochs, 2)
    """
    filtered = scipy.signal.filtfilt(*_band(), blocks_g, axis=1)[:, int(LEAD_S * FS_HZ) :]
    return np.stack([_count(_bins(row)) for row in filtered]) if len(filtered) else np.empty((0, 2))


def actigraph_counts(acc_g: NDArray[np.floating], fs_hz: float, epoch_s: float = 30.0) -> NDArray[np.float64]:
    """
    Return ActiGraph's activity counts of one axis, as published.

    To 30 Hz, the published filter of order 7, scaled to the old device's units, cut at 128, dead band 4, to 10 Hz,
    summed.

    Parameters
    ----------
    acc_g : ndarray, shape (n_samples,)
        One axis in g.
    fs_hz : float
    epoch_s : float, default=30.0

    Returns
    -------
    ndarray of float64, shape (n_epochs,)

    References
    ----------
    Neishabouri et al., Sci Rep 2022;12:11958, doi:10.1038/s41598-022-16003-x. Departs from it in resampling by
    linear interpolation after an anti-alias filter in place of upsampling by 3.
    """
    x = _filled(np.asarray(acc_g, np.float64))
    if x.size < 2:
        return np.empty(0)
    if fs_hz > 30.0:
        x = (
            scipy.signal.sosfiltfilt(scipy.signal.butter(4, 15.0 / (fs_hz / 2) * 0.95, output="sos"), x)
            if x.size > 30
            else x
        )
    x = np.round(np.interp(np.arange(int(x.size / fs_hz * 30)) / 30.0, np.arange(x.size) / fs_hz, x), 3)
    if not x.size:
        return np.empty(0)
    state = scipy.signal.lfilter_zi(_AG_B, _AG_A) * x[0]
    y = scipy.signal.lfilter(_AG_B, _AG_A, x, zi=state)[0] * _AG_GAIN
    y = np.minimum(np.abs(y), 128.0)
    y = np.floor(np.where(y < 4.0, 0.0, y))
    y = y[: y.size // 3 * 3].reshape(-1, 3).mean(1)
    per_epoch = round(10 * epoch_s)
    n = y.size // per_epoch
    return np.asarray(np.floor(y[: n * per_epoch].reshape(n, per_epoch)).sum(1), np.float64)


# Filter and scale of Neishabouri et al. 2022, table in the supplement.
_AG_B = np.array(
    [-0.009341062898525, -0.025470289659360, -0.004235264826105, 0.044152415456420,
     0.036493718347760, -0.011893961934740, -0.022917390623150, -0.006788163862310]
)  # fmt: skip
_AG_A = np.array(
    [1.0, -3.63367395910957, 5.03689812757486, -3.09612247819666,
     0.50620507633883, 0.32421701566682, -0.1568548587556, 0.0194913020589]
)  # fmt: skip
_AG_GAIN = (3.0 / 4096.0) / (2.6 / 256.0) * 237.5


def _band() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    b, a = scipy.signal.butter(_ORDER, [f / (FS_HZ / 2) for f in _PASS_HZ], "bandpass")
    return b, a


def _bins(filtered_g: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.digitize(np.abs(filtered_g), _BIN_EDGES_G)


def _count(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    second, epoch = int(FS_HZ), int(COUNT_S)
    n = bins.size // (second * epoch)
    peaks = bins[: n * second * epoch].reshape(n, epoch, second).max(2)
    return np.asarray(np.maximum((peaks.sum(1) - _OFFSET) * _GAIN, 0.0), np.float64)


def _at_50_hz(z: NDArray[np.float64], fs_hz: float) -> NDArray[np.float64]:
    if fs_hz < MIN_FS_HZ:
        raise ChannelError(
            f"activity counts need acceleration at {MIN_FS_HZ:g} Hz or more, got {fs_hz:g} Hz; "
            "send it faster, or send a channel of counts"
        )
    if fs_hz == FS_HZ or not z.size:
        return z
    return np.interp(np.arange(round(z.size / fs_hz * FS_HZ)) / FS_HZ, np.arange(z.size) / fs_hz, z)


def _filled(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hold the last value through gaps: a step would ring in the band."""
    known = np.isfinite(x)
    if known.all() or not known.any():
        return np.nan_to_num(x)
    at = np.maximum.accumulate(np.where(known, np.arange(x.size), 0))
    at[at < np.flatnonzero(known)[0]] = np.flatnonzero(known)[0]
    return np.asarray(x[at])

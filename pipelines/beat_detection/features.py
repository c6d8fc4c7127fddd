"""What tells a heartbeat from a T wave, a P wave or a knock on the electrode: scale-free features of each candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.beat_detection.bands import GRID_HZ, at, beat_level, envelope, quiet_level

_SEPARATION = 5  # grid samples: a candidate is the highest point within 78 ms to either side
_LOWEST = 0.1  # of the usual beat: what is smaller is never a candidate
_EDGE = 4  # grid samples at a block's ends, where the transform wraps round
_FLOOR = 1e-9
_FLAT = 3e-4  # of the block's highest peak: what is lower, on a lead that came off, is the transform's own rounding
FAR = 1e4  # seconds: the place of an empty slot
_LAGS = 6  # neighbours looked at to either side: 0.65 s hold no more
# Distances to neighbours, s: inside one beat, refractory, T wave, next fast beat.
_NEAR = ((0.0, 0.2), (0.2, 0.3), (0.3, 0.45), (0.45, 0.65))
_HALF = 6  # grid samples to either side that a template compares: 94 ms, a QRS complex with its flanks

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """
    Peaks of the envelope, block by block, padded to the fullest block.

    Parameters
    ----------
    index : ndarray of intp, shape (n_blocks, k)
        Grid sample of each; 0 in an empty slot.
    time_s : ndarray of float32, shape (n_blocks, k)
        Seconds since the block's start, increasing; beyond `FAR` in an empty slot.
    valid : ndarray of bool, shape (n_blocks, k)
    first : ndarray of float32, shape (n_blocks, k, 12)
        Features of stage one.
    """

    index: NDArray[np.intp]
    time_s: Floats
    valid: NDArray[np.bool_]
    first: Floats


def find_candidates(
    qrs: NDArray[np.complex64], slow: NDArray[np.complex64], sharp: NDArray[np.complex64], floor: Floats
) -> Candidates:
    """
    Return the candidates of each block and their stage-one features, from the band signals (n_blocks, 2048).

    `floor`, shape (n_blocks,), is what rounding alone can make of the samples.
    """
    e = envelope(qrs)
    level = beat_level(e)
    least = np.maximum(np.maximum(floor, _FLOOR), _FLAT * e.max(axis=1))[:, None]
    peak = (e == highest_within(e, _SEPARATION)) & (e > least)
    peak[:, :_EDGE] = peak[:, -_EDGE:] = False
    block, where = np.nonzero(peak)
    tall = e[block, where] > _LOWEST * level[block, np.minimum(where // 96, level.shape[1] - 1)]
    index, valid = _pack(block[tall], where[tall], len(e))
    time_s = np.where(valid, index / GRID_HZ, FAR + np.arange(index.shape[1])).astype(np.float32)
    return Candidates(index, time_s, valid, _first(e, level, slow, sharp, index, time_s, valid))


def _pack(block: NDArray[np.intp], where: NDArray[np.intp], n: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    count = np.bincount(block, minlength=n)
    place = np.arange(block.size) - np.repeat(np.cumsum(count) - count, count)
    index = np.zeros((n, max(2, int(count.max(initial=0)))), np.intp)
    index[block, place] = where
    return index, np.arange(index.shape[1]) < count[:, None]


def _log(x: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(x, _FLOOR)), np.float32)


def _first(
    e: Floats, level: Floats, slow: NDArray[np.complex64], sharp: NDArray[np.complex64],
    index: NDArray[np.intp], time_s: Floats, valid: NDArray[np.bool_],
) -> Floats:  # fmt: skip
    usual = _log(at(level, index))
    size = np.clip(_log(np.take_along_axis(e, index, 1)) - usual, -3.0, 2.0)
    columns = [size]
    # In the other bands the peak may stand a little aside: take the highest within 62 ms (slow) or 47 ms (sharp).
    for band, reach in ((slow, 4), (sharp, 3)):
        other = envelope(band)
        here = np.take_along_axis(highest_within(other, reach), index, 1)
        columns.append(np.clip(_log(here) - _log(at(beat_level(other), index)), -3.0, 2.0))
    columns.append(np.clip(usual - _log(at(quiet_level(e), index)), -1.0, 5.0))
    columns += [np.clip(other - size, -4.0, 3.0) for other in neighbours(time_s, size, valid, -3.0)]
    return np.stack(columns, axis=2).astype(np.float32)


def highest_within(e: Floats, reach: int) -> Floats:
    """Return the running maximum over `reach` samples to either side; at the ends over what there is."""
    width, span, best = 2 * reach + 1, 1, e
    while 2 * span <= width:  # maxima over 2, 4, 8 samples from here on: fewer passes than one a sample
        best, span = np.maximum(best[:, : best.shape[1] - span], best[:, span:]), 2 * span
    rest = width - span
    best = np.maximum(best[:, : best.shape[1] - rest], best[:, rest:]) if rest else best
    found = e.copy()  # the ends themselves are never candidates
    found[:, reach : reach + best.shape[1]] = best
    return found


def shift(values: Floats, k: int, fill: float) -> Floats:
    """Return `values` moved `k` slots to the right (left where negative) within each block."""
    out = np.full_like(values, fill)
    if k > 0:
        out[:, k:] = values[:, :-k]
    else:
        out[:, :k] = values[:, -k:]
    return out


def neighbours(time_s: Floats, values: Floats, valid: NDArray[np.bool_], fill: float) -> list[Floats]:
    """Return the largest value among the neighbours before, then after, in each range of `_NEAR`; `fill` if none."""
    masked = np.where(valid, values, np.float32(fill))
    found = []
    for side in (1, -1):
        best = [np.full_like(masked, fill) for _ in _NEAR]
        for k in range(1, min(_LAGS, masked.shape[1] - 1) + 1):
            distance = np.abs(shift(time_s, side * k, -side * 2 * FAR) - time_s)
            value = shift(masked, side * k, fill)
            for (low, high), slot in zip(_NEAR, best, strict=True):
                np.maximum(slot, np.where((distance > low) & (distance <= high), value, np.float32(fill)), out=slot)
        found += best
    return found


def second_features(
    found: Candidates, shape_band: NDArray[np.complex64], score: Floats, selected: NDArray[np.bool_]
) -> Floats:
    """
    Return the stage-two features, shape (n_blocks, k, 21): likeness to the block's beats, and place in its rhythm.

    Parameters
    ----------
    score : ndarray of float32, shape (n_blocks, k)
        Log odds of stage one.
    selected : ndarray of bool, shape (n_blocks, k)
        What stage one would answer.
    """
    usual, spread, before, after = rhythm(found.time_s, selected)
    t, rr = found.time_s, usual[:, None]
    columns = [
        np.clip(score, -8.0, 8.0),
        *likeness(shape_band, found, selected),
        np.clip((t - before) / rr, 0.0, 2.5),
        np.clip((after - t) / rr, 0.0, 2.5),
        np.clip((after - before) / rr, 0.0, 4.0),
        np.broadcast_to(spread[:, None], t.shape),
        np.clip(t - before, 0.0, 2.0),
        np.clip(after - t, 0.0, 2.0),
        *neighbours(t, np.clip(score, -6.0, 6.0), found.valid, -6.0),
    ]
    return np.concatenate([found.first[:, :, :4], np.stack(columns, axis=2)], axis=2).astype(np.float32)


def rhythm(time_s: Floats, selected: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats, Floats]:
    """
    Return the median RR interval and its relative spread (n_blocks,), and for each candidate the time of the
    selected one before and after it (n_blocks, k), far away where there is none.
    """
    so_far = np.maximum.accumulate(np.where(selected, time_s, np.float32(-2 * FAR)), axis=1)
    before = shift(so_far, 1, -2 * FAR)
    to_come = np.minimum.accumulate(np.where(selected, time_s, np.float32(2 * FAR))[:, ::-1], axis=1)[:, ::-1]
    after = shift(to_come, -1, 2 * FAR)
    rr = np.sort(np.where(selected & (before > -FAR), time_s - before, np.float32(np.inf)), axis=1)
    count = np.isfinite(rr).sum(axis=1)
    rows = np.arange(len(rr))

    def quantile(numerator: int) -> Floats:
        return np.asarray(rr[rows, np.minimum(count * numerator // 4, rr.shape[1] - 1)], np.float32)

    with np.errstate(invalid="ignore"):
        median = np.where(count > 2, quantile(2), np.float32(0.8)).clip(0.25, 2.0)
        spread = np.where(count > 3, (quantile(3) - quantile(1)) / median, np.float32(0.3)).clip(0.0, 1.0)
    return median.astype(np.float32), spread.astype(np.float32), before, after


def likeness(
    shape_band: NDArray[np.complex64], found: Candidates, selected: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """
    Return how like each candidate is to the commonest selected shape of its block: (signed, whatever the phase).

    Both in [-1, 1]; the second forgives a shift or a turn of the heart's axis.
    """
    around = (found.index[:, :, None] + np.arange(-_HALF, _HALF + 1)).clip(0, shape_band.shape[1] - 1)
    shapes = shape_band[np.arange(len(around))[:, None, None], around]
    shapes /= np.maximum(_norm(shapes), _FLOOR)
    weight = selected.astype(np.float32)
    for _ in range(3):  # the second and third mean leave out what the first did not resemble
        template = np.matmul(weight[:, None, :], shapes)[:, 0]
        template /= np.maximum(_norm(template), _FLOOR)
        product = np.matmul(shapes, np.conj(template)[:, :, None])[:, :, 0]
        weight = selected * np.clip(product.real - 0.3, 0.0, 1.0)
    return product.real.astype(np.float32), np.abs(product).astype(np.float32)


def _norm(x: NDArray[np.complex64]) -> Floats:
    return np.asarray(np.sqrt((x.real**2 + x.imag**2).sum(axis=-1, keepdims=True)), np.float32)

"""A belief over heart rate: what is known after each window, forward in time or, offline, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_COMMON_BPM, _RARE_BPM = 70.0, 40.0


@dataclass(frozen=True)
class BeliefConfig:
    """
    How the heart rate moves and how far the network is trusted.

    Parameters
    ----------
    spread_bpm : float
        Scale of the usual change from window to window (Laplace).
    tail_bpm, tail_weight : float
        Scale and share of fast changes.
    jump : float
        Share of a change to anywhere: how a lost track is found again.
    temper : float
        Power on the network's probabilities; below 1, because windows overlap by three quarters.
    floor : float
        Probability added to each bin: no window alone rules a rate out.
    rare_low : float
        Nats against 40 BPM for each window, falling to none at 70: an arm swings, and a pedal turns, at such rates far
        more often than a heart beats so slowly. It knows nothing of whether there is motion.
    """

    spread_bpm: float = 5.0
    tail_bpm: float = 15.0
    tail_weight: float = 0.1
    jump: float = 1e-4
    temper: float = 0.8
    floor: float = 0.01
    rare_low: float = 3.0

    @classmethod
    def read(cls, config: Mapping[str, float]) -> BeliefConfig:
        """Return the config with those of its keys that a card holds."""
        return cls(**{f.name: float(config[f.name]) for f in fields(cls) if f.name in config})


class Belief:
    """
    The forward filter over rate bins.

    Parameters
    ----------
    bpm : ndarray, shape (n_bins,)
        Evenly spaced.
    config : BeliefConfig
    """

    def __init__(self, bpm: Floats, config: BeliefConfig) -> None:
        self._config = config
        self._move = transition(bpm, config)
        self._rare: Floats = config.rare_low * np.clip((_COMMON_BPM - bpm) / (_COMMON_BPM - _RARE_BPM), 0.0, None)
        self.now: Floats = np.full(bpm.size, 1.0 / bpm.size)

    def step(self, logits: NDArray[np.float32] | None) -> Floats:
        """Move one window on and take in its logits; None: nothing was sensed, so the belief only widens."""
        moved = self._move @ self.now
        if logits is not None:
            moved = moved * likelihood(logits - self._rare, self._config)
        self.now = moved / moved.sum()
        return self.now

    def smooth(self, filtered: Floats) -> Floats:
        """
        Return the belief at each window given the later ones too.

        Parameters
        ----------
        filtered : ndarray, shape (n_windows, n_bins)
            What `step` returned, in order.
        """
        out = filtered.copy()
        for k in range(len(out) - 2, -1, -1):
            predicted = self._move @ filtered[k]
            out[k] = filtered[k] * (self._move.T @ (out[k + 1] / np.maximum(predicted, 1e-300)))
            out[k] /= out[k].sum()
        return out


def transition(bpm: Floats, config: BeliefConfig) -> Floats:
    """Return the matrix that moves a belief one window on; columns sum to 1."""
    distance = np.abs(bpm[:, None] - bpm[None, :])

    def laplace(scale: float) -> Floats:
        weight: Floats = np.exp(-distance / scale)
        return np.asarray(weight / weight.sum(axis=0), np.float64)

    usual = 1.0 - config.tail_weight - config.jump
    anywhere = config.jump / bpm.size
    return usual * laplace(config.spread_bpm) + config.tail_weight * laplace(config.tail_bpm) + anywhere


def likelihood(logits: Floats, config: BeliefConfig) -> Floats:
    """Return the tempered and floored probabilities of one window's logits, shape (n_bins,)."""
    return np.asarray((odds(logits) + config.floor) ** config.temper, np.float64)


def odds(logits: NDArray[np.float32] | Floats) -> Floats:
    """Return the probabilities of one window's logits, shape (n_bins,)."""
    weight: Floats = np.exp(np.asarray(logits, np.float64) - float(np.max(logits)))
    return np.asarray(weight / weight.sum(), np.float64)


def around_mode(belief: Floats, logits: NDArray[np.float32] | None, bpm: Floats, reach: int = 4) -> float:
    """
    Return the mean rate near the belief's mode.

    The belief chooses the line; where along it, the last window knows best, because the filter lags a rising rate.
    So the belief counts with power 0.3 and the window's own probabilities with 1.
    """
    k = int(belief.argmax())
    near = slice(max(0, k - reach), k + reach + 1)
    if logits is None:
        weight = belief[near]
    else:
        weight = belief[near] ** 0.3 * np.exp(np.asarray(logits[near], np.float64) - float(np.max(logits[near])))
    return float((weight * bpm[near]).sum() / weight.sum())


def quantile(belief: Floats, bpm: Floats, share: float) -> float:
    """Return the rate below which `share` of the belief lies, between bins by straight lines."""
    step = bpm[1] - bpm[0]
    edges = np.concatenate([[bpm[0] - step / 2], bpm + step / 2])
    return float(np.interp(share, np.concatenate([[0.0], np.cumsum(belief)]), edges))


def mass_near(belief: Floats, bpm: Floats, rate: float, reach_bpm: float) -> float:
    """Return the share of the belief within `reach_bpm` of `rate`."""
    return float(belief[np.abs(bpm - rate) <= reach_bpm].sum())

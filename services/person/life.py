"""A month of somebody who does not exist, minute by minute: nights, work, exercise, a cold, a journey, a fall.

The figures are those of a healthy adult of about forty; where a source exists it is named. They are drawn from a seed,
so the same seed is the same person living the same month.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.person.night import hypnogram

DAY_MIN = 1440
LABELS = ("still", "walk", "run", "stairs", "cycle", "household", "eat", "sport")
STILL, WALK, RUN, STAIRS, CYCLE, HOUSEHOLD, EAT, _ = range(len(LABELS))
# Beats above rest that an activity asks for after some minutes of it.
DEMAND_BPM = np.array([13.0, 36.0, 88.0, 50.0, 62.0, 24.0, 17.0, 75.0])
STEPS_PER_MIN = np.array([0.0, 108.0, 164.0, 70.0, 0.0, 14.0, 1.0, 40.0])
STAGE_BPM = {"W": 8.0, "L": 0.0, "D": -2.0, "R": 4.0}
# A cold: beats at rest above usual on the days around its first (a fever adds some 8 BPM a degree), HRV follows.
COLD_BPM = {-1: 2.0, 0: 7.0, 1: 9.0, 2: 7.0, 3: 4.0, 4: 2.0}
HOME_S, AWAY_S = 3600, -18000
TRAVEL_DAY, RETURN_DAY, COLD_DAY, FALL_DAY = 12, 16, 20, 25
REST_BPM = 58.0


@dataclass(frozen=True)
class Night:
    """Time in bed: first minute of the life, and a letter of W L D R for each 30 s."""

    first_min: int
    hypnogram: str

    @property
    def last_min(self) -> int:
        """The minute in which it ends."""
        return self.first_min + len(self.hypnogram) // 2


@dataclass(frozen=True)
class Life:
    """
    What happened, one row a minute.

    Attributes
    ----------
    start : datetime
        UTC of minute 0, which is a local midnight.
    utc_offset_s : ndarray of int64, shape (n,)
    label : ndarray of int64, shape (n,)
        Index into `LABELS`; `STILL` while in bed.
    in_bed, worn : ndarray of bool, shape (n,)
    steps : ndarray of int64, shape (n,)
    heart_rate_bpm : ndarray of float64, shape (n,)
        NaN while the watch is not worn.
    nights : tuple of Night
    rmssd_ms : tuple of float
        One a night.
    falls_min : tuple of int
        Minutes with a fall.
    """

    start: datetime
    utc_offset_s: NDArray[np.int64]
    label: NDArray[np.int64]
    in_bed: NDArray[np.bool_]
    worn: NDArray[np.bool_]
    steps: NDArray[np.int64]
    heart_rate_bpm: NDArray[np.float64]
    nights: tuple[Night, ...]
    rmssd_ms: tuple[float, ...]
    falls_min: tuple[int, ...]

    def __len__(self) -> int:
        return int(self.label.size)

    def time(self, minute: float) -> datetime:
        """Return the UTC time at which `minute` begins."""
        return self.start + timedelta(minutes=minute)

    def local_days(self) -> NDArray[np.int64]:
        """Return the local day of each minute, counted from 0."""
        first = (self.start + timedelta(seconds=int(self.utc_offset_s[0]))).replace(tzinfo=None)
        from_midnight = first.hour * 60 + first.minute
        moved = (self.utc_offset_s - self.utc_offset_s[0]) // 60
        return np.asarray((from_midnight + np.arange(len(self)) + moved) // DAY_MIN, np.int64)


def live(days: int, seed: int, end: datetime) -> Life:
    """Return the `days` local days up to `end`, the last of them as far as it has come.

    Parameters
    ----------
    days : int
        A cold begins on day 20, a journey on day 12 (back on day 16), a fall happens on day 25, as far as there are
        such days.
    seed : int
    end : datetime
        Aware; the life's last minute ends here.
    """
    if days < 1:
        raise ValueError(f"a life needs at least one day. Got {days} instead.")
    end = end.astimezone(UTC).replace(second=0, microsecond=0)
    today = (end + timedelta(seconds=HOME_S)).replace(hour=0, minute=0)
    start = today - timedelta(days=days - 1, seconds=HOME_S)
    n = int((end - start).total_seconds() // 60)
    return _Writer(days, start, n, np.random.default_rng(seed)).write()


class _Writer:
    """Writes a life, a day after the other, onto arrays of minutes."""

    def __init__(self, days: int, start: datetime, n: int, rng: np.random.Generator) -> None:
        self._days, self._start, self._n, self._rng = days, start, n, rng
        self._label = np.full(n, STILL)
        self._in_bed = np.zeros(n, bool)
        self._worn = np.ones(n, bool)
        self._offset_s = np.full(n, HOME_S)
        self._leave, self._back = self._travel()
        self._offset_s[self._leave : self._back] = AWAY_S
        self._nights: list[Night] = []
        self._falls: list[int] = []

    def write(self) -> Life:
        for day in range(self._days):
            self._night(day)
            self._day(day)
        for night in self._nights:
            self._in_bed[night.first_min : night.last_min] = True
            self._label[night.first_min : night.last_min] = STILL
        steps = self._rng.poisson(STEPS_PER_MIN[self._label]) * ~self._in_bed
        rest = REST_BPM + self._strain()
        heart_rate = np.where(self._worn, self._heart_rate(rest), np.nan)
        rmssd = tuple(self._rmssd(rest[min(night.first_min, self._n - 1)]) for night in self._nights)
        return Life(
            self._start, self._offset_s, self._label, self._in_bed, self._worn, steps, heart_rate,
            tuple(self._nights), rmssd, tuple(self._falls),
        )  # fmt: skip

    def _travel(self) -> tuple[int, int]:
        """Minutes of landing there and back; both at 14:00 of the home clock."""
        leave, back = ((day - 1) * DAY_MIN + 14 * 60 for day in (TRAVEL_DAY, RETURN_DAY))
        return (min(leave, self._n), min(back, self._n)) if self._days > TRAVEL_DAY else (self._n, self._n)

    def _at(self, day: int, clock_min: float) -> int:
        """The minute of the life at which local day `day` shows `clock_min` on the wearer's clock."""
        minute = day * DAY_MIN + clock_min
        there = minute + (HOME_S - AWAY_S) / 60
        away = self._leave <= there < self._back + (HOME_S - AWAY_S) / 60 and minute >= self._leave
        return round(there if away else minute)

    def _paint(self, day: int, clock_min: float, minutes: float, label: int) -> None:
        first = self._at(day, clock_min)
        self._label[max(0, first) : max(0, first + round(minutes))] = label

    def _weekend(self, day: int) -> bool:
        local = self._start + timedelta(days=day, seconds=HOME_S)
        return local.weekday() >= 5

    def _ill(self, day: int) -> bool:
        return 0 <= day + 1 - COLD_DAY <= 3

    def _night(self, day: int) -> None:
        """The night that ends on `day`."""
        rng = self._rng
        wake = (8.0 if self._weekend(day) else 6.9) * 60 + rng.normal(0, 14)
        bed = (-0.7 if self._weekend(day) else -1.0) * 60 + rng.normal(0, 18)
        jet_lag = TRAVEL_DAY <= day <= TRAVEL_DAY + 1
        if jet_lag:
            bed, wake = bed - 70, wake - 120
        if self._ill(day):
            bed, wake = bed - 45, wake + 40
        first, last = self._at(day, bed), self._at(day, wake)
        first, last = max(0, first), min(self._n, last)
        if last - first < 60:
            return
        restless = 2.0 if self._ill(day) or jet_lag else 1.0
        self._nights.append(Night(first, hypnogram(2 * (last - first), rng, restless=restless)))

    def _day(self, day: int) -> None:
        rng = self._rng
        self._paint(day, 7 * 60 + rng.normal(15, 5), 25, HOUSEHOLD)
        self._paint(day, 7 * 60 + 45 + rng.normal(0, 5), 15, EAT)
        if self._ill(day):
            self._paint(day, 12 * 60 + 30, 20, EAT)
            self._paint(day, 15 * 60 + rng.normal(0, 20), 12, WALK)
        elif self._weekend(day):
            self._free_day(day)
        else:
            self._work_day(day)
        self._paint(day, 19 * 60 + 20 + rng.normal(0, 10), 25, EAT)
        self._paint(day, 20 * 60 + rng.normal(0, 10), 20, HOUSEHOLD)
        if day % 3 == 1:
            first = self._at(day, 21 * 60 + 10)
            self._worn[max(0, first) : max(0, first + 50)] = False
        if day + 1 == FALL_DAY and self._at(day, 15 * 60 + 42) < self._n:
            self._paint(day, 15 * 60 + 30, 12, WALK)
            self._falls.append(self._at(day, 15 * 60 + 42))

    def _work_day(self, day: int) -> None:
        rng = self._rng
        leave = 8 * 60 + 10 + rng.normal(0, 6)
        self._paint(day, leave, 17 + int(rng.integers(0, 5)), WALK)
        self._paint(day, leave + 20, 2, STAIRS)
        for hour in (9.7, 10.9, 14.6, 16.0):
            self._paint(day, hour * 60 + rng.normal(0, 12), int(rng.integers(3, 8)), WALK)
        self._paint(day, 12 * 60 + 20 + rng.normal(0, 6), 13, WALK)
        self._paint(day, 12 * 60 + 35 + rng.normal(0, 4), 25, EAT)
        self._paint(day, 17 * 60 + 35 + rng.normal(0, 12), 19, WALK)
        if day % 7 in (1, 3) and not TRAVEL_DAY - 1 <= day <= RETURN_DAY:
            self._paint(day, 18 * 60 + 20 + rng.normal(0, 8), 32 + int(rng.integers(0, 12)), RUN)

    def _free_day(self, day: int) -> None:
        rng = self._rng
        self._paint(day, 9 * 60 + 30 + rng.normal(0, 15), 55, HOUSEHOLD)
        self._paint(day, 13 * 60 + rng.normal(0, 10), 30, EAT)
        if day % 2:
            self._paint(day, 10 * 60 + 45 + rng.normal(0, 15), 80 + int(rng.integers(0, 30)), CYCLE)
        else:
            self._paint(day, 14 * 60 + 40 + rng.normal(0, 20), 55 + int(rng.integers(0, 30)), WALK)

    def _strain(self) -> NDArray[np.float64]:
        """Beats at rest above usual, one a minute: the day's chance and the cold."""
        days = np.arange(self._n) // DAY_MIN
        chance = self._rng.normal(0.0, 0.8, self._days + 2)
        cold = np.array([COLD_BPM.get(day + 1 - COLD_DAY, 0.0) for day in range(self._days + 2)])
        return np.asarray((chance + cold)[days])

    def _rmssd(self, rest_bpm: float) -> float:
        # 42 ms is the mean of healthy adults (Nunan et al. 2010, doi:10.1111/j.1540-8159.2010.02841.x); that it falls
        # by 5 % a beat of resting heart rate is our choice, so that a cold shows in both.
        return float(42.0 * np.exp(-0.05 * (rest_bpm - REST_BPM)) * np.exp(self._rng.normal(0, 0.06)))

    def _heart_rate(self, rest: NDArray[np.float64]) -> NDArray[np.float64]:
        target = rest + DEMAND_BPM[self._label]
        for night in self._nights:
            stages = np.array([STAGE_BPM[s] for s in night.hypnogram[::2]])
            span = slice(night.first_min, night.first_min + stages.size)
            # Through the night the heart slows by some beats and rises again before waking.
            dip = 4.0 * np.sin(np.linspace(0.0, np.pi, stages.size))
            target[span] = rest[span] + 1.0 - dip + stages
        noise = self._rng.normal(0.0, 1.0, self._n)
        found = np.empty(self._n)
        now, drift = float(target[0]), 0.0
        for minute in range(self._n):
            # The heart follows effort within 1.5 minutes and recovers over three.
            tau_min = 1.5 if target[minute] > now else 3.0
            now += (target[minute] - now) * (1.0 - np.exp(-1.0 / tau_min))
            drift = 0.9 * drift + noise[minute]
            found[minute] = now + drift
        return found

"""Many watches at once, in a few threads: load for a server, and the time that it takes to answer."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import numpy as np

from data.recording import Recording
from services.watch.assembly import Assembly, RunOptions
from services.watch.companion import Companion
from services.watch.encoder import encode
from services.watch.faults import PowerLost
from services.watch.link import Answer, HttpTransport, Request
from services.watch.pace import Pace, real_now_s
from services.watch.sensors import SensorStream, sense

# After the sensors have ended, so many real seconds are given to empty the outboxes.
DRAIN_S = 120.0


@dataclass(frozen=True)
class FleetOptions:
    """
    A fleet and its day.

    Attributes
    ----------
    watches : int
    hours : float
        Device hours that each watch lives.
    speed : float
        Device seconds per real second.
    threads : int
        Connections, and requests under way, at once.
    offline_hours : float
        Every watch begins with so many hours in its outbox, as if it came back from a place without a network.
    options : RunOptions
        How each watch behaves; seeds count up from its seed.
    """

    watches: int = 100
    hours: float = 1.0
    speed: float = 60.0
    threads: int = 8
    offline_hours: float = 0.0
    options: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        if self.watches < 1 or self.threads < 1 or not 0 < self.speed < float("inf"):
            raise ValueError(
                "a fleet needs at least one watch, one thread and a finite speed. "
                f"Got {self.watches}, {self.threads} and {self.speed} instead."
            )


@dataclass
class Meter:
    """What one thread's requests took; `latencies_ms` one a batch that was answered 200."""

    latencies_ms: list[float] = field(default_factory=list)
    lag_s: float = 0.0


@dataclass(frozen=True)
class FleetReport:
    """
    How a server did under a fleet.

    Attributes
    ----------
    complete : int
        Watches of which the server has confirmed everything.
    seconds : float
        Real seconds from the first chunk to the last answer, pairing not counted.
    realtime_watches : float
        Watches at real speed that would send as much: device seconds sent over real seconds.
    p50_ms, p99_ms, max_ms : float
        From a batch's first byte to its answer's last.
    lag_s : float
        Real seconds by which the latest upload came after its time: above 1, the load was not kept up.
    """

    watches: int
    device_hours: float
    complete: int
    waiting: int
    seconds: float
    requests: int
    failures: int
    stored: int
    duplicates: int
    samples: int
    bytes_sent: int
    batches_per_s: float
    samples_per_s: float
    realtime_watches: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    lag_s: float

    def body(self) -> dict[str, Any]:
        """Return the report, JSON-able."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}


class Fleet:
    """
    Watches on a server.

    Parameters
    ----------
    server : str
    recording : Recording
        Worn by all, again and again until the hours are over.
    companions : sequence of Companion
        Accounts among which the watches are dealt out, one after the other.
    options : FleetOptions
    """

    def __init__(
        self, server: str, recording: Recording, companions: Sequence[Companion], options: FleetOptions
    ) -> None:
        self._server, self._companions, self.options = server, tuple(companions), options
        self._pace = Pace(options.speed)
        streams = sense(recording, options.options.profile)
        seconds = (options.hours + options.offline_hours) * 3600.0
        self._streams = tuple(repeated(s, recording.end_s, seconds) for s in streams)
        self._assemblies: list[Assembly] = []
        self._meters = [Meter() for _ in range(min(options.threads, options.watches))]
        self._clients = [httpx.Client(trust_env=False) for _ in self._meters]
        self._seconds = 0.0

    def pair(self, on_paired: Callable[[int], None] | None = None) -> None:
        """Switch every watch on and pair it."""
        first_s = self.options.offline_hours * 3600.0
        end_s = max(s.time_of(len(s.counts)) for s in self._streams)
        # What is in the outbox already has been lived through; the rest takes its real time.
        start = self._pace.start_of(end_s - first_s) - timedelta(seconds=first_s)
        for number in range(self.options.watches):
            thread = number % len(self._meters)
            transport = _Timed(HttpTransport(self._server, self._clients[thread]), self._meters[thread])
            own = replace(self.options.options, seed=self.options.options.seed + number, start=start)
            companion = self._companions[number % len(self._companions)]
            assembly = Assembly(self._streams, transport, own, on_code=companion.approve)
            assembly.pair()
            self._assemblies.append(assembly)
            if on_paired is not None:
                on_paired(number + 1)
        for assembly in self._assemblies:
            assembly.watch.advance(first_s)

    def live(self, on_tick: Callable[[FleetReport], None] | None = None, tick_s: float = 1.0) -> FleetReport:
        """Let every watch live through its hours, and return how the server did."""
        threads = [threading.Thread(target=self._drive, args=(n,), daemon=True) for n in range(len(self._meters))]
        self._pace.restart()
        began = real_now_s()
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(tick_s)
                self._seconds = real_now_s() - began
                if on_tick is not None:
                    on_tick(self.report())
        return self.report()

    def report(self) -> FleetReport:
        """Return the figures as they stand."""
        latencies = np.array([ms for m in self._meters for ms in list(m.latencies_ms)] or [np.nan])
        sent_s = sum(a.watch.now_s for a in self._assemblies)
        waiting = sum(a.outbox.unconfirmed for a in self._assemblies)
        seconds = max(self._seconds, 1e-9)
        samples = sum(a.watch.sensed["samples"] for a in self._assemblies)
        return FleetReport(
            watches=len(self._assemblies),
            device_hours=sent_s / 3600.0,
            complete=sum(a.outbox.unconfirmed == 0 and not a.outbox.refused for a in self._assemblies),
            waiting=waiting,
            seconds=self._seconds,
            requests=sum(a.tally.requests for a in self._assemblies),
            failures=sum(n for a in self._assemblies for k, n in list(a.tally.answers.items()) if k != "200"),
            stored=sum(a.tally.stored for a in self._assemblies),
            duplicates=sum(a.tally.duplicates for a in self._assemblies),
            samples=samples,
            bytes_sent=sum(a.tally.bytes_sent for a in self._assemblies),
            batches_per_s=sum(a.tally.batches for a in self._assemblies) / seconds,
            samples_per_s=samples / seconds,
            realtime_watches=sent_s / seconds,
            p50_ms=float(np.percentile(latencies, 50)),
            p99_ms=float(np.percentile(latencies, 99)),
            max_ms=float(latencies.max()),
            lag_s=max(m.lag_s for m in self._meters),
        )

    def close(self) -> None:
        """Let go of every watch and connection."""
        for assembly in self._assemblies:
            assembly.outbox.close()
        for client in self._clients:
            client.close()

    def _drive(self, thread: int) -> None:
        """Serve this thread's watches, each when it is due."""
        step_s = self.options.options.profile.chunk_s
        mine = list(range(thread, self.options.watches, len(self._meters)))
        first_s = self.options.offline_hours * 3600.0
        # Spread over a chunk's length: a thousand watches do not all begin in the same second.
        phase_s = {n: step_s * n / self.options.watches for n in mine}
        due = [(phase_s[n] + (step_s if first_s == 0 else 0.0), n) for n in mine]
        heapq.heapify(due)
        while due:
            at_s, number = heapq.heappop(due)
            self._pace.wait_until(at_s)
            meter = self._meters[thread]
            meter.lag_s = max(meter.lag_s, self._pace.behind_s(at_s))
            again_s = self._turn(self._assemblies[number], first_s + at_s - phase_s[number], step_s)
            if again_s is not None and at_s < self._last_s():
                heapq.heappush(due, (at_s + again_s, number))

    def _turn(self, assembly: Assembly, to_s: float, step_s: float) -> float | None:
        """Let one watch sense up to `to_s` and send once; return after how many device seconds it is due again."""
        # Only whole chunks: a turn that comes between two, after a wait, finds nothing new to sense.
        assembly.watch.advance(min((to_s + 1e-6) // step_s * step_s, assembly.end_s))
        try:
            outcome = assembly.watch.sync()
        except PowerLost:
            assembly.lose_power()
            return step_s
        if outcome.done:
            return step_s if to_s + 1e-6 < assembly.end_s else None
        wait_s = max(outcome.wait_s, outcome.asked_s * self._pace.speed)
        return wait_s if wait_s > 0 else 0.0

    def _last_s(self) -> float:
        return self.options.hours * 3600.0 + self.options.options.profile.chunk_s + DRAIN_S * self._pace.speed


class _Timed:
    """A transport that notes how long each batch took."""

    def __init__(self, inner: HttpTransport, meter: Meter) -> None:
        self._inner, self._meter = inner, meter

    def send(self, request: Request) -> Answer:
        """Send and note."""
        if request.path != "/v1/batches":
            return self._inner.send(request)
        began = real_now_s()
        answer = self._inner.send(request)
        if answer.status == 200:
            self._meter.latencies_ms.append((real_now_s() - began) * 1e3)
        return answer

    def break_off(self, request: Request) -> None:
        """Break off, as the transport underneath does."""
        self._inner.break_off(request)

    def close(self) -> None:
        """The fleet owns the connections."""


@dataclass(frozen=True)
class SharedStream(SensorStream):
    """A recording worn again and again by a whole fleet: each piece of it is encoded once.

    Attributes
    ----------
    period_rows : int
        Rows after which the same samples come again.
    """

    period_rows: int = 1
    pieces: dict[tuple[int, int, str], bytes] = field(default_factory=dict)

    def encoded(self, first: int, last: int, encoding: str) -> bytes:
        """Return rows [first, last) as a chunk's data."""
        # The same samples come again after each period, so the piece is known by its place in the period.
        key = (first % self.period_rows, last - first, encoding)
        if key not in self.pieces:
            self.pieces[key] = encode(self.counts[first:last], encoding)
        return self.pieces[key]


def repeated(stream: SensorStream, period_s: float, seconds: float) -> SharedStream:
    """Return `stream` repeated until it has lasted `seconds`; all watches share the one array."""
    rows = round(seconds * stream.rate_hz)
    times = int(np.ceil(seconds / period_s))
    counts = np.tile(stream.counts, (times, 1))[:rows]
    valid = np.tile(stream.valid, times)[:rows]
    return SharedStream(
        stream.name,
        stream.rate_hz,
        stream.channels,
        stream.scale,
        stream.offset,
        stream.t0_s,
        counts,
        valid,
        period_rows=len(stream.counts),
    )

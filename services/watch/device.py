"""The watch itself: sensors fill the outbox, clocks run and jump, the uplink empties it."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from data.recording import Channel
from services.watch.battery import Battery
from services.watch.clock import WatchClock
from services.watch.faults import Fault, FaultPlan
from services.watch.inference import OnWatch, WristEstimate
from services.watch.outbox import Outbox
from services.watch.records import RecordMaker
from services.watch.sensors import SensorStream
from services.watch.uplink import SyncOutcome, Uplink
from services.watch.wire import Chunk, sent_body

# How long a watch is dark when it restarts, unless the script says otherwise.
REBOOT_S = 20.0
# Raw signal that edge mode keeps on the wrist in case it is asked for: an hour, some 1.3 MB at 64 and 3 x 32 Hz.
RAW_KEPT_S = 3600.0
FIRMWARE = "wristwise-mock 1.0"


def device_id(seed: int, start: datetime) -> str:
    """Return the name of a watch that is switched on at `start`; the same again for the same arguments."""
    return f"watch-{uuid.uuid5(uuid.NAMESPACE_OID, f'{seed}/{start.isoformat()}').hex[:10]}"


@dataclass(frozen=True)
class WatchSettings:
    """How a watch behaves.

    Attributes
    ----------
    chunk_s : float
        Length of a chunk.
    encoding : str
        One of `encoder.ENCODINGS`.
    edge : bool
        Only estimates leave the wrist; raw signals stay unless asked for.
    """

    chunk_s: float = 60.0
    encoding: str = "delta-zstd"
    edge: bool = False


class Watch:
    """
    A watch on a wrist.

    Device time moves only by `advance`; the network is used only by `sync`; so anything may drive it: a replay at
    60 times the speed, a fleet, or a test step by step.

    Parameters
    ----------
    streams : sequence of SensorStream
        What its sensors give out.
    clock : WatchClock
    outbox : Outbox
        Where a watch was before, it goes on from there.
    uplink : Uplink
    plan : FaultPlan
        Its device faults (reboots, jumps, travel).
    settings : WatchSettings
    inference : OnWatch, optional
        Models on the wrist; needed for edge mode.
    """

    def __init__(
        self,
        streams: Sequence[SensorStream],
        clock: WatchClock,
        outbox: Outbox,
        uplink: Uplink,
        *,
        plan: FaultPlan | None = None,
        settings: WatchSettings | None = None,
        inference: OnWatch | None = None,
    ) -> None:
        self.streams, self.clock, self.outbox, self.uplink = tuple(streams), clock, outbox, uplink
        self.plan = plan or FaultPlan()
        self.settings = settings or WatchSettings()
        self.inference = inference
        if self.settings.edge and inference is None:
            raise ValueError("edge mode needs inference on the watch; give an OnWatch")
        self.battery: Battery = uplink.battery
        self.now_s = 0.0
        self.estimates: list[WristEstimate] = []
        self.happened: list[Fault] = []
        self.boots: dict[str, float] = {}
        self.sensed = {"chunks": 0, "samples": 0, "bytes": 0}
        self._next_seq: dict[str, int] = {}
        self._made: dict[str, int] = {}
        self._raw: deque[tuple[float, Chunk]] = deque()
        self._records = RecordMaker(clock.name)
        self._resume()

    @property
    def end_s(self) -> float:
        """Device time at which the sensors have nothing more to give."""
        return max((s.time_of(len(s.counts)) for s in self.streams), default=0.0)

    def advance(self, to_s: float) -> None:
        """Sense up to device time `to_s`; a chunk ends at each multiple of `chunk_s`, at each fault and there."""
        while self.now_s < to_s:
            grid_s = (np.floor(self.now_s / self.settings.chunk_s + 1e-9) + 1) * self.settings.chunk_s
            end_s = min(to_s, float(grid_s))
            due = self.plan.between(self.now_s, end_s)
            ahead = [f.at_s for f in due if f.at_s is not None and f.at_s > self.now_s]
            end_s = min([end_s, *ahead])
            for fault in due:
                if fault.at_s is not None and fault.at_s <= self.now_s and fault not in self.happened:
                    self._suffer(fault)
            if end_s > self.now_s:
                self._sense(end_s)

    def sync(self) -> SyncOutcome:
        """Try to send one batch of what the outbox holds."""
        return self.uplink.sync(self.clock.read(self.now_s), self.status())

    def prove(self) -> list[str] | None:
        """Compare what was ever made with what the server holds, and return what it lacks.

        Returns
        -------
        list of str or None
            ``boot/stream/seq`` of each chunk that the server lacks; what is still here will be sent again by the
            next `sync`. None where the server has no manifest.
        """
        lacking = self.uplink.compare(self._made)
        if lacking:
            self.outbox.ask_again(lacking)
        return None if lacking is None else ["/".join(map(str, key)) for key in lacking]

    def reboot(self, dark_s: float = REBOOT_S) -> None:
        """Restart: what is sensed in the next `dark_s` seconds is lost, and a new boot begins."""
        self.outbox.keep(self._state())
        self.now_s += dark_s
        self.clock.reboot(self.now_s)
        self._next_seq = {}
        self._begin_boot()
        self.outbox.keep(self._state())

    def release_raw(self, start_s: float, end_s: float) -> int:
        """Send raw signal that edge mode kept, device time [start_s, end_s); return how many chunks that are."""
        wanted = [chunk for at_s, chunk in self._raw if at_s < end_s and at_s + chunk.n / chunk.rate_hz > start_s]
        self._raw = deque((at_s, c) for at_s, c in self._raw if c not in wanted)
        numbered = [self._numbered(c) for c in wanted if c.boot_id == self.clock.boot_id]
        self.outbox.add(numbered, (), self.clock.boots, self._state())
        return len(numbered)

    def status(self) -> dict[str, Any]:
        """Return what the watch tells of itself in each batch."""
        told = {"battery": round(self.battery.level, 4), "firmware": FIRMWARE, "edge": self.settings.edge}
        if self.inference is None:
            return told
        models, refused = self.inference.versions, self.inference.refused
        return told | ({"models": models} if models else {}) | ({"models_refused": refused} if refused else {})

    def _sense(self, end_s: float) -> None:
        chunks = [c for s in self.streams for c in self._chunks(s, end_s)]
        records = self._infer(end_s)
        self.battery.sense(tuple(s.name for s in self.streams), end_s - self.now_s)
        self.sensed["chunks"] += len(chunks)
        self.sensed["samples"] += sum(c.n * len(c.channels) for c in chunks)
        self.sensed["bytes"] += sum(len(c.data) for c in chunks)
        self.now_s = end_s
        if self.settings.edge:
            self._raw.extend((end_s - self.settings.chunk_s, c) for c in chunks)
            while self._raw and self._raw[0][0] < end_s - RAW_KEPT_S:
                self._raw.popleft()
            chunks = []
        numbered = [self._numbered(c) for c in chunks]
        self.outbox.add(numbered, records, self.clock.boots, self._state())

    def _chunks(self, stream: SensorStream, end_s: float) -> list[Chunk]:
        made = []
        for first, last in stream.runs(self.now_s, end_s):
            data = stream.encoded(first, last, self.settings.encoding)
            made.append(
                Chunk(
                    self.clock.boot_id, stream.name, -1, self.clock.monotonic_us(stream.time_of(first)),
                    stream.rate_hz, stream.channels, self.settings.encoding, stream.scale, stream.offset,
                    last - first, data,
                )
            )  # fmt: skip
        return made

    def _numbered(self, chunk: Chunk) -> Chunk:
        """Give a chunk the next number of its stream, as it enters the outbox: numbers there have no holes."""
        seq = self._next_seq.get(chunk.stream, 0)
        self._next_seq[chunk.stream] = self._made[f"{chunk.boot_id}/{chunk.stream}"] = seq + 1
        return Chunk(**{**chunk.__dict__, "seq": seq})

    def _infer(self, end_s: float) -> list[dict[str, Any]]:
        if self.inference is None:
            return []
        before = self.inference.windows
        pushed: dict[str, Channel] = {}
        for stream in self.streams:
            pushed.update(self._physical(stream, end_s))
        found = self.inference.push(pushed)
        self.battery.infer(self.inference.windows - before)
        self.estimates.extend(found)
        if not self.settings.edge:
            return []
        return self._records.take(found, self.clock, end_s)

    def _physical(self, stream: SensorStream, end_s: float) -> dict[str, Channel]:
        """The next samples as the server will see them: from the counts, timed from the boot, holes as NaN."""
        first, last = stream.rows_between(self.now_s, end_s)
        if last <= first:
            return {}
        values = stream.counts[first:last].astype(np.float64) * stream.scale + stream.offset
        values[~stream.valid[first:last]] = np.nan
        # On the grid of k / rate since the boot, as the service puts chunks together.
        t0_s = round(self.clock.monotonic_us(stream.time_of(first)) * stream.rate_hz / 1e6) / stream.rate_hz
        return {
            name: Channel(name, stream.rate_hz, values[:, i].astype(np.float32), t0_s=t0_s)
            for i, name in enumerate(stream.channels)
        }

    def _suffer(self, fault: Fault) -> None:
        self.happened.append(fault)
        if fault.name == "reboot":
            self.reboot(fault.value or REBOOT_S)
        elif fault.name == "clock_jump":
            self.clock.jump(fault.value)
        elif fault.name == "travel":
            self.clock.travel(int(fault.value))

    def _begin_boot(self) -> None:
        self.boots[self.clock.boot_id] = self.clock.boot_at_s
        if self.inference is not None:
            self.inference.begin(self.clock.boot_id, [c for s in self.streams for c in s.channels])

    def _state(self) -> dict[str, Any]:
        kept = {"now_s": self.now_s, "next_seq": self._next_seq, "made": self._made, "clock": self.clock.state()}
        # A reading of both clocks is kept with every step: a boot that ends before it met the network can be placed.
        reading = self.clock.read(self.now_s)
        return {"watch": kept, f"clock/{reading.boot_id}": sent_body(reading)}

    def _resume(self) -> None:
        kept = self.outbox.get("watch")
        if kept is not None:
            self.now_s, self._next_seq = float(kept["now_s"]), dict(kept["next_seq"])
            self._made = dict(kept["made"])
            self.clock.restore(kept["clock"])
        self._begin_boot()

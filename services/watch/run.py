"""`run_watch`: one watch from its first chunk to an empty outbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from data.recording import Recording
from models.runtime import RuntimeName
from services.watch.battery import Battery
from services.watch.clock import WatchClock
from services.watch.device import FIRMWARE, Watch, WatchSettings, device_id
from services.watch.faults import Fault, FaultPlan, FaultyTransport, PowerLost
from services.watch.inference import LIVE_TASKS, OnWatch, WristEstimate
from services.watch.link import HttpTransport, Transport
from services.watch.outbox import Outbox
from services.watch.pace import Pace, real_now_s, real_sleep
from services.watch.pairing import Pairing, PairingCode
from services.watch.report import Progress, WatchReport, report_of
from services.watch.sensors import DeviceProfile, SensorStream, sense
from services.watch.uplink import Tally, Uplink
from services.watch.wire import MSGPACK

# A server that has not answered for so many real seconds is given up; the outbox keeps what waits.
PATIENCE_S = 30.0
# Between two tries after a failure, however fast device time runs: a real server needs real time to come back.
LEAST_WAIT_S = 0.02


@dataclass(frozen=True)
class RunOptions:
    """
    What `run_watch` may be asked for.

    Attributes
    ----------
    seed : int
        Decides the faults, the jitter and the names of batches.
    drop, duplicate : float
        Probability that a batch (or its answer) is lost, and that it arrives twice.
    offline : float
        Device seconds without a network, once, at a place that the seed decides.
    faults : FaultPlan, optional
        More of what may go wrong; its seed stands in for `seed` there.
    edge : bool
        Only estimates leave the wrist.
    infer : bool
        Infer on the wrist too, though raw signals are sent: for comparison with the server.
    runtime : {"litert", "micro"}
        What runs the models on the wrist.
    tasks : tuple of str
        What the wrist infers.
    state_dir : Path, optional
        Keeps outbox and tokens; a second run goes on where the first ended.
    start : datetime, optional
        True time of device second zero; default: such that the recording ends now.
    utc_offset_s : int, optional
        Time zone at the start; default: the recording's, else 0.
    drift_ppm : float
        Error of the watch's crystal.
    profile : DeviceProfile
        Rates and chunk length.
    encoding, content_type : str
        Of chunks and of batches.
    name : str, optional
        Device name as the server knows it; default: from seed and start.
    patience_s : float
        Real seconds after which a silent server is given up.
    """

    seed: int = 0
    drop: float = 0.0
    duplicate: float = 0.0
    offline: float = 0.0
    faults: FaultPlan | None = None
    edge: bool = False
    infer: bool = False
    runtime: RuntimeName = "litert"
    tasks: tuple[str, ...] = LIVE_TASKS
    state_dir: Path | None = None
    start: datetime | None = None
    utc_offset_s: int | None = None
    drift_ppm: float = 0.0
    profile: DeviceProfile = field(default_factory=DeviceProfile)
    encoding: str = "delta-zstd"
    content_type: str = MSGPACK
    name: str | None = None
    patience_s: float = PATIENCE_S


def run_watch(
    server: str,
    recording: Recording,
    speed: float = 60.0,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_code: Callable[[PairingCode], None] | None = None,
    options: RunOptions | None = None,
    transport: Transport | None = None,
    sleep: Callable[[float], None] = real_sleep,
) -> WatchReport:
    """Let a watch live through a recording and send it all to a server.

    Parameters
    ----------
    server : str
        Address of any server that speaks the sync contract.
    recording : Recording
        What the wearer's body does.
    speed : float
        Device seconds per real second; ``math.inf`` does not wait.
    on_progress : callable, optional
        Told after every step.
    on_code : callable, optional
        Told the pairing code that the wearer must approve; pairing waits for the approval.
    options : RunOptions, optional
    transport : Transport, optional
        Instead of HTTP to `server`.
    sleep : callable
        Waits in real seconds.

    Returns
    -------
    WatchReport
        `complete` when the server confirmed everything.

    Raises
    ------
    ServerRefused
        If pairing is refused or not approved in time.
    ChannelError
        If the recording has no channel that a watch senses.
    """
    options = options or RunOptions()
    world = _World(server, recording, Pace(speed), options, on_code, transport, sleep)
    try:
        return world.live(on_progress)
    finally:
        world.close()


class _World:
    """Everything around the watch: real time, the network, and a body with a recording's signals."""

    def __init__(
        self,
        server: str,
        recording: Recording,
        pace: Pace,
        options: RunOptions,
        on_code: Callable[[PairingCode], None] | None,
        transport: Transport | None,
        sleep: Callable[[float], None],
    ) -> None:
        self._options, self._pace, self._on_code, self._sleep = options, pace, on_code, sleep
        self._streams: tuple[SensorStream, ...] = sense(recording, options.profile)
        self._end_s = max(s.time_of(len(s.counts)) for s in self._streams)
        self._outbox = Outbox(options.state_dir / "outbox.sqlite" if options.state_dir else None)
        self._start = self._started_at(recording)
        offset_s = recording.utc_offset_s if options.utc_offset_s is None else options.utc_offset_s
        self._utc_offset_s = offset_s or 0
        self._name = options.name or device_id(options.seed, self._start)
        self._plan = _plan(options, self._end_s)
        self._transport = FaultyTransport(transport or HttpTransport(server), self._plan, lambda: self._watch.now_s)
        self._battery, self._tally = Battery(), Tally()
        self._estimates: list[WristEstimate] = []
        self._watch = self._switch_on()

    def live(self, on_progress: Callable[[Progress], None] | None) -> WatchReport:
        self._pair_first()
        step_s = self._options.profile.chunk_s
        self._pace.restart()
        began_s = self._watch.now_s
        next_try_s, last_word_s = began_s, real_now_s()
        while True:
            to_s = min(self._end_s, (self._watch.now_s // step_s + 1) * step_s)
            sensing = to_s > self._watch.now_s
            # When the sensors have ended, device time goes on to the next try.
            to_s = to_s if sensing else max(next_try_s, self._watch.now_s)
            self._pace.wait_until(to_s - began_s)
            self._watch.advance(to_s)
            wait_s = self._try(next_try_s)
            if wait_s is None:
                last_word_s = real_now_s()
            elif wait_s > 0:
                next_try_s = self._watch.now_s + wait_s
            if on_progress is not None:
                on_progress(Progress(min(to_s, self._end_s), self._end_s, self._outbox.unconfirmed, self._tally))
            if not sensing and self._outbox.unconfirmed == 0:
                break
            if not sensing and real_now_s() - last_word_s > self._options.patience_s:
                break
        self._transport.flush()
        faults = [*self._transport.happened, *self._device_faults()]
        return report_of(self._watch, self._device_id(), faults, [*self._estimates, *self._watch.estimates])

    def close(self) -> None:
        self._transport.close()
        self._outbox.close()

    def _try(self, next_try_s: float) -> float | None:
        """Send until the outbox is empty (None) or something says to wait (device seconds; 0: not yet time)."""
        if self._watch.now_s < next_try_s:
            return 0.0
        while True:
            try:
                outcome = self._watch.sync()
            except PowerLost:
                self._restart()
                return LEAST_WAIT_S
            if outcome.done:
                return None
            if outcome.wait_s > 0 and outcome.asked:
                self._sleep(outcome.wait_s)
                return LEAST_WAIT_S
            if outcome.wait_s > 0:
                self._sleep(max(0.0, LEAST_WAIT_S - self._pace.to_real_s(outcome.wait_s)))
                return outcome.wait_s

    def _pair_first(self) -> None:
        """Pair while nothing is sensed yet, so that the wearer's time to approve is not part of the recording."""
        if self._watch.uplink.pairing.tokens is None:
            self._tally.pairings += 1
            self._watch.uplink.pairing.pair()

    def _switch_on(self) -> Watch:
        options = self._options
        clock = WatchClock(
            self._start, name=self._name, drift_ppm=options.drift_ppm, utc_offset_s=self._utc_offset_s
        )
        device = {"device_id": self._name, "device_name": "Mock watch", "firmware": FIRMWARE}
        pairing = Pairing(self._transport, self._outbox, device=device, on_code=self._on_code, sleep=self._sleep)
        rng = np.random.default_rng((options.seed, clock.boots))
        uplink = Uplink(
            self._outbox, self._transport, pairing, rng, self._battery,
            content_type=options.content_type, seed=options.seed,
        )  # fmt: skip
        uplink.tally = self._tally
        infers = options.edge or options.infer
        return Watch(
            self._streams, clock, self._outbox, uplink,
            plan=self._plan,
            settings=WatchSettings(options.profile.chunk_s, options.encoding, options.edge),
            inference=OnWatch(options.tasks, options.runtime) if infers else None,
        )  # fmt: skip

    def _restart(self) -> None:
        """Power came back: only what the outbox keeps is still known."""
        old = self._watch
        self._estimates.extend(old.estimates)
        self._watch = self._switch_on()
        self._watch.happened, self._watch.sensed = old.happened, old.sensed
        self._watch.reboot()

    def _started_at(self, recording: Recording) -> datetime:
        """The same start again for a state that is gone on with; else as asked, else so that the end is now."""
        kept = self._outbox.get("start")
        if kept is not None:
            return datetime.fromisoformat(kept)
        start = self._options.start or recording.start or self._pace.start_of(self._end_s)
        self._outbox.keep({"start": start.isoformat()})
        return start

    def _device_id(self) -> str:
        tokens = self._watch.uplink.pairing.tokens
        return tokens.device_id if tokens and tokens.device_id else self._name

    def _device_faults(self) -> list[Fault]:
        return [*self._watch.happened, *(f for f in self._plan.script if f.name == "offline")]


def _plan(options: RunOptions, end_s: float) -> FaultPlan:
    plan = options.faults or FaultPlan(options.seed)
    rates = {**plan.rates, "drop": options.drop, "duplicate": options.duplicate}
    rates = {k: max(v, plan.rates.get(k, 0.0)) for k, v in rates.items()}
    plan = replace(plan, rates={k: v for k, v in rates.items() if v > 0})
    return plan.with_offline(options.offline, end_s) if options.offline > 0 else plan

"""A watch put together from its options, and everything about it that outlives its power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from data.recording import Recording
from models.runtime import RuntimeName
from services.watch.battery import Battery
from services.watch.clock import WatchClock
from services.watch.device import FIRMWARE, Watch, WatchSettings, device_id
from services.watch.faults import Fault, FaultPlan, FaultyTransport
from services.watch.inference import LIVE_TASKS, OnWatch, WristEstimate
from services.watch.link import LinkDown, Transport
from services.watch.ota import ModelRefused, ModelStore
from services.watch.outbox import Outbox
from services.watch.pace import Pace, real_sleep
from services.watch.pairing import Pairing, PairingCode
from services.watch.sensors import DeviceProfile, SensorStream, sense
from services.watch.uplink import Tally, Uplink
from services.watch.wire import MSGPACK

# A server that has not answered for so many real seconds is given up; the outbox keeps what waits.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class RunOptions:
    """
    What a watch may be asked for.

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
    runtime : {"exact", "micro", "litert"}
        What runs the models on the wrist: LiteRT with kernels that round as a watch's do (and as the server's),
        tflite-micro itself, or LiteRT's fastest.
    tasks : tuple of str
        What the wrist infers.
    model_key : str
        The maker's Ed25519 key in hexadecimal: with it the watch asks the server for its models before it infers.
    state_dir : Path, optional
        Keeps outbox and tokens; a second run goes on where the first ended.
    start : datetime, optional
        True time of device second zero; default: the recording's, else such that the recording ends now.
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
    runtime: RuntimeName = "exact"
    tasks: tuple[str, ...] = LIVE_TASKS
    model_key: str = ""
    state_dir: Path | None = None
    start: datetime | None = None
    utc_offset_s: int | None = None
    drift_ppm: float = 0.0
    profile: DeviceProfile = field(default_factory=DeviceProfile)
    encoding: str = "delta-zstd"
    content_type: str = MSGPACK
    name: str | None = None
    patience_s: float = PATIENCE_S

    def plan(self, end_s: float) -> FaultPlan:
        """Return the faults of a run of `end_s` device seconds."""
        plan = self.faults or FaultPlan(self.seed)
        rates = {"drop": self.drop, "duplicate": self.duplicate}
        rates = {**plan.rates, **{k: max(v, plan.rates.get(k, 0.0)) for k, v in rates.items() if v > 0}}
        plan = replace(plan, rates=rates)
        return plan.with_offline(self.offline, end_s) if self.offline > 0 else plan


class Assembly:
    """
    A watch with its parts: flash, radio, sensors and the plan of what will go wrong.

    Parameters
    ----------
    recording : Recording or sequence of SensorStream
        What the wearer's body does.
    transport : Transport
        The way to the server, still without faults.
    options : RunOptions
    start : datetime
        True time of device second zero, unless the flash knows it already.
    on_code : callable, optional
        Told the pairing code that the wearer must approve.
    sleep : callable
        Waits in real seconds, between polls while pairing.

    Attributes
    ----------
    watch : Watch
        The watch as it now runs; another one after `lose_power`.
    """

    def __init__(
        self,
        recording: Recording | tuple[SensorStream, ...],
        transport: Transport,
        options: RunOptions,
        *,
        start: datetime | None = None,
        on_code: Callable[[PairingCode], None] | None = None,
        sleep: Callable[[float], None] = real_sleep,
    ) -> None:
        self.options, self._on_code, self._sleep = options, on_code, sleep
        own_start, offset_s = None, None
        if isinstance(recording, Recording):
            own_start, offset_s = recording.start, recording.utc_offset_s
            recording = sense(recording, options.profile)
        self._streams = recording
        self.end_s = max(s.time_of(len(s.counts)) for s in self._streams)
        self.outbox = Outbox(options.state_dir / "outbox.sqlite" if options.state_dir else None)
        self._utc_offset_s = (offset_s if options.utc_offset_s is None else options.utc_offset_s) or 0
        self.start = self._kept_start(options.start or own_start or start or Pace(1.0).start_of(self.end_s))
        self.name = options.name or device_id(options.seed, self.start)
        self.plan = options.plan(self.end_s)
        self.transport = FaultyTransport(transport, self.plan, lambda: self.watch.now_s)
        self.battery, self.tally = Battery(), Tally()
        self._estimates: list[WristEstimate] = []
        self.watch = self._switch_on()

    @property
    def device_id(self) -> str:
        """The server's name for this watch."""
        tokens = self.watch.uplink.pairing.tokens
        return tokens.device_id if tokens and tokens.device_id else self.name

    @property
    def estimates(self) -> list[WristEstimate]:
        """What the watch inferred, through all losses of power."""
        return [*self._estimates, *self.watch.estimates]

    @property
    def faults(self) -> list[Fault]:
        """What went wrong so far, as a script that makes it go wrong again."""
        offline = [f for f in self.plan.script if f.name == "offline"]
        return [*self.transport.happened, *self.watch.happened, *offline]

    def pair(self) -> None:
        """Pair now, unless that was done before."""
        if self.watch.uplink.pairing.tokens is None:
            self.tally.pairings += 1
            self.watch.uplink.pairing.pair()

    def update_models(self) -> dict[str, str]:
        """Ask the server for a newer model of each task on the wrist; return what became of each.

        Returns
        -------
        dict of str to str
            By task: the version that runs now, or why the one that was offered was refused.
        """
        wrist, told = self.watch.inference, {}
        if wrist is None or not self.options.model_key:
            return {}
        with TemporaryDirectory() as scratch:
            folder = self.options.state_dir or Path(scratch)
            get = self.watch.uplink.get
            store = ModelStore(folder / "models", self.options.model_key, get, runtime=self.options.runtime)
            for task in wrist.running:
                try:
                    store.update(task)
                except (ModelRefused, LinkDown) as error:
                    told[task] = str(error)
                if refused := store.refused(task):
                    wrist.refused[task] = refused
                model = store.model(task)
                if model is not None:
                    wrist.use(task, model)
                    told.setdefault(task, model.bundle.version)
        return told

    def lose_power(self) -> None:
        """Switch off and on: only what the outbox keeps is still known, and a new boot begins."""
        old = self.watch
        self._estimates.extend(old.estimates)
        self.watch = self._switch_on()
        self.watch.happened, self.watch.sensed = old.happened, old.sensed
        self.watch.boots = old.boots
        self.watch.reboot()

    def close(self) -> None:
        """Let go of the network and the flash."""
        self.transport.close()
        self.outbox.close()

    def _switch_on(self) -> Watch:
        options = self.options
        clock = WatchClock(self.start, name=self.name, drift_ppm=options.drift_ppm, utc_offset_s=self._utc_offset_s)
        device = {"device_id": self.name, "device_name": "Mock watch", "device_model": FIRMWARE}
        pairing = Pairing(self.transport, self.outbox, device=device, on_code=self._on_code, sleep=self._sleep)
        uplink = Uplink(
            self.outbox, self.transport, pairing, np.random.default_rng(options.seed), self.battery,
            content_type=options.content_type, seed=options.seed,
        )  # fmt: skip
        uplink.tally = self.tally
        infers = options.edge or options.infer
        return Watch(
            self._streams, clock, self.outbox, uplink,
            plan=self.plan,
            settings=WatchSettings(options.profile.chunk_s, options.encoding, options.edge),
            inference=OnWatch(options.tasks, options.runtime) if infers else None,
        )  # fmt: skip

    def _kept_start(self, start: datetime) -> datetime:
        """A state that is gone on with keeps its own start."""
        kept = self.outbox.get("start")
        if kept is not None:
            return datetime.fromisoformat(kept)
        self.outbox.keep({"start": start.isoformat()})
        return start

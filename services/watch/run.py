"""`run_watch`: one watch from its first chunk to an empty outbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from data.recording import Recording
from services.watch.asked import release_asked
from services.watch.assembly import Assembly, RunOptions
from services.watch.faults import PowerLost
from services.watch.inbox import Inbox
from services.watch.link import HttpTransport, LinkDown, Transport
from services.watch.pace import Pace, real_now_s, real_sleep
from services.watch.pairing import PairingCode
from services.watch.report import Progress, WatchReport, report_of

# Between two tries after a failure, however fast device time runs: a real server needs real time to come back.
LEAST_WAIT_S = 0.02
# Real seconds between two looks for reminders, each with a sync.
LOOK_EVERY_S = 120.0


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
    pace = Pace(speed)
    assembly = Assembly(
        recording, transport or HttpTransport(server), options or RunOptions(),
        start=pace.start_of(recording.end_s), on_code=on_code, sleep=sleep,
    )  # fmt: skip
    try:
        # Pair while nothing is sensed yet: the wearer's time to approve is not part of the recording.
        assembly.pair()
        models = assembly.update_models()
        life = _Life(assembly, pace, sleep)
        life.live(on_progress)
        assembly.transport.flush()
        reminders = [*life.reminders, *_reminders(assembly)]
        return replace(report_of(assembly, _prove(assembly)), models=models, reminders=reminders)
    finally:
        assembly.close()


def _reminders(assembly: Assembly) -> list[str]:
    told: list[str] = []
    try:
        Inbox(assembly.watch.uplink.get, assembly.outbox).collect(lambda record: told.append(str(record["value"])))
    except LinkDown:
        return told
    return told


def _prove(assembly: Assembly) -> list[str] | None:
    try:
        return assembly.watch.prove()
    except LinkDown:
        return None


class _Life:
    """Real time and device time, side by side, until all is sent or the server is given up."""

    def __init__(self, assembly: Assembly, pace: Pace, sleep: Callable[[float], None]) -> None:
        self._assembly, self._pace, self._sleep = assembly, pace, sleep
        self._next_try_s = 0.0
        self._looked_s = real_now_s()
        self.reminders: list[str] = []

    def live(self, on_progress: Callable[[Progress], None] | None) -> None:
        step_s, end_s = self._assembly.options.profile.chunk_s, self._assembly.end_s
        self._pace.restart()
        began_s = self._assembly.watch.now_s
        last_word_s = real_now_s()
        while True:
            now_s = self._assembly.watch.now_s
            sensing = now_s < end_s
            # When the sensors have ended, device time goes on to the next try.
            to_s = min(end_s, (now_s // step_s + 1) * step_s) if sensing else max(self._next_try_s, now_s)
            self._pace.wait_until(to_s - began_s)
            self._assembly.watch.advance(to_s)
            if self._try():
                last_word_s = real_now_s()
            waiting = self._assembly.outbox.unconfirmed
            if on_progress is not None:
                on_progress(Progress(min(to_s, end_s), end_s, waiting, self._assembly.tally))
            given_up = real_now_s() - last_word_s > self._assembly.options.patience_s
            if not sensing and (waiting == 0 or given_up):
                return

    def _try(self) -> bool:
        """Send until the outbox is empty or something says to wait; return whether the server answered well."""
        if self._assembly.watch.now_s < self._next_try_s:
            return False
        answered = False
        while True:
            try:
                outcome = self._assembly.watch.sync()
            except PowerLost:
                self._assembly.lose_power()
                return answered
            if outcome.done:
                self._look()
                if self._asked():
                    answered = True
                    continue
                return True
            if outcome.wait_s > 0 or outcome.asked_s > 0:
                self._sleep(max(outcome.asked_s, LEAST_WAIT_S - self._pace.to_real_s(outcome.wait_s)))
                self._next_try_s = self._assembly.watch.now_s + outcome.wait_s
                return answered
            answered = True

    def _look(self) -> None:
        """With a sync, see now and then what the server has to tell: a reminder is of no use at the end of a day."""
        if real_now_s() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = real_now_s()
            self.reminders += _reminders(self._assembly)

    def _asked(self) -> bool:
        """In edge mode, see whether raw signal is asked for; return whether there is more to send now."""
        if not self._assembly.options.edge:
            return False
        try:
            return release_asked(self._assembly.watch, self._assembly.device_id) > 0
        except LinkDown:
            return False

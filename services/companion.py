"""`wristwise companion`: a service with somebody in it, and her watch still on the wrist, to look at the page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data.synthetic.wearer import wearer
from services.commands.serve import local_settings
from services.insight import follow
from services.person import mock_person
from services.store import accounts
from services.sync.server import Running, running
from services.watch import Companion, DeviceProfile, RunOptions, run_watch

NAME = "owner"
# A watch in life sends once a minute to spare its battery; somebody who waits for the first number does not.
LIVE_CHUNK_S = 10.0
LIVE_BPM = 68.0
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Lived:
    """
    A service that somebody has lived in.

    Attributes
    ----------
    running : Running
        The service; it runs in this process.
    secret : str
        Secret of the account `NAME`.
    """

    running: Running
    secret: str

    def live(self, seconds: float, seed: int = 0) -> None:
        """Wear a second watch for so many seconds, in real time: the view of now has something to show."""
        with_motion = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=seconds, seed=seed, bpm=LIVE_BPM)
        options = RunOptions(seed=seed, name="live-watch", profile=DeviceProfile(chunk_s=LIVE_CHUNK_S))
        companion = Companion(self.running.url, NAME, self.secret)
        try:
            run_watch(self.running.url, with_motion, 1.0, on_code=companion.approve, options=options)
        finally:
            companion.close()


@contextmanager
def lived(days: int, *, port: int = 0, seed: int = 1, advance: Progress | None = None) -> Iterator[Lived]:
    """
    Serve from a folder that goes when the block ends, filled with a mock person's life and what follows from it.

    Parameters
    ----------
    days : int
        Length of the life, the last day today.
    port : int, default=0
        0 takes a free one.
    seed : int
        Which person.
    advance : callable, optional
        Told the fraction done and a word on it.
    """
    say = advance or (lambda *_: None)
    with (
        tempfile.TemporaryDirectory(prefix="wristwise-") as folder,
        running(local_settings(Path(folder), rate_per_minute=0), port=port) as service,
    ):
        _, secret = service.store.write(lambda conn: accounts.create_user(conn, NAME))
        companion = Companion(service.url, NAME, secret)
        try:
            mock_person(
                service.url, companion, days=days, seed=seed, on_progress=lambda done, word: say(0.9 * done, word)
            )
        finally:
            companion.close()
        say(0.95, "what follows from it")
        while follow.step(service.store):
            pass
        say(1.0, "done")
        yield Lived(service, secret)

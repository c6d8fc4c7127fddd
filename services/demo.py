"""`wristwise demo`: a service, a mock watch and a recording; the heart rate that comes back beside the reference."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.adapters.registry import adapter
from data.errors import WristwiseError
from data.location import data_root
from data.recording import Recording
from data.synthetic.wearer import wearer
from data.wfdb_folder import read_record
from pipelines.heart_rate_scores import reference_bpm
from pipelines.registry import TASKS

# A record with a pulse to see: in walking and running the wrist's pulse is near noise (docs/heart-rate.md says more).
RECORD = "s3_low_resistance_bike"
SPEED = 60.0
TASK = "heart-rate"
_SYNTHETIC_S = 240.0
_PATIENCE_S = 20.0
Say = Callable[[str], None]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Comparison:
    """
    What came back beside the reference, one row a window.

    Parameters
    ----------
    end_s, estimate_bpm, half_width_bpm, reference_bpm : ndarray of float64, shape (n,)
        `half_width_bpm` is that of the 90 % interval; NaN where the gate refused or nothing is known.
    """

    end_s: NDArray[np.float64]
    estimate_bpm: NDArray[np.float64]
    half_width_bpm: NDArray[np.float64]
    reference_bpm: NDArray[np.float64]

    @property
    def mae_bpm(self) -> float:
        """Mean absolute error over the windows that have both."""
        error = np.abs(self.estimate_bpm - self.reference_bpm)
        return float(np.nanmean(error)) if np.isfinite(error).any() else float("nan")


def choose_recording(say: Say) -> Recording:
    """Return a real record where there is one, by disk or network; else the synthetic one. Says which in one line."""
    from data.fetch import fetch_physionet, online

    root = data_root()
    known = adapter("wrist")
    if known.present(root):
        found = next((r for r in known.read(root) if r.id == RECORD), None) or next(known.read(root))
        say(f"Recording: {found.id} of PhysioNet `wrist` in {root} ({known.licence}).")
        return found
    if online():
        try:
            fetch_physionet(known, root, lambda *_: None, only=RECORD)
            found = next(known.read(root))
            say(f"Recording: {found.id}, fetched from PhysioNet `wrist` into {root} ({known.licence}).")
            return found
        except WristwiseError as error:
            say(f"PhysioNet was reached, but {error}.")
    say("Recording: synthetic (no WRISTWISE_DATA with `wrist`, and PhysioNet cannot be reached from here).")
    return wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=_SYNTHETIC_S, seed=20261124, bpm=74.0)


def replay(recording: Recording, advance: Progress) -> Comparison:
    """
    Serve, pair, replay `recording` through a mock watch, and return what came back.

    Parameters
    ----------
    advance : callable
        Told the fraction done and one word on it.

    Raises
    ------
    WristwiseError
        If the service refused something, or no heart rate came back in time.
    """
    from services.commands.serve import local_settings
    from services.store import accounts
    from services.store.migrate import open_store
    from services.sync.server import running
    from services.watch.companion import Companion
    from services.watch.run import run_watch

    with tempfile.TemporaryDirectory() as folder:
        settings = local_settings(Path(folder))
        store = open_store(settings.store)
        _, secret = store.write(lambda conn: accounts.create_user(conn, "demo"))
        store.close()
        with running(settings) as service:
            companion = Companion(service.url, "demo", secret)
            report = run_watch(
                service.url, recording, SPEED, on_code=companion.approve,
                on_progress=lambda p: advance(0.9 * min(1.0, p.device_s / p.end_s), f"{p.device_s:.0f} s on the wrist"),
            )  # fmt: skip
            if not report.complete:
                raise WristwiseError(f"the watch could not send everything: {report.body()}")
            advance(0.95, "waiting for the last heart rate")
            return _returned(companion, recording, report.start)


def _returned(companion: Any, recording: Recording, start: str) -> Comparison:
    n_windows = TASKS[TASK].window.count(recording.end_s)
    records: list[dict[str, Any]] = []

    def arrived() -> bool:
        records[:] = companion.records("heart_rate")
        # The watch senses from its first to its last sample: the windows at both edges may miss a sample of theirs.
        return len(records) >= n_windows - 2

    if not companion.wait_until(arrived, _PATIENCE_S) and not records:
        raise WristwiseError(f"no heart rate came back within {_PATIENCE_S:g} s; see the service's log")
    zero = np.datetime64(start.rstrip("Z"))
    ends = np.array([(np.datetime64(r["end"].rstrip("Z")) - zero) / np.timedelta64(1, "s") for r in records])
    return Comparison(ends, _column(records, "value"), _column(records, "uncertainty"), reference_bpm(recording, ends))


def _column(records: list[dict[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([np.nan if r.get(name) is None else float(r[name]) for r in records])


def draw(comparison: Comparison, title: str, path: Path) -> None:
    """Save a plot of the estimate with its interval and the reference."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    c = comparison
    low, high = c.estimate_bpm - c.half_width_bpm, c.estimate_bpm + c.half_width_bpm
    axes.fill_between(c.end_s, low, high, color="#b3263c", alpha=0.18, lw=0, label="90 % interval")
    axes.plot(c.end_s, c.estimate_bpm, color="#b3263c", label="came back from the service")
    axes.plot(c.end_s, c.reference_bpm, color="#222222", ls="--", lw=1.2, label="reference")
    axes.set(title=f"{title}: mean absolute error {c.mae_bpm:.1f} BPM", xlabel="s", ylabel="heart rate (BPM)")
    axes.legend(loc="best", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def load(path: Path | None, say: Say) -> Recording:
    """Return the recording that was named, or the one that is chosen."""
    return read_record(path) if path else choose_recording(say)

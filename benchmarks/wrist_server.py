"""The same day, night and real record inferred on the watch and on the server: what agrees, what does not, and why."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.adapters.registry import adapter
from data.location import data_root
from data.recording import Channel, Recording
from data.synthetic.day import day
from data.synthetic.wearer import wearer
from models.runtime import RuntimeName
from services.local import LocalService
from services.watch import RunOptions, run_watch
from services.watch.compare import Agreement, compare, sentence
from services.watch.inference import LIVE_TASKS

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "wrist_server.json"
COMMAND = "python -m benchmarks.wrist_server"
EVENTS = ("fall", "irregular_rhythm")
DAY_MIN, NIGHT_H = 30.0, 1.0
FALLS = 15
NIGHT_TASKS = ("sleep-staging",)
AXES = ("acc_x", "acc_y", "acc_z")


def agreements(
    recording: Recording, runtime: RuntimeName, tasks: tuple[str, ...] = LIVE_TASKS
) -> tuple[list[Agreement], list[str]]:
    """Return how a watch on a bad link and the server compare, and which tasks ran on the wrist."""
    with tempfile.TemporaryDirectory() as folder:
        service = LocalService(Path(folder) / "w.db")
        service.start()
        try:
            options = RunOptions(seed=1, drop=0.1, duplicate=0.1, infer=True, runtime=runtime, tasks=tasks)
            report = run_watch(service.url, recording, float("inf"), on_code=service.companion.approve, options=options)
            if not report.complete or not service.settle(600.0):
                raise SystemExit(f"{recording.id}: the sync is not complete, so nothing can be compared")
            found = compare(report, service.companion.records())
            return found, sorted({e.task for e in report.estimates})
        finally:
            service.stop()


def falls() -> Recording:
    """Return falls and other movements of the WEDA-FALL set, one after the other, with 40 s of nothing in between."""
    chosen: list[Recording] = []
    for wanted in ("fall", "adl"):
        every = (r for r in adapter("weda-fall").read(data_root()) if r.meta.get("label") == wanted)
        chosen += islice(every, 0, FALLS * 7, 7)
    pieces: dict[str, list[NDArray[np.float32]]] = {name: [] for name in AXES}
    for record in chosen:
        for name in AXES:
            channel = record.channels[name]
            pieces[name] += [channel.samples, np.full(round(40 * channel.fs_hz), np.nan, np.float32)]
    fs_hz = chosen[0].channels[AXES[0]].fs_hz
    channels = {name: Channel(name, fs_hz, np.concatenate(parts)) for name, parts in pieces.items()}
    return Recording("weda-fall", "several", channels)


def goals(found: dict[str, list[Agreement]]) -> list[dict[str, Any]]:
    """Return the goals of the issue from what was found."""
    rows = []
    names = {"exact": "LiteRT, kernels as the server's", "micro": "tflite-micro", "litert": "LiteRT, XNNPACK's kernels"}
    for runtime, name in names.items():
        mine = [agreed for key, agreed in found.items() if key.endswith(runtime)]
        rates = [a for agreed in mine for a in agreed if a.kind == "heart_rate" and a.largest is not None]
        if not rates:
            continue
        largest, spans = max(a.largest or 0.0 for a in rates), sum(a.both for a in rates)
        alone = sum(a.only_watch + a.only_server for a in rates)
        why = "; ".join(sorted({reason for a in rates for reason in a.reasons}))
        rows.append(
            {
                "goal": f"heart rate on the watch in {name} against the server, same day, night and real record",
                "target": "within 0.1 BPM" if runtime != "litert" else "–, to show the reason",
                "reached": largest <= 0.1 and not alone if runtime != "litert" else None,
                "measured": f"largest difference {largest:.3f} BPM over {spans:,} windows, {alone} on one side only"
                + (f" ({why})" if why else ""),
                "command": COMMAND,
            }
        )  # fmt: skip
    events = [a for agreed in found.values() for a in agreed if a.kind in EVENTS]
    same = all(a.identical for a in events)
    n = sum(a.both for a in events)
    rows.append(
        {
            "goal": "events on the watch (in all three) against the server, real falls among them",
            "target": "identical",
            "reached": same if events else None, "command": COMMAND,
            "measured": f"{'identical' if same else 'not identical'}, {n} events" if events else "no event inferred",
        }
    )  # fmt: skip
    return [*rows, *_of_nights(found)]


def _of_nights(found: dict[str, list[Agreement]]) -> list[dict[str, Any]]:
    """Return how the wrist's stages, epoch by epoch, compare with the server's of the whole night."""
    staged = {key: a for key, agreed in found.items() for a in agreed if a.kind == "sleep_stage"}
    if not staged:
        return []
    said = "; ".join(
        f"{key.rpartition(', ')[2]}: {a.equal / max(1, a.both):.1%} of {a.both:,} epochs the same, "
        f"{a.only_watch + a.only_server} on one side only"
        for key, a in staged.items()
    )
    why = "; ".join(sorted({reason for a in staged.values() for reason in a.reasons}))
    return [
        {
            "goal": "sleep stages on the watch, as the night goes, against the server's of the whole night",
            "target": "the reason for any difference named", "measured": f"{said} ({why})", "reached": bool(why),
            "command": COMMAND,
        }
    ]  # fmt: skip


def main() -> None:
    """Compare each recording in both runtimes, and save."""
    recordings = {
        "day": day(minutes=DAY_MIN, seed=1),
        "night": wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=NIGHT_H * 3600, seed=2, bpm=54.0),
    }
    if (data_root() / "wrist").is_dir():
        real = islice(adapter("wrist").read(data_root()), 3)
        recordings |= {f"real {k}": record for k, record in enumerate(real, 1)}
    if (data_root() / "weda-fall").is_dir():
        recordings["real falls"] = falls()
    if (data_root() / "sleep-accel").is_dir():
        recordings["real night"] = next(iter(adapter("sleep-accel").read(data_root())))
    runtimes: tuple[RuntimeName, ...] = ("exact", "micro", "litert")
    found, tasks = {}, set()
    for name, recording in recordings.items():
        asked = NIGHT_TASKS if name == "real night" else LIVE_TASKS
        for runtime in runtimes:
            key = f"{name}, {runtime}"
            found[key], ran = agreements(recording, runtime, asked)
            tasks |= set(ran)
            for agreement in found[key]:
                print(f"{key}: {sentence(agreement)}", file=sys.stderr)
    result = {
        "tasks": sorted(tasks),
        "agreements": {key: [asdict(a) for a in value] for key, value in found.items()},
        "goals": goals(found),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

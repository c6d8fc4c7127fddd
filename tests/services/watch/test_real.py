"""A real wrist through the mock watch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.adapters.registry import adapter
from services.watch import RunOptions, run_watch, sense


@pytest.mark.realdata
def test_a_real_wrist_goes_through_a_bad_link_whole(real_data: Callable[[str], Path], contract_server) -> None:
    recording = next(iter(adapter("wrist").read(real_data("wrist").parent)))
    streams = {s.name: s for s in sense(recording)}
    assert {"ppg": 64.0, "acc": 32.0}.items() <= {n: s.rate_hz for n, s in streams.items()}.items()
    options = RunOptions(seed=2, drop=0.2, duplicate=0.2, offline=60)
    report = run_watch("http://x.test", recording, float("inf"), options=options, transport=contract_server,
                       sleep=lambda _: None)  # fmt: skip
    assert report.complete
    for name, stream in streams.items():
        np.testing.assert_array_equal(contract_server.counts(name), stream.counts[stream.valid])
    # Down from 256 Hz through the filter and 14 bits: the pulse's band is what it was.
    ppg = recording.channels["ppg"]
    physical = streams["ppg"].counts[:, 0] * streams["ppg"].scale + streams["ppg"].offset
    rate = ppg.fs_hz / 64.0
    at = np.rint(np.arange(1000, 5000) * rate).astype(int)
    assert np.corrcoef(physical[1000:5000], ppg.samples[at])[0, 1] > 0.995

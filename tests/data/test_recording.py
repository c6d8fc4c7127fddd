"""Channels, slices and what they refuse."""

from __future__ import annotations

import itertools
from datetime import datetime

import numpy as np
import pytest

from data.errors import ChannelError, RecordingError
from data.recording import Annotations, Channel, Recording


def ramp(name: str = "ppg", fs_hz: float = 10.0, n: int = 100) -> Channel:
    return Channel(name, fs_hz, np.arange(n, dtype=np.float32))


def test_a_slice_keeps_absolute_times() -> None:
    part = ramp().slice(2.0, 3.0)
    assert part.t0_s == 2.0
    np.testing.assert_array_equal(part.samples, np.arange(20, 30, dtype=np.float32))


@pytest.mark.parametrize("fs_hz", [25.6, 31.25, 125.0, 1 / 3])
def test_adjacent_slices_share_no_sample_and_lose_none(fs_hz: float) -> None:
    channel = ramp(fs_hz=fs_hz, n=997)
    edges = [0.0, 1.28, 4.0, 7.77, np.inf]
    parts = [channel.slice(a, b).samples for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), channel.samples)


def test_irregular_channels_are_cut_by_their_times() -> None:
    times = np.array([0.0, 4.0, 5.5, 20.0])
    channel = Channel("hr", 0.2, np.arange(4, dtype=np.float32), times_s=times)
    np.testing.assert_array_equal(channel.slice(4.0, 20.0).samples, [1, 2])


@pytest.mark.parametrize("fs_hz", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_no_rate_is_refused(fs_hz: float) -> None:
    with pytest.raises(ChannelError, match="needs a rate above 0 Hz"):
        Channel("ppg", fs_hz, np.zeros(3, np.float32))


def test_a_missing_channel_is_named_with_those_there_are() -> None:
    recording = Recording("r1", "s1", {"ppg": ramp()})
    with pytest.raises(ChannelError, match=r"'r1' has no channel 'ecg'; it has: ppg"):
        recording.require("ecg")


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(RecordingError, match="without a zone"):
        Recording("r1", "s1", {}, start=datetime(2026, 1, 1))


def test_annotations_of_unequal_length_are_refused() -> None:
    with pytest.raises(RecordingError, match="2 marks need 2 labels"):
        Annotations(np.array([0.0, 1.0]), ("a",))

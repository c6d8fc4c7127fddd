"""The demo: a synthetic wearer's heart rate goes to a service through a mock watch and comes back right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.synthetic.wearer import wearer
from services import demo


def test_the_heart_rate_that_comes_back_is_the_wearers(tmp_path: Path) -> None:
    recording = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=60.0, seed=1, bpm=74.0)
    told: list[float] = []
    result = demo.replay(recording, lambda fraction, word: told.append(fraction))
    assert result.end_s.size >= 20
    assert result.mae_bpm < 5.0
    assert np.isfinite(result.reference_bpm).all()
    assert told == sorted(told)
    picture = tmp_path / "heart_rate.png"
    demo.draw(result, recording.id, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_data_or_network_the_recording_is_synthetic_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WRISTWISE_DATA", str(tmp_path))
    monkeypatch.setattr("data.fetch.online", lambda: False)
    said: list[str] = []
    assert demo.choose_recording(said.append).dataset == "synthetic"
    assert len(said) == 1
    assert "synthetic" in said[0]


def test_with_real_data_the_recording_is_real_and_says_so(real_data: object) -> None:
    real_data("wrist")  # type: ignore[operator]
    said: list[str] = []
    assert demo.choose_recording(said.append).dataset == "wrist"
    assert "PhysioNet `wrist`" in said[0]

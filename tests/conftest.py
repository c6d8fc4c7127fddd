"""Fixtures that every room uses."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

_connect = socket.socket.connect


@pytest.fixture(autouse=True)
def _network_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test leave this machine: loopback and local sockets only."""

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and str(address[0]) not in {
            "127.0.0.1",
            "::1",
            "localhost",
        }:
            raise OSError(f"the tests keep off the network; {address} is elsewhere")
        return _connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261124)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the folder of a real data set, or skip and say that it is absent."""

    def folder(name: str) -> Path:
        root = os.environ.get("WRISTWISE_DATA", "")
        if not root or not (Path(root) / name).is_dir():
            pytest.skip(f"needs the real data set {name!r} below WRISTWISE_DATA, which is absent")
        return Path(root) / name

    return folder

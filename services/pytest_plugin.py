"""pytest fixtures for anybody's test suite: a running sync service, and a watch to script against it.

Installed with the package (entry point ``pytest11``); docs/mock-watch.md has an example. Nothing is imported until
a fixture is used, so that a suite which does not use them pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from data.recording import Recording
    from services.local import LocalService
    from services.watch import Assembly, WatchReport


class MockWatch:
    """
    Watches that are paired with the running service.

    Parameters
    ----------
    service : LocalService
        Whom they talk to, and who approves them.
    """

    def __init__(self, service: LocalService) -> None:
        self._service = service
        self._open: list[Assembly] = []

    def run(self, recording: Recording | None = None, **options: Any) -> WatchReport:
        """
        Live through a recording as fast as it goes, send everything, and return the report.

        Parameters
        ----------
        recording : Recording, optional
            Default: two minutes of a seeded wearer's pulse and acceleration.
        **options
            Fields of `services.watch.RunOptions`: ``drop=0.2``, ``seed=3``, ``edge=True``, ``faults=FaultPlan(...)`` …
        """
        from services.watch import RunOptions, run_watch

        return run_watch(
            self._service.url,
            recording or _wearer(),
            float("inf"),
            on_code=self._service.companion.approve,
            options=RunOptions(**options),
        )

    def open(self, recording: Recording | None = None, **options: Any) -> Assembly:
        """
        Return a paired watch to drive by hand: ``.watch.advance(60)``, ``.watch.sync()``, ``.lose_power()`` …

        Parameters are those of `run`. It is closed at the end of the test.
        """
        from services.watch import Assembly, RunOptions
        from services.watch.link import HttpTransport

        assembly = Assembly(
            recording or _wearer(),
            HttpTransport(self._service.url),
            RunOptions(**options),
            on_code=self._service.companion.approve,
        )
        self._open.append(assembly)
        assembly.pair()
        return assembly

    def close(self) -> None:
        """Close the watches that were opened by hand."""
        for assembly in self._open:
            assembly.close()


@pytest.fixture
def sync_service(tmp_path: Path) -> Iterator[LocalService]:
    """A running sync service (API and worker) on an empty SQLite store, with one user and her companion."""
    from services.local import LocalService

    service = LocalService(tmp_path / "wristwise.db")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def mock_watch(sync_service: LocalService) -> Iterator[MockWatch]:
    """Watches on the wrist of `sync_service`'s user."""
    watches = MockWatch(sync_service)
    yield watches
    watches.close()


def _wearer() -> Recording:
    from data.synthetic.wearer import wearer

    return wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=120.0, seed=0)

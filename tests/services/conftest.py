"""Fixtures of the service's tests: both stores, an app, a person with a watch, a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from pipelines.registry import Registry
from services.local import LocalService
from services.store.migrate import open_store
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings
from services.watch import inference
from services.worker.worker import Worker
from tests.services.client import Person
from tests.services.fake_task import PulseTask, WristModel, pulse_ability
from tests.services.postgres import Cluster, postgres_cluster

SECRET = "a secret of the tests, 32 characters and more"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster | None]:
    """A throwaway PostgreSQL cluster, or None where Debian's packages are not installed."""
    with postgres_cluster(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, on each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    cluster = request.getfixturevalue("cluster")
    if cluster is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return cluster.new_database()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = open_store(store_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def settings(store: Store) -> Settings:
    """Settings with limits that tests do not meet by accident."""
    return Settings(store=store.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0)


@pytest.fixture
def http(store: Store, settings: Settings) -> FlaskClient:
    """A client of the app on `store`."""
    app = create_app(settings, store)
    return app.test_client()


@pytest.fixture
def ada(http: FlaskClient, store: Store) -> Person:
    """A person with a paired watch."""
    return Person(http, store)


@pytest.fixture
def worker(store: Store) -> Worker:
    """A worker that knows the fake task."""
    return Worker(store, [pulse_ability()])


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalService]:
    """A service in this process and wrists, which all know the fake task alone."""
    monkeypatch.setattr(inference, "TASKS", Registry((PulseTask(),)))
    monkeypatch.setattr(inference, "open_model", lambda task, runtime: WristModel())
    local = LocalService(tmp_path / "w.db", (pulse_ability(),))
    local.start()
    yield local
    local.stop()

"""PostgreSQL behind pgbouncer, which gives each transaction another connection: the service works the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.store.errors import StoreError
from services.store.migrate import open_store
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings
from services.worker.worker import Worker
from tests.services.client import Person
from tests.services.fake_task import pulse_ability
from tests.services.postgres import PGBOUNCER, Cluster, pgbouncer

CLIENTS, BATCHES = 8, 6


@pytest.fixture
def pooled(cluster: Cluster | None) -> Iterator[str]:
    """The URL of an empty database, through pgbouncer, without a word to the store that it is there."""
    if cluster is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    if not Path(PGBOUNCER).exists():
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    direct = cluster.new_database()
    with pgbouncer(cluster) as folder:
        yield f"{direct.split('?')[0]}?host={folder}&port=6432"


def ask_often(store: Store) -> list[BaseException]:
    """Ask the same in many threads, often enough that psycopg would prepare it; return what went wrong."""
    wrong: list[BaseException] = []

    def ask() -> None:
        try:
            for number in range(40):
                assert store.read(lambda c, n=number: c.execute(text("SELECT :n + 0"), {"n": n}).scalar()) == number
        except DBAPIError as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_watches_sync_and_are_computed_through_a_pooler(pooled: str) -> None:
    store = open_store(f"{pooled}&pooler=transaction", durable=False)
    app = create_app(Settings(store=store.url, secret="x" * 40, rate_per_minute=0, signin_per_minute=0), store)
    people = [Person(app.test_client(), store, name=f"p{n}") for n in range(CLIENTS)]
    failed: list[str] = []

    def send(person: Person) -> None:
        for k in range(BATCHES):
            answer = person.send(person.batch([person.chunk(2 * k), person.chunk(2 * k + 1)], 20 * k + 20))
            if answer.status_code != 200 or {r["status"] for r in answer.json["results"]} != {"stored"}:
                failed.append(answer.get_data(as_text=True))

    threads = [threading.Thread(target=send, args=(person,)) for person in people]
    workers = [Worker(store, [pulse_ability()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for worker in workers:
            worker.step()
    for worker in workers:
        worker.drain()
    assert failed == []
    for person in people:
        assert len(person.changes(limit=5000)["changes"]) == 57  # windows of 8 s each 2 s in two minutes
        assert person.http.get("/v1/manifest", headers=person.companion).json["streams"][0]["held"] == [[0, 11]]
    assert ask_often(store) == []
    store.close()


def test_the_pooler_is_one_that_breaks_prepared_statements(pooled: str) -> None:
    """What the word in the URL is for: without it the same questions fail."""
    store = open_store(pooled, durable=False)
    assert ask_often(store)
    store.close()


def test_a_pooler_of_another_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="must be transaction, or left out, got 'statement'"):
        Store("postgresql+psycopg://nobody@/nothing?pooler=statement")

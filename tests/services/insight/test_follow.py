"""The follower reads the feed and writes back what the days mean: once, exactly, and only for whom it changed."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Connection

from services.insight import follow
from services.insight.days import DAY_US
from services.store import accounts, records
from services.store.records import Record, client_id
from services.store.store import Store

NOW_US = int(dt.datetime.now(dt.UTC).timestamp() * 1e6)
MIDNIGHT = NOW_US - NOW_US % DAY_US


def record(user: int, kind: str, start: int, end: int, value: float | None = None, word: str = "") -> Record:
    name = f"{kind}-{start}"
    data = {"value": word} if word else {}
    return Record(client_id(user, "t", name), kind, start, end, 0, value, "test", data=data, client_record_id=name)


def put(store: Store, user: int, *made: Record) -> None:
    def write(conn: Connection) -> None:
        records.put(conn, user, made, records.by_id(conn, user, [r.id for r in made]))

    store.write(write)


def found(store: Store, user: int, kind: str) -> list[Record]:
    return store.read(lambda conn: records.between(conn, user, [kind], 0, 2**62))


def someone(store: Store, name: str = "ada") -> int:
    return store.write(lambda conn: accounts.create_user(conn, name))[0]


def test_a_walk_becomes_context_and_the_second_look_changes_nothing(store: Store) -> None:
    user, start = someone(store), MIDNIGHT - DAY_US + 36_000_000_000
    put(store, user, record(user, "activity", start, start + 1_200_000_000, word="walk"))
    assert follow.step(store) == 1
    (walk,) = [r for r in found(store, user, "context") if r.data["value"] == "walking"]
    assert (walk.start_us, walk.end_us) == (start, start + 1_200_000_000)
    before = store.read(lambda conn: records.last_change(conn, user))
    assert follow.step(store) == 0
    assert store.read(lambda conn: records.last_change(conn, user)) == before


def test_late_data_replaces_exactly_what_it_changes(store: Store) -> None:
    user, start = someone(store), MIDNIGHT - DAY_US + 36_000_000_000
    put(store, user, record(user, "activity", start, start + 3_600_000_000, word="still"))
    follow.step(store)
    late = record(user, "activity", start + 600_000_000, start + 1_800_000_000, word="run")
    put(store, user, late)
    follow.step(store)
    labels = [str(r.data["value"]) for r in found(store, user, "context")]
    assert labels == ["not_worn", "sedentary", "exercising", "sedentary"]


def test_three_days_above_the_usual_range_become_a_finding_with_its_evidence(store: Store) -> None:
    user = someone(store)
    for back in range(30, 0, -1):
        start = MIDNIGHT - back * DAY_US
        put(
            store,
            user,
            record(user, "resting_heart_rate", start, start + DAY_US, 70.0 if back <= 3 else 55.0 + back % 3),
        )
    follow.step(store)
    told = found(store, user, "finding")
    assert {r.data["value"] for r in told} == {"resting_hr_high"}
    (evidence,) = told[0].data["evidence"]
    assert evidence["value"] == 70.0 > evidence["high"]
    put(store, user, record(user, "resting_heart_rate", MIDNIGHT - DAY_US, MIDNIGHT, 56.0))
    follow.step(store)
    assert found(store, user, "finding") == []


def test_one_wearers_data_move_only_that_wearer(store: Store) -> None:
    ada, bob = someone(store), someone(store, "bob")
    put(store, ada, record(ada, "activity", MIDNIGHT - DAY_US, MIDNIGHT, word="walk"))
    assert follow.step(store) == 1
    assert found(store, bob, "context") == []


def test_history_brings_no_reminder(store: Store) -> None:
    user = someone(store)
    put(store, user, record(user, "activity", MIDNIGHT - DAY_US, MIDNIGHT, word="still"))
    follow.step(store)
    assert found(store, user, "reminder") == []

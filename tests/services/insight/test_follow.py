"""The follower reads the feed and writes back what the days mean: once, exactly, and only for whom it changed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from services.insight import follow
from services.insight.chosen import Chosen, chosen, written
from services.insight.days import DAY_US, steps_by_day
from services.store import accounts, records
from services.store.records import Record, client_id
from services.store.store import Store
from tests.services.client import Person

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


def heart(user: int, start: int, bpm: float, minutes: int) -> list[Record]:
    return [
        record(user, "heart_rate", start + m * 60_000_000, start + m * 60_000_000 + 8_000_000, bpm)
        for m in range(minutes)
    ]


def test_resting_heart_rate_is_the_lowest_half_hour_of_the_night(store: Store) -> None:
    user, bed = someone(store), MIDNIGHT - DAY_US + 3_600_000_000
    put(store, user, record(user, "sleep", bed, bed + 6 * 3_600_000_000, 350.0))
    put(store, user, *heart(user, bed, 58.0, 150), *heart(user, bed + 150 * 60_000_000, 51.0, 40))
    follow.step(store)
    (resting,) = found(store, user, "resting_heart_rate")
    assert resting.value == 51.0


def test_two_hours_are_too_little_to_say_what_rest_is(store: Store) -> None:
    user = someone(store)
    put(store, user, *heart(user, MIDNIGHT - DAY_US, 55.0, 100))
    follow.step(store)
    assert found(store, user, "resting_heart_rate") == []


def test_what_a_client_says_of_its_day_stands(store: Store) -> None:
    user, start = someone(store), MIDNIGHT - DAY_US
    put(store, user, *heart(user, start, 55.0, 200))
    follow.step(store)
    put(store, user, record(user, "resting_heart_rate", start, start + DAY_US, 49.0))
    follow.step(store)
    assert [r.value for r in found(store, user, "resting_heart_rate")] == [49.0]


def test_a_brisk_hour_counts_once_and_a_hard_one_twice(store: Store) -> None:
    user, start = someone(store), MIDNIGHT - DAY_US + 36_000_000_000
    hour = 3_600_000_000
    put(store, user, record(user, "activity", start, start + 2 * hour, word="run"))
    put(store, user, *heart(user, start, 120.0, 60), *heart(user, start + hour, 150.0, 60))
    follow.step(store)
    (active,) = found(store, user, "active_minutes")
    assert active.data == {"moderate": 60, "vigorous": 60}
    assert active.value == 180.0


def test_days_may_arrive_in_any_order(store: Store) -> None:
    def month(user: int) -> list[list[Record]]:
        made = []
        for back in range(20, 0, -1):
            start = MIDNIGHT - back * DAY_US
            made.append(
                [
                    *heart(user, start, 50.0 + back % 5 + 15 * (back <= 3), 200),
                    record(user, "activity", start, start + 3_600_000_000, word="walk"),
                ]
            )
        return made

    def said(user: int) -> list[tuple[str, int, float | None, str]]:
        kinds = ("context", "finding", "resting_heart_rate", "active_minutes")
        return sorted(
            (r.kind, r.start_us, r.value, str(r.data.get("value"))) for k in kinds for r in found(store, user, k)
        )

    ada, bob = someone(store), someone(store, "bob")
    for day in month(ada):
        put(store, ada, *day)
        follow.step(store)
    for day in month(bob)[::-1]:
        put(store, bob, *day)
        follow.step(store)
    assert said(ada) == said(bob)
    assert any(kind == "finding" for kind, *_ in said(ada))


def test_steps_of_two_devices_are_merged_and_neither_is_dropped(store: Store) -> None:
    """open-wearables #1287: 4,157 steps shown where there were 14,079, because a source was dropped by priority."""
    user, start = someone(store), MIDNIGHT - DAY_US

    def steps(device: str, minute: int, value: float) -> Record:
        made = record(user, "steps", start + minute * 60_000_000, start + (minute + 1) * 60_000_000, value)
        return replace(made, id=client_id(user, device, f"s{minute}"), device_id=device)

    put(store, user, *[steps("watch", m, 100.0) for m in range(60)], *[steps("phone", m, 80.0) for m in range(30, 120)])
    totals = store.read(lambda conn: steps_by_day(conn, user, start, start + DAY_US))
    assert list(totals.values()) == [30 * 100.0 + 30 * 100.0 + 60 * 80.0]


def stages(user: int, start: int, letters: list[tuple[str, int]]) -> list[Record]:
    words = [word for word, minutes in letters for _ in range(2 * minutes)]
    return [
        record(user, "sleep_stage", start + k * 30_000_000, start + (k + 1) * 30_000_000, word=w)
        for k, w in enumerate(words)
    ]


def test_a_synced_night_becomes_a_sleep_record_by_itself_and_late_epochs_change_it(store: Store) -> None:
    user, bed = someone(store), MIDNIGHT - 3_600_000_000
    put(store, user, *stages(user, bed, [("wake", 30), ("light", 200), ("deep", 60), ("rem", 60), ("wake", 30)]))
    follow.step(store)
    (night,) = found(store, user, "sleep")
    assert night.value == 320.0
    assert night.data["deep_min"] == 60.0
    put(store, user, *stages(user, bed + 380 * 60_000_000, [("light", 60)]))
    follow.step(store)
    (night,) = found(store, user, "sleep")
    assert night.value == 380.0


def test_what_a_client_says_of_its_night_stands(store: Store) -> None:
    user, bed = someone(store), MIDNIGHT - 3_600_000_000
    put(store, user, record(user, "sleep", bed, bed + 6 * 3_600_000_000, 300.0))
    put(store, user, *stages(user, bed, [("light", 300)]))
    follow.step(store)
    assert [r.value for r in found(store, user, "sleep")] == [300.0]


def test_what_was_done_becomes_energy_and_the_heart_its_minutes(store: Store) -> None:
    user, start = someone(store), MIDNIGHT - DAY_US + 36_000_000_000
    hour = 3_600_000_000
    put(store, user, record(user, "activity", start, start + hour, word="walk"))
    put(store, user, record(user, "activity", start + hour, start + 2 * hour, word="still"))
    put(store, user, *heart(user, start, 110.0, 60), *heart(user, start + hour, 64.0, 60))
    follow.step(store)
    (energy,) = found(store, user, "energy")
    assert energy.data["minutes"] == {"still": 60, "walk": 60}
    assert energy.value == 60 * 3.5 + 60 * 1.3
    assert energy.data["unknown_min"] == 600
    (minutes,) = found(store, user, "heart_minutes")
    assert minutes.value == 120.0
    assert minutes.data == {"minutes": {"110": 60, "64": 60}, "peak_bpm": 110.0}


def settings(user: int, start: int, **data: object) -> Record:
    return replace(record(user, "settings", start, start), data=dict(data))


def test_the_newest_word_on_each_thing_is_what_the_wearer_chose(store: Store) -> None:
    user = someone(store)
    put(store, user, settings(user, 1, about={"birth_year": 1980, "weight_kg": 70}, show={"food_advice": True}))
    put(store, user, settings(user, 2, about={"birth_year": 1990}, reminders={"on": {"stand": False}}))
    choice = store.read(lambda conn: chosen(conn, user))
    assert (choice.birth_year, choice.weight_kg, choice.food_advice) == (1990, None, True)
    assert choice.age(dt.date(2026, 5, 1)) == 36.0
    assert choice.reminders.on == {"stand": False}
    put(store, user, settings(user, 3, **written(choice)))
    again = store.read(lambda conn: chosen(conn, user))
    assert replace(again, reminders=choice.reminders) == choice
    assert again.reminders.on["stand"] is False


def test_nonsense_in_settings_is_left_aside(store: Store) -> None:
    user = someone(store)
    about = {"birth_year": "1980", "weight_kg": 1e9, "max_hr_bpm": True, "sleep_need_h": None}
    put(store, user, settings(user, 1, about=about, show="yes", reminders={"quiet_from": "late", "on": 7}))
    assert store.read(lambda conn: chosen(conn, user)) == Chosen()


def test_who_tells_an_age_gets_the_last_weeks_said_anew(store: Store) -> None:
    user, start = someone(store), MIDNIGHT - DAY_US + 36_000_000_000
    put(store, user, record(user, "activity", start, start + 3_600_000_000, word="walk"))
    put(store, user, *heart(user, start, 105.0, 60))
    follow.step(store)
    assert [r.value for r in found(store, user, "active_minutes")] == [0.0]  # below 40 % of the reserve at 40 years
    put(store, user, settings(user, NOW_US, about={"birth_year": dt.datetime.now(dt.UTC).year - 80}))
    follow.step(store)
    assert [r.value for r in found(store, user, "active_minutes")] == [60.0]


def test_one_wearers_odd_records_do_not_keep_the_others_from_theirs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = someone(store), someone(store, "bob")
    for user in (ada, bob):
        put(store, user, record(user, "activity", MIDNIGHT - DAY_US, MIDNIGHT, word="walk"))
    real = follow.refresh

    def broken(conn: Connection, user_id: int, dates: set[dt.date]) -> None:
        if user_id == ada:
            raise ValueError("odd")
        real(conn, user_id, dates)

    monkeypatch.setattr(follow, "refresh", broken)
    assert follow.step(store) == 1
    assert found(store, bob, "context") != []
    assert follow.step(store) == 0


def test_words_where_numbers_belong_stop_nothing(store: Store) -> None:
    user, start = someone(store), MIDNIGHT - DAY_US
    odd = {"minutes": {"still": "many", "eat": [1]}, "efficiency": "good"}
    put(store, user, replace(record(user, "energy", start, start + DAY_US, 900.0), data=odd))
    put(store, user, replace(record(user, "sleep", start, start + 3_600_000_000, 50.0), data=odd))
    put(store, user, record(user, "context", MIDNIGHT, MIDNIGHT + 60_000_000, word="dancing"))
    assert follow.step(store) == 1


def test_contexts_findings_and_reminders_are_served_by_the_api(store: Store, ada: Person) -> None:
    start = MIDNIGHT - DAY_US + 36_000_000_000
    put(store, ada.user_id, record(ada.user_id, "activity", start, start + 1_200_000_000, word="walk"))
    follow.step(store)
    served = ada.changes(kind="context")["changes"]
    assert [(r["value"], r["kind"]) for r in served if r["value"] != "not_worn"] == [("walking", "context")]
    watch = ada.http.get("/v1/changes?kind=reminder", headers=ada.watch)
    assert watch.status_code == 200
    assert watch.json["changes"] == []


def test_a_reminder_is_written_once_for_the_page_and_the_watch_and_not_while_asleep(store: Store, ada: Person) -> None:
    user, at = ada.user_id, NOW_US - 90 * 60_000_000
    always = {"quiet_from": "00:00", "quiet_to": "00:00", "on": {"stand": True}}
    put(store, user, settings(user, 1, reminders=always))
    put(store, user, record(user, "activity", max(at, MIDNIGHT), NOW_US, word="still"))
    follow.step(store)
    told = [r["value"] for r in ada.http.get("/v1/changes?kind=reminder", headers=ada.watch).json["changes"]]
    if NOW_US - MIDNIGHT > 60 * 60_000_000:  # a sitting is counted within a day
        assert told == ["stand"]
    put(store, user, record(user, "heart_rate", NOW_US - 60_000_000, NOW_US, 60.0))
    follow.step(store)
    assert [r.data["value"] for r in found(store, user, "reminder")] == told
    asleep = someone(store, "bob")
    put(store, asleep, settings(asleep, 1, reminders=always), record(asleep, "sleep", max(at, MIDNIGHT), NOW_US, 80.0))
    follow.step(store)
    assert found(store, asleep, "reminder") == []


def test_after_each_wearer_there_is_a_rest_in_which_batches_are_let_in_and_the_round_may_end(store: Store) -> None:
    start = MIDNIGHT - DAY_US + 36_000_000_000
    for name in ("ada", "bob", "eve"):
        put(store, someone(store, name), record(0, "activity", start, start + 1_200_000_000, word="walk"))
    told: list[float] = []

    def rest(took_s: float) -> bool:
        told.append(took_s)
        return len(told) == 2

    assert follow.step(store, rest) == 2
    assert min(told) > 0.0
    assert follow.step(store) == 1

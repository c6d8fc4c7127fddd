"""The store's pure parts and its habits: codec, clock, ranges, plan, migrations, encryption, group commit."""

from __future__ import annotations

import base64
import dataclasses
import threading
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sqlalchemy import text

from pipelines.task import WindowSpec
from services.store import codec, ranges
from services.store.cipher import Cipher
from services.store.clock import SLOT_US, Pair, fit_clock
from services.store.errors import StoreError
from services.store.migrate import HEAD, config, open_store
from services.store.store import Store
from services.store.tables import metadata, users
from services.sync.config import SettingError, Settings
from services.worker.plan import Span, plan_nights, plan_runs, plan_units

MINUTE = 60_000_000


@given(st.sampled_from(["<i2", "<i4", "<f4"]).flatmap(
    lambda d: hnp.arrays(np.dtype(d), st.tuples(st.integers(1, 50), st.integers(1, 4)),
                         elements={"allow_nan": False} if d == "<f4" else None)))  # fmt: skip
def test_samples_read_back_as_they_were_stored(samples: Any) -> None:
    name, data = codec.encode(samples)
    dtype = {"<i2": "i2", "<i4": "i4", "<f4": "f4"}[samples.dtype.str]
    again = codec.decode(name, data, dtype, *samples.shape)
    assert again.tobytes() == samples.tobytes()


@given(st.lists(st.integers(0, 30)))
def test_ranges_hold_the_set_of_what_was_added(numbers: list[int]) -> None:
    held = ranges.add([], numbers)
    assert [n for a, b in held for n in range(a, b + 1)] == sorted(set(numbers))
    end = ranges.prefix_end(held)
    assert set(range(end + 1)) <= set(numbers)
    assert end + 1 not in set(numbers)
    missing = {n for a, b in ranges.holes(held) for n in range(a, b + 1)}
    assert missing == set(range(max(numbers, default=-1) + 1)) - set(numbers)
    assert ranges.subtract([[0, 30]], held) == ranges.holes([*held, [31, 31]] if held != [[0, 30]] else [])


def pair(minute: int, off_s: float = 0.0, zone: int = 0) -> Pair:
    return Pair(minute * MINUTE, 1_764_000_000_000_000 + minute * MINUTE + round(off_s * 1e6), zone)


def test_the_clock_depends_on_the_set_of_pairs_and_not_on_their_order() -> None:
    pairs = [pair(1), pair(12, 0.02), pair(25, 86_400), pair(37, 0.05, 3600)]
    clocks = {fit_clock(p) for p in permutations(pairs)}
    assert len(clocks) == 1


def test_a_wall_clock_that_jumped_is_outvoted() -> None:
    clock = fit_clock([pair(1), pair(12), pair(25, 86_400), pair(37)])
    assert clock is not None
    assert {clock.offset_us(m * MINUTE) for m in range(60)} == {1_764_000_000_000_000}


def test_a_clock_that_drifts_through_an_offline_day_is_straightened() -> None:
    day = 24 * 60
    clock = fit_clock([pair(0), pair(day, 8.64)])  # 100 ppm
    assert clock is not None
    middle = clock.offset_us(day // 2 * MINUTE) - 1_764_000_000_000_000
    assert middle == pytest.approx(4.32e6, abs=0.1e6)


def test_two_clocks_agree_before_their_first_difference() -> None:
    few = [pair(1), pair(31, 0.1)]
    a, b = fit_clock(few), fit_clock([*few, pair(61, 0.5, 3600)])
    assert a is not None
    assert b is not None
    first = a.first_difference_us(b)
    assert first is not None
    for slot in range(first // SLOT_US):
        assert a.utc_us(slot * SLOT_US) == b.utc_us(slot * SLOT_US)
    assert a.first_difference_us(a) is None


def test_a_night_is_cut_at_the_wearers_noon() -> None:
    clock = fit_clock([Pair(0, 1_764_000_000_000_000, 3600)])  # 2025-11-24 16:00 UTC, 17:00 for the wearer
    assert clock is not None
    cuts = clock.noons(0)[:3]
    assert cuts[:2] == [0, 19 * 3600 * 1_000_000]
    spans = [Span(("acc_x",), 1.0, 0, 30 * 3600 * 1_000_000)]
    runs = plan_runs(spans, frozenset({"acc_x"}), frozenset({"acc_x"}))
    units = plan_nights(runs, WindowSpec(30.0, 30.0), cuts)
    assert [(u.first, u.last) for u in units] == [(0, 19 * 120), (19 * 120, 30 * 120)]


def test_a_run_ends_at_a_long_gap_and_at_a_change_of_rate() -> None:
    second = 1_000_000
    spans = [
        Span(("ppg",), 64.0, 0, 60 * second),
        Span(("ppg",), 64.0, 80 * second, 120 * second),  # 20 s: the run goes on
        Span(("ppg",), 64.0, 160 * second, 200 * second),  # 40 s: a new one
        Span(("ppg",), 32.0, 200 * second, 240 * second),
    ]
    runs = plan_runs(reversed(spans), frozenset({"ppg"}), frozenset({"ppg", "acc_x"}))
    assert [(r.start_us // second, r.end_us // second) for r in runs] == [(0, 120), (160, 200), (200, 240)]
    units = plan_units(runs, WindowSpec(8.0, 2.0), 0)
    assert [u.fresh for u in units] == [True, True, True]


def test_the_tables_are_those_of_the_migrations(store: Store) -> None:
    def compare(conn: Any) -> list[Any]:
        found = compare_metadata(MigrationContext.configure(conn), metadata)
        # Partitions are tables of their own to the comparison.
        return [f for f in found if not (f[0] == "remove_table" and "_p" in f[1].name) and "index" not in f[0]]

    assert store.read(compare) == []


def test_the_newest_migration_is_the_one_that_the_program_names() -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == HEAD


def test_a_store_from_a_newer_program_is_refused(store: Store) -> None:
    store.write(lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StoreError, match=r"'9999', which this program .* does not know; upgrade"):
        open_store(store.url)


def test_an_error_in_one_write_spares_the_others_of_its_group(store: Store) -> None:
    results: list[Any] = []

    def work(number: int) -> None:
        def insert(conn: Any) -> int:
            row = {"user_id": number, "name": f"n{number % 10}", "secret_hash": b"", "created_us": 0}
            conn.execute(users.insert().values(**row))
            return number

        try:
            results.append(store.write(insert))
        except Exception as error:
            results.append(type(error).__name__)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(r, int) for r in results) == 10
    assert results.count("IntegrityError") == 10


def test_encrypted_samples_need_their_key_and_show_alteration() -> None:
    key, other = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    name, data = Cipher(key).seal("shuffle-zstd", b"samples", b"digest")
    assert b"samples" not in data
    assert Cipher(key).open(name, data, b"digest") == ("shuffle-zstd", b"samples")
    with pytest.raises(StoreError, match="set WRISTWISE_DATA_KEY"):
        Cipher("").open(name, data, b"digest")
    for cipher, digest in ((Cipher(other), b"digest"), (Cipher(key), b"another")):
        with pytest.raises(StoreError, match="another WRISTWISE_DATA_KEY, or were altered"):
            cipher.open(name, data, digest)
    with pytest.raises(StoreError, match="must be base64 of 32 bytes"):
        Cipher("short")


def test_int16_samples_take_little_more_than_a_byte() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(3840) / 64
    ppg = (2000 * np.sin(2 * np.pi * 1.2 * t) + rng.normal(0, 12, t.size)).astype("<i2")
    _, data = codec.encode(ppg[:, None])
    assert len(data) / ppg.size <= 1.2


def test_settings_come_from_the_environment_and_every_one_is_documented() -> None:
    found = Settings.from_env({"WRISTWISE_RAW_DAYS": "7", "WRISTWISE_SECRET": "s"}, threads=2)
    assert (found.raw_days, found.secret, found.threads) == (7, "s", 2)
    with pytest.raises(SettingError, match="WRISTWISE_RAW_DAYS must be a whole number, got 'x'"):
        Settings.from_env({"WRISTWISE_RAW_DAYS": "x"})
    with pytest.raises(SettingError, match="at least 32 characters"):
        Settings().check_secret()
    table = (Path(__file__).parents[3] / "docs" / "service.md").read_text()
    for item in dataclasses.fields(Settings):
        assert f"`WRISTWISE_{item.name.upper()}`" in table

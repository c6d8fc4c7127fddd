"""A filled service to look at: six weeks of a wearer, and a signed-in browser of each scope."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection

from services.store import accounts, records
from services.store.migrate import open_store
from services.store.records import Record, client_id
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings

SECRET = "a secret of the tests, 32 characters and more"
OFFSET_S = 3600
DAY_US = 86_400_000_000
NOW = dt.datetime.now(dt.UTC)


def us(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1e6)


def record(user: int, kind: str, start: int, end: int, value: float | str | None = None, **data: object) -> Record:
    """Return a record; a word as the value goes where words belong."""
    name = f"{kind}-{start}"
    number = None if isinstance(value, str) else value
    return Record(
        client_id(user, "test", name), kind, start, end, OFFSET_S, number, "test", quality=0.9,
        data={"value": value, **data} if isinstance(value, str) else data,
        uncertainty=2.0 if kind == "heart_rate" else None, client_record_id=name, client_record_version=1,
    )  # fmt: skip


def six_weeks(user: int, seed: int = 7) -> list[Record]:
    """Return the records of a wearer who had a cold three days ago and fell today."""
    rng = np.random.default_rng(seed)
    local_midnight = (NOW + dt.timedelta(seconds=OFFSET_S)).replace(hour=0, minute=0, second=0, microsecond=0)
    midnight = us(local_midnight) - OFFSET_S * 1_000_000
    made = []
    for back in range(42, -1, -1):
        start = midnight - back * DAY_US
        sick = back in (0, 1, 2)
        bed = start - 3_600_000_000
        made += [
            record(user, "resting_heart_rate", start, start + DAY_US, 56 + rng.normal() + 9 * sick),
            record(user, "rmssd", start, start + DAY_US, 48 + 4 * rng.normal() - 25 * sick),
            record(user, "steps", start, start + DAY_US, float(8000 + 1500 * rng.normal())),
            record(user, "active_minutes", start, start + DAY_US, float(max(0, 25 + 8 * rng.normal()))),
            record(
                user, "sleep", bed, bed + 28_800_000_000, 425.0 + 20 * rng.normal(), efficiency=0.9, sol_min=12.0,
                waso_min=30.0, rem_latency_min=None, awakenings=3, light_min=230.0, deep_min=90.0, rem_min=0.0,
                score=84,
                hypnogram="W" * 24 + ("L" * 60 + "D" * 50 + "L" * 80) * 4 + "??" * 20 + "L" * 60 + "W" * 36,
            ),
        ]  # fmt: skip
    minutes = np.arange(midnight, us(NOW) - 60_000_000, 60_000_000)
    minutes = minutes[(minutes - midnight) // 60_000_000 % 300 < 270]  # gaps
    made += [
        record(user, "heart_rate", int(m), int(m) + 8_000_000, float(70 + 15 * np.sin(m / 7e9) + rng.normal()))
        for m in minutes
    ]
    made.append(record(user, "heart_rate", us(NOW) - 10_000_000, us(NOW) - 2_000_000, 71.0))
    made.append(record(user, "activity", midnight + 1, us(NOW), "walk"))
    made.append(record(user, "fall", us(NOW) - 300_000_000, us(NOW) - 290_000_000, "detected", confidence=0.93))
    return made


@pytest.fixture(scope="module")
def page_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('page') / 'store.db'}", durable=False)

    def fill(conn: Connection) -> None:
        user, _ = accounts.create_user(conn, "owner", "the owner's secret")
        accounts.create_user(conn, "stranger", "the stranger's secret")
        records.put(conn, user, six_weeks(user), {})

    opened.write(fill)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page_app(page_store: Store) -> object:
    return create_app(Settings(store=page_store.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0), page_store)


def signed_in(app: object, name: str, scope: str = "companion") -> FlaskClient:
    browser: FlaskClient = app.test_client()  # type: ignore[attr-defined]
    answer = browser.post(
        "/login", data={"name": name, "secret": f"the {name}'s secret", "scope": scope},
        headers={"Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    assert answer.status_code == 302
    return browser


@pytest.fixture
def owner(page_app: object) -> FlaskClient:
    return signed_in(page_app, "owner")


@pytest.fixture
def stranger(page_app: object) -> FlaskClient:
    return signed_in(page_app, "stranger")


@pytest.fixture
def caregiver(page_app: object) -> FlaskClient:
    return signed_in(page_app, "owner", "caregiver")


@pytest.fixture(scope="session")
def static_folder() -> Path:
    return Path(__file__).parents[3] / "services" / "page" / "static"

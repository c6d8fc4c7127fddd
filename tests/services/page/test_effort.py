"""Zones and energy on the page: from the wearer's age, measured maximum and weight, each with where it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection

from services.insight import follow
from services.store import accounts, records
from services.store.migrate import open_store
from services.store.records import Record
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings
from tests.services.page.conftest import DAY_US, NOW, OFFSET_S, SECRET, record, signed_in, us
from tests.services.page.test_views import FORM, OWN, text_of

MIDNIGHT = (us(NOW) + OFFSET_S * 1_000_000) // DAY_US * DAY_US - OFFSET_S * 1_000_000
MINUTE_US = 60_000_000


def yesterday(user: int) -> list[Record]:
    """Return an hour of walking at 110 BPM, ten minutes of running at 170, and two hours of sitting at 62."""
    at, made = MIDNIGHT - DAY_US + 9 * 60 * MINUTE_US, []
    for word, bpm, minutes in (("still", 62.0, 120), ("walk", 110.0, 60), ("run", 170.0, 10)):
        made.append(record(user, "activity", at, at + minutes * MINUTE_US, word))
        made += [record(user, "heart_rate", at + m * MINUTE_US, at + (m + 1) * MINUTE_US, bpm) for m in range(minutes)]
        at += minutes * MINUTE_US
    made.append(record(user, "resting_heart_rate", MIDNIGHT - DAY_US, MIDNIGHT, 60.0))
    return made


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('effort') / 'store.db'}", durable=False)

    def fill(conn: Connection) -> None:
        user, _ = accounts.create_user(conn, "owner", "the owner's secret")
        records.put(conn, user, yesterday(user), {})

    store.write(fill)
    follow.step(store)
    yield store
    store.close()


@pytest.fixture
def browser(filled: Store) -> FlaskClient:
    settings = Settings(store=filled.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0)
    return signed_in(create_app(settings, filled), "owner")


@pytest.fixture
def day(browser: FlaskClient) -> str:
    link = re.search(r'href="(/day\?date=[\d-]+)" rel="prev"', browser.get("/day").text)
    assert link
    return link[1]


def test_a_day_has_its_zones_from_age_and_from_what_was_measured(browser: FlaskClient, day: str) -> None:
    browser.post("/settings", data=FORM, headers=OWN)
    guessed = text_of(browser.get(day).text)
    assert "maximum 180 BPM, taking you to be 40" in guessed
    assert "Moderate 108–132 BPM 1 h 0 min" in guessed
    assert "Maximal 168–180 BPM 10 min" in guessed
    browser.post("/settings", data={**FORM, "birth_year": str(NOW.year - 60)}, headers=OWN)
    seen = text_of(browser.get(day).text)
    assert "maximum 170 BPM, seen on" in seen  # 208 - 0.7 x 60 = 166 is less than what the watch saw
    browser.post("/settings", data={**FORM, "max_hr_bpm": "190"}, headers=OWN)
    assert "maximum 190 BPM, as you told" in text_of(browser.get(day).text)


def test_energy_is_in_met_minutes_until_a_weight_is_told_and_names_its_table(browser: FlaskClient, day: str) -> None:
    browser.post("/settings", data=FORM, headers=OWN)
    met_min = 120 * 1.3 + 60 * 3.5 + 10 * 9.8
    assert f"{met_min:,.0f} MET-min" in text_of(browser.get(day).text)
    browser.post("/settings", data={**FORM, "weight": "80"}, headers=OWN)
    shown = text_of(browser.get(day).text)
    assert f"{met_min / 60 * 80:,.0f} kcal" in shown
    assert "walking, 2.8 to 3.2 mph, level, moderate pace (17190)" in shown
    assert "doi:10.1249/MSS.0b013e31821ece12" in shown
    browser.post("/settings", data={**FORM, "weight": "80", "energy_unit": "kJ"}, headers=OWN)
    assert f"{met_min / 60 * 80 * 4.184:,.0f} kJ" in text_of(browser.get(day).text)


def test_trends_has_the_weeks_zones_and_the_energy_of_its_days(browser: FlaskClient) -> None:
    browser.post("/settings", data={**FORM, "weight": "80"}, headers=OWN)
    shown = text_of(browser.get("/trends").text)
    assert "Time in exercise zones, by week" in shown
    assert re.search(r"Energy used \d{3} kcal", shown)

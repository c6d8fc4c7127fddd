"""Each view in process: what it says without JavaScript, to whom, in which language, from which hosts."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, select

from services.page.catalogue import LANGUAGES, choose, messages, translator
from services.page.views.models import split, tables
from services.store import records
from services.store.store import Store
from services.store.tables import records as records_table
from services.store.tables import users
from tests.services.page.conftest import NOW, record, us

VIEWS = ("/", "/day", "/night", "/trends", "/events", "/devices", "/models", "/data", "/settings")
PAGE = Path(__file__).parents[3] / "services" / "page"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", " ", html, flags=re.S)))


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_view_answers_in_every_language(owner: FlaskClient, path: str, language: str) -> None:
    answer = owner.get(path, query_string={"lang": language})
    assert answer.status_code == 200
    assert f'<html lang="{"zh-Hans" if language == "zh" else language}"' in answer.text
    assert translator(language)("footer.not_medical") in answer.text


@pytest.mark.parametrize("path", VIEWS)
def test_no_view_asks_another_host(owner: FlaskClient, path: str) -> None:
    answer = owner.get(path)
    foreign = re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?((?:https?:)?//[^"')\s]+)""", answer.text)
    assert foreign == []
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]+ style=|<script>|<style|\son[a-z]+=", answer.text)


def test_the_figures_are_there_to_read_without_javascript(owner: FlaskClient) -> None:
    now, day, night = (text_of(owner.get(path).text) for path in ("/", "/day", "/night"))
    assert re.search(r"\b71\b BPM", now)
    assert "± 2" in now
    assert re.search(r"\d\d:00 \d+ \d+ – \d+", day)
    assert "Time to fall asleep" in night
    assert "12 min" in night


def test_what_is_unknown_is_a_dash_and_not_a_zero(owner: FlaskClient) -> None:
    night = text_of(owner.get("/night").text)
    assert re.search(r"From falling asleep to the first REM sleep. –", night)


def test_a_day_without_data_says_so(owner: FlaskClient) -> None:
    assert "No heart rate on this day." in owner.get("/day?date=2020-02-02").text
    assert "No night ends on this day yet." in owner.get("/night?date=2020-02-02").text


def test_a_number_that_left_its_range_says_so(owner: FlaskClient) -> None:
    trends = text_of(owner.get("/trends").text)
    assert "outside your usual range" in trends
    assert "Resting heart rate 3 days above your usual range" in trends
    assert "no diagnosis" in trends


def test_who_is_not_signed_in_is_sent_to_sign_in_and_comes_back(page_app: object) -> None:
    answer = page_app.test_client().get("/night?date=2026-01-01")  # type: ignore[attr-defined]
    assert answer.status_code == 302
    assert answer.location == "/login?next=/night?date%3D2026-01-01"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_nobody_is_sent_to_another_site(page_app: object, target: str) -> None:
    answer = page_app.test_client().get("/choose", query_string={"lang": "zh", "next": target})  # type: ignore[attr-defined]
    assert answer.location == "/login"


def test_a_wrong_secret_is_told_and_gives_no_session(page_app: object) -> None:
    browser = page_app.test_client()  # type: ignore[attr-defined]
    answer = browser.post(
        "/login", data={"name": "owner", "secret": "guess"}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert "No user has this name and secret" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_form_from_another_site_is_refused(owner: FlaskClient, page_app: object) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert owner.post("/devices", data={"revoke": "x"}, headers=foreign).status_code == 403
    login = page_app.test_client().post("/login", data={"name": "owner"}, headers=foreign)  # type: ignore[attr-defined]
    assert login.status_code == 403


def event_id(browser: FlaskClient) -> str:
    found = re.search(r'action="/events/([0-9a-f]{32})"', browser.get("/events").text)
    assert found
    return found[1]


def test_another_users_event_cannot_be_touched_by_any_guess(owner: FlaskClient, stranger: FlaskClient) -> None:
    own = {"Sec-Fetch-Site": "same-origin"}
    address = f"/events/{event_id(owner)}"
    for guess in (address, "/events/00" * 1, "/events/zz"):
        assert stranger.post(guess, data={"state": "acknowledged"}, headers=own).status_code == 404
    assert "Detected" in owner.get("/events").text
    for path in VIEWS:
        assert "confidence 93 %" not in text_of(stranger.get(path).text)
    assert "No events." in stranger.get("/events").text


def test_a_caregiver_sees_events_only(caregiver: FlaskClient) -> None:
    assert caregiver.get("/").location == "/events"
    assert caregiver.get("/events").status_code == 200
    for path in ("/day", "/night", "/trends", "/devices", "/models", "/data"):
        assert caregiver.get(path).status_code == 403


def test_a_fall_is_acknowledged_once_and_keeps_its_history(owner: FlaskClient) -> None:
    own = {"Sec-Fetch-Site": "same-origin"}
    address = f"/events/{event_id(owner)}"
    assert owner.post(address, data={"note": "<script>alert(1)</script>"}, headers=own).status_code == 302
    assert owner.post(address, data={"state": "acknowledged"}, headers=own).status_code == 302
    shown = owner.get("/events").text
    assert "Acknowledged" in shown
    assert "the wearer" in shown
    assert "<script>alert(1)</script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    again = owner.post(address, data={"state": "cancelled"}, headers=own)
    assert again.status_code == 409
    assert "cannot become" in again.text


def test_every_message_is_in_every_language_with_the_same_places() -> None:
    for key, entry in messages().items():
        assert set(entry) == set(LANGUAGES), key
        places = [sorted(re.findall(r"\{(\w+)\}", entry[code])) for code in LANGUAGES]
        assert places[0] == places[1], key


def test_every_message_that_a_template_names_is_in_the_catalogue() -> None:
    named = set()
    for template in (PAGE / "templates").glob("*.html"):
        named |= set(re.findall(r"\bt\('([\w.]+)'[,)]", template.read_text(encoding="utf-8")))
        named |= set(re.findall(r'\bt\("([\w.]+)"[,)]', template.read_text(encoding="utf-8")))
    assert len(named) > 60
    assert named <= set(messages())


@pytest.mark.parametrize(
    ("wanted", "accepted", "chosen"),
    [(None, "zh-CN,en;q=0.5", "zh"), (None, "fr,de", "en"), ("zh", "en", "zh"), ("xx", None, "en")],
)
def test_the_language_follows_the_choice_then_the_browser(
    wanted: str | None, accepted: str | None, chosen: str
) -> None:
    assert choose(wanted, accepted) == chosen


def test_the_page_weighs_little(owner: FlaskClient, static_folder: Path) -> None:
    assets = [p for p in static_folder.rglob("*") if p.suffix in {".js", ".css", ".svg"}]
    weight = sum(len(gzip.compress(p.read_bytes())) for p in assets)
    weight += max(len(gzip.compress(owner.get(path).data)) for path in VIEWS)
    assert weight <= 150_000


def test_the_vendored_library_is_the_published_one(static_folder: Path) -> None:
    sums = (static_folder / "vendor" / "SHA256SUMS").read_text().split("\n")
    for digest, name in (line.split() for line in sums if line):
        assert hashlib.sha256((static_folder / "vendor" / name).read_bytes()).hexdigest() == digest


def test_a_late_word_of_the_watch_does_not_undo_what_a_person_decided(page_store: Store, owner: FlaskClient) -> None:
    """The watch's countdown ends and says `alerted` after the caregiver acknowledged."""
    own = {"Sec-Fetch-Site": "same-origin"}
    address = f"/events/{event_id(owner)}"
    owner.post(address, data={"state": "acknowledged"}, headers=own)
    key = bytes.fromhex(address.rsplit("/", 1)[1])

    def late(conn: Connection) -> None:
        (user,) = conn.execute(select(records_table.c.user_id).where(records_table.c.id == key)).scalars()
        stored = records.by_id(conn, user, [key])
        renewed = replace(stored[key], data={**stored[key].data, "value": "alerted"}, client_record_version=9)
        records.put(conn, user, [renewed], stored)

    page_store.write(late)
    shown = text_of(owner.get("/events").text)
    assert "Acknowledged" in shown
    assert "Alerted" not in shown


OWN = {"Sec-Fetch-Site": "same-origin"}
FORM = {"stand": "on", "quiet_from": "21:30", "quiet_to": "06:45", "weight_unit": "kg", "energy_unit": "kcal"}


def test_reminders_are_switched_off_and_quiet_hours_are_kept(owner: FlaskClient) -> None:
    assert owner.post("/settings", data=FORM, headers=OWN).status_code == 302
    shown = owner.get("/settings").text
    assert 'name="stand" checked' in shown
    assert 'name="charge" checked' not in shown
    assert 'value="21:30"' in shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"quiet_to": "late"}, "times of day such as 22:30"),
        ({"weight": "-3"}, "`weight` must be a number from 20 to 400"),
        ({"birth_year": "nan"}, "`birth_year` must be a number from 1900"),
        ({"max_hr_bpm": "<b>"}, "`max_hr_bpm` must be a number"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_its_reason(
    owner: FlaskClient, wrong: dict[str, str], said: str
) -> None:
    refused = owner.post("/settings", data={**FORM, **wrong}, headers=OWN)
    assert refused.status_code == 400
    assert said in refused.text


@pytest.mark.parametrize("path", ["/day", "/trends"])
def test_food_advice_is_off_until_it_is_asked_for_and_is_quoted_with_its_source(owner: FlaskClient, path: str) -> None:
    owner.post("/settings", data=FORM, headers=OWN)
    assert "fruit and vegetables" not in owner.get(path).text
    owner.post("/settings", data={**FORM, "food_advice": "on"}, headers=OWN)
    shown = text_of(owner.get(path).text)
    assert "“At least 400 g (i.e. five portions) of fruit and vegetables per day" in shown
    assert "World Health Organization, fact sheet “Healthy diet”" in shown
    assert "not made for you" in shown


def test_a_pound_is_a_pound_and_comes_back_as_it_was_typed(owner: FlaskClient) -> None:
    owner.post("/settings", data={**FORM, "weight": "154.3", "weight_unit": "lb", "energy_unit": "kJ"}, headers=OWN)
    shown = owner.get("/settings").text
    assert 'name="weight" inputmode="decimal" step="0.1" min="1" value="154.3"' in shown
    assert '<option value="kJ" selected>' in shown


def test_no_address_puts_words_of_its_own_on_the_page(owner: FlaskClient) -> None:
    assert "your account is closed" not in owner.get("/devices?said=your account is closed").text
    assert "The watch is paired." in owner.get("/devices?said=paired").text


def test_the_weeks_say_what_is_owed_and_how_regular_it_was(owner: FlaskClient) -> None:
    owner.post("/settings", data={**FORM, "sleep_need_h": "8"}, headers=OWN)
    shown = text_of(owner.get("/trends").text)
    assert "Sleep debt is what the last 14 nights fell short of the 8 h 0 min that you need" in shown
    assert re.search(r"\d+ [A-Z][a-z]{2} [67] h \d+ min 1[0-9] h \d+ min 100 ± 0 min", shown)
    owner.post("/settings", data={**FORM, "sleep_need_h": "6"}, headers=OWN)
    assert re.search(r"\d+ [A-Z][a-z]{2} [67] h \d+ min 0 min 100 ± 0 min", text_of(owner.get("/trends").text))


def test_a_caregiver_acknowledges_a_fall_and_the_history_says_who(
    page_store: Store, owner: FlaskClient, caregiver: FlaskClient
) -> None:
    user = page_store.read(lambda c: c.execute(select(users.c.user_id).where(users.c.name == "owner")).scalar())
    at = us(NOW) - 7_200_000_000
    fall = record(user, "fall", at, at + 10_000_000, "alerted", confidence=0.8)
    page_store.write(lambda conn: records.put(conn, user, [fall], {}))
    address = f"/events/{fall.id.hex()}"
    assert (
        caregiver.post(address, data={"state": "acknowledged", "note": "I called her."}, headers=OWN).status_code == 302
    )
    shown = text_of(owner.get("/events").text)
    assert re.search(r"Acknowledged · [^·]+ · a caregiver", shown)
    assert "I called her." in shown


def test_an_irregular_rhythm_can_be_acknowledged_but_is_no_fall_to_cancel(
    page_store: Store, owner: FlaskClient
) -> None:
    user = page_store.read(lambda c: c.execute(select(users.c.user_id).where(users.c.name == "owner")).scalar())
    at = us(NOW) - 9_000_000_000
    found = record(user, "irregular_rhythm", at, at + 60_000_000, "irregular", probability=0.9)
    page_store.write(lambda conn: records.put(conn, user, [found], {}))
    shown = text_of(owner.get("/events").text)
    assert "a doctor with an ECG can tell what it was" in shown
    address = f"/events/{found.id.hex()}"
    assert owner.post(address, data={"state": "cancelled"}, headers=OWN).status_code == 409
    assert owner.post(address, data={"state": "acknowledged"}, headers=OWN).status_code == 302


def test_a_cards_figures_are_told_apart_from_those_of_its_groups() -> None:
    metrics = {
        "how": "5 folds", "mae_bpm": 1.7, "mae_bpm_wrist": 8.0, "coverage_wrist": 0.4, "mae_bpm_spc2015": 1.0,
        "coverage_spc2015": 0.9, "f1_macro": 0.9, "kappa_2": 0.5, "kappa_2_low": 0.4, "kappa_2_high": 0.6,
        "wrist walk: MAE of 806 windows": 8.2, "wrist walk: share answered": 0.4, "a_new_one": 3,
    }  # fmt: skip
    figures, groups = split(metrics)
    assert [f["name"] for f in figures] == ["mae_bpm", "f1_macro", "a_new_one"]
    assert groups["wrist"]["mae_bpm"]["value"] == 8.0
    assert (groups["2"]["kappa"]["low"], groups["2"]["kappa"]["high"]) == (0.4, 0.6)
    assert groups["wrist walk"]["windows"]["value"] == 806
    assert [t["measures"] for t in tables(groups)] == [
        ("mae_bpm", "coverage"), ("kappa",), ("MAE", "windows", "share answered"),
    ]  # fmt: skip

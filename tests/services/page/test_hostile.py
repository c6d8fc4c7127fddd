"""What a client may write is text, whatever it says; and what no client should write takes no view down."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from services.store import accounts
from services.store.store import Store
from tests.services.client import Person
from tests.services.page.hostile import ATTACK, follow_up, shapes, texts
from tests.services.page.test_views import OWN, VIEWS

PAGES = (*VIEWS, "/day?date=2020-01-01", "/night?date=2020-01-01", "/events?lang=zh", "/trends?theme=dark")


@pytest.fixture
def page(ada: Person) -> FlaskClient:
    browser = ada.http.application.test_client()
    browser.post("/login", data={"name": ada.name, "secret": ada.secret}, headers=OWN)
    return browser


def test_no_text_of_a_client_is_markup_on_any_view(ada: Person, page: FlaskClient) -> None:
    texts(ada)
    assert follow_up(ada) == 1
    seen = ""
    for path in PAGES:
        answer = page.get(path)
        assert answer.status_code == 200, path
        assert "<img src=x" not in answer.text
        assert "<script>window" not in answer.text
        seen += unescape(answer.text)
    assert ATTACK in seen  # it was shown, as what it is


@pytest.mark.parametrize("first", [True, False])
def test_data_of_any_shape_take_no_view_down(ada: Person, page: FlaskClient, first: bool) -> None:
    shapes(ada)
    if first:
        assert follow_up(ada) == 1
    for path in PAGES:
        assert page.get(path).status_code == 200, path


def test_a_stranger_sees_what_an_empty_account_sees_whatever_is_guessed(
    ada: Person, page: FlaskClient, store: Store
) -> None:
    texts(ada)
    follow_up(ada)
    answers = {}
    for name in ("eve", "nobody"):
        _, secret = store.write(lambda conn, name=name: accounts.create_user(conn, name))
        browser = ada.http.application.test_client()
        browser.post("/login", data={"name": name, "secret": secret}, headers=OWN)
        if name == "eve":
            for event in re.findall(r'action="/events/([0-9a-f]{32})"', page.get("/events").text):
                assert browser.post(f"/events/{event}", data={"state": "acknowledged"}, headers=OWN).status_code == 404
                assert browser.get(f"/events/{event}").status_code in (404, 405)
            for form in ({"revoke": "w2"}, {"release": "w2"}, {"revoke": ada.device_id}):
                assert browser.post("/devices", data=form, headers=OWN).location.endswith("no_such_device")
        answers[name] = [browser.get(path).text for path in PAGES if not path.startswith("/data")]
    assert answers["eve"] == answers["nobody"]
    assert "w2" in page.get("/devices").text
    assert store.read(lambda conn: [d.revoked_us for d in accounts.list_devices(conn, ada.user_id)]) == [None, None]

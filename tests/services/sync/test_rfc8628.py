"""The device grant against RFC 8628 and its neighbours, section by section; names and errors are Authlib's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from authlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    InvalidGrantError,
    InvalidRequestError,
    UnsupportedGrantTypeError,
)  # fmt: skip
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE
from authlib.oauth2.rfc8628.errors import AuthorizationPendingError, ExpiredTokenError, SlowDownError
from flask.testing import FlaskClient
from sqlalchemy import update

from services.store import accounts
from services.store.store import Store, now_us
from services.store.tables import pairings, tokens
from services.sync.app import create_app
from services.sync.config import Settings
from services.sync.pairing import DEVICE_GRANT
from tests.services.client import Person, bearer

FORM = {"client_id": "w", "grant_type": DEVICE_CODE_GRANT_TYPE}


def ask(http: FlaskClient, **more: str) -> Any:
    return http.post("/oauth/device_authorization", data={"client_id": "w", **more})


def poll(http: FlaskClient, code: str, **more: str) -> Any:
    return http.post("/oauth/token", data={**FORM, "device_code": code, **more})


def refresh(http: FlaskClient, token: str, client: str = "w") -> Any:
    form = {"client_id": client, "grant_type": "refresh_token", "refresh_token": token}
    return http.post("/oauth/token", data=form)


def refused(answer: Any, error: type[Exception]) -> None:
    """Check the shape of RFC 6749, 5.2, and which error it is."""
    assert (answer.status_code, answer.json["error"]) == (400, error.error)  # type: ignore[attr-defined]
    assert set(answer.json) == {"error", "error_description"}
    assert len(answer.json["error_description"]) > 15
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


def age(store: Store, seconds: float) -> None:
    """Let `seconds` pass for every pairing."""
    us = round(seconds * 1e6)
    changes = {"expires_us": pairings.c.expires_us - us, "polled_us": pairings.c.polled_us - us}
    store.write(lambda conn: conn.execute(update(pairings).values(**changes)))


def test_3_2_the_answer_has_every_member_and_may_not_be_kept(ada: Person) -> None:
    answer = ask(ada.http, scope="watch")
    body = answer.json
    assert {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    } <= set(body)
    assert body["verification_uri_complete"] == f"{body['verification_uri']}?code={body['user_code']}"
    assert (answer.headers["Cache-Control"], answer.content_type) == ("no-store", "application/json")
    assert DEVICE_GRANT == DEVICE_CODE_GRANT_TYPE


def test_6_1_the_code_is_typed_easily_and_drawn_from_enough(ada: Person) -> None:
    codes = {ask(ada.http).json["user_code"] for _ in range(50)}
    assert len(codes) == 50
    assert all(re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", code) for code in codes)
    assert len(accounts.CODE_ALPHABET) ** 8 > 2**34


def test_5_1_codes_cannot_be_tried_out(ada: Person, store: Store) -> None:
    app = create_app(Settings(store=store.url, secret="x" * 40, signin_per_minute=5), store)
    tries = [
        app.test_client().post(f"/v1/pairings/BBBB-BBB{c}", json={}, headers=ada.companion).status_code
        for c in accounts.CODE_ALPHABET
    ]
    assert (tries[:5], set(tries[5:])) == ([404] * 5, {429})


def test_5_2_a_device_code_cannot_be_guessed_and_is_kept_as_a_hash(ada: Person, store: Store) -> None:
    code = ask(ada.http).json["device_code"]
    assert len(code) >= 43  # 32 bytes
    assert code not in repr(store.read(lambda conn: conn.exec_driver_sql("SELECT * FROM pairings").fetchall()))


def test_3_5_authorization_pending_until_somebody_decides(ada: Person) -> None:
    refused(poll(ada.http, ask(ada.http).json["device_code"]), AuthorizationPendingError)


def test_3_5_slow_down_adds_five_seconds_for_this_and_all_following_polls(ada: Person, store: Store) -> None:
    code = ask(ada.http).json["device_code"]
    poll(ada.http, code)
    refused(poll(ada.http, code), SlowDownError)
    age(store, 4)  # longer than the first interval, shorter than the new one
    refused(poll(ada.http, code), SlowDownError)
    age(store, 12)
    refused(poll(ada.http, code), AuthorizationPendingError)


def test_3_5_access_denied_once_the_wearer_refused(ada: Person) -> None:
    asked = ask(ada.http).json
    ada.http.post(f"/v1/pairings/{asked['user_code']}", json={"approve": False}, headers=ada.companion)
    refused(poll(ada.http, asked["device_code"]), AccessDeniedError)
    assert ada.http.post(f"/v1/pairings/{asked['user_code']}", json={}, headers=ada.companion).status_code == 404


def test_3_5_expired_token_once_the_code_is_too_old_and_it_can_no_longer_be_approved(ada: Person, store: Store) -> None:
    asked = ask(ada.http).json
    age(store, asked["expires_in"] + 1)
    refused(poll(ada.http, asked["device_code"]), ExpiredTokenError)
    assert ada.http.post(f"/v1/pairings/{asked['user_code']}", json={}, headers=ada.companion).status_code == 404
    late = ask(ada.http).json
    ada.http.post(f"/v1/pairings/{late['user_code']}", json={}, headers=ada.companion)
    age(store, late["expires_in"] + 1)
    refused(poll(ada.http, late["device_code"]), ExpiredTokenError)  # approved, and never fetched in time


def test_a_device_code_gives_tokens_once_and_to_the_client_that_asked(ada: Person) -> None:
    asked = ask(ada.http).json
    ada.http.post(f"/v1/pairings/{asked['user_code']}", json={}, headers=ada.companion)
    refused(poll(ada.http, asked["device_code"], client_id="other"), InvalidGrantError)
    paired = poll(ada.http, asked["device_code"])
    assert (paired.status_code, paired.headers["Cache-Control"]) == (200, "no-store")
    assert {"access_token", "refresh_token", "token_type", "expires_in", "scope"} <= set(paired.json)
    refused(poll(ada.http, asked["device_code"]), InvalidGrantError)


def test_two_polls_at_once_give_one_pair_of_tokens(ada: Person, store: Store) -> None:
    import threading

    asked = ask(ada.http).json
    ada.http.post(f"/v1/pairings/{asked['user_code']}", json={}, headers=ada.companion)
    answers: list[int] = []

    def fetch() -> None:
        client = ada.http.application.test_client()
        answers.append(poll(client, asked["device_code"]).status_code)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [400] * 5


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_id": "w", "grant_type": DEVICE_CODE_GRANT_TYPE}, InvalidRequestError),
        ({"client_id": "w", "grant_type": "refresh_token"}, InvalidRequestError),
        ({"client_id": "w", "grant_type": "password", "device_code": "x"}, UnsupportedGrantTypeError),
        ({"client_id": "w", "grant_type": DEVICE_CODE_GRANT_TYPE, "device_code": "unknown"}, InvalidGrantError),
        ({"client_id": "w", "grant_type": "refresh_token", "refresh_token": "unknown"}, InvalidGrantError),
    ],
)
def test_6749_5_2_a_request_that_cannot_be_is_named(ada: Person, form: dict[str, str], error: type[Exception]) -> None:
    refused(ada.http.post("/oauth/token", data=form), error)


def test_6749_10_4_refresh_tokens_rotate_and_reuse_ends_the_family(ada: Person) -> None:
    first = ada.pair("second")
    other = ada.pair("third")
    second = refresh(ada.http, first["refresh_token"]).json
    third = refresh(ada.http, second["refresh_token"]).json
    assert len({p["refresh_token"] for p in (first, second, third)}) == 3
    refused(refresh(ada.http, first["refresh_token"]), InvalidGrantError)  # two rounds old
    refused(refresh(ada.http, third["refresh_token"]), InvalidGrantError)  # the thief's, or the watch's own
    assert ada.http.get("/v1/me", headers=bearer(third)).status_code == 401
    assert ada.http.get("/v1/me", headers=bearer(other)).status_code == 200  # another pairing is none of that


def test_a_refresh_token_is_bound_to_its_client_expires_and_never_gains_scope(ada: Person, store: Store) -> None:
    pair = ada.pair("second")
    refused(refresh(ada.http, pair["refresh_token"], client="other"), InvalidGrantError)
    form = {
        "client_id": "w",
        "grant_type": "refresh_token",
        "refresh_token": pair["refresh_token"],
        "scope": "companion",
    }
    renewed = ada.http.post("/oauth/token", data=form).json
    assert renewed["scope"] == "watch"
    past = update(tokens).values(expires_us=now_us() - 1)
    store.write(lambda conn: conn.execute(past))
    refused(refresh(ada.http, renewed["refresh_token"]), InvalidGrantError)
    assert ada.http.get("/v1/me", headers=bearer(renewed)).status_code == 401


def test_7009_a_token_of_either_kind_ends_its_pairing_and_an_unknown_one_is_no_error(ada: Person) -> None:
    for kind in ("access_token", "refresh_token"):
        pair = ada.pair("second")
        assert ada.http.post("/oauth/revoke", data={"token": pair[kind]}).status_code == 204
        assert ada.http.get("/v1/me", headers=bearer(pair)).status_code == 401
        refused(refresh(ada.http, pair["refresh_token"]), InvalidGrantError)
    assert ada.http.post("/oauth/revoke", data={"token": "unknown"}).status_code == 204

"""Pairing: the device grant, rotation, reuse, revocation, several devices."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE
from flask.testing import FlaskClient

from services.store import accounts
from services.store.store import Store
from tests.services.client import Person, bearer

FORM = {"client_id": "w", "grant_type": DEVICE_CODE_GRANT_TYPE}


def ask(http: FlaskClient, **more: str) -> Any:
    return http.post("/oauth/device_authorization", data={"client_id": "w", **more}).json


def poll(http: FlaskClient, code: str, **more: str) -> Any:
    return http.post("/oauth/token", data={**FORM, "device_code": code, **more})


def refresh(http: FlaskClient, token: str) -> Any:
    form = {"client_id": "w", "grant_type": "refresh_token", "refresh_token": token}
    return http.post("/oauth/token", data=form)


def test_a_watch_waits_for_approval_and_gets_its_tokens_once(ada: Person) -> None:
    asked = ask(ada.http, device_id="second")
    pending = poll(ada.http, asked["device_code"])
    assert (pending.status_code, pending.json["error"]) == (400, "authorization_pending")
    shown = asked["user_code"].lower().replace("-", " ")  # typed as people type
    assert ada.http.post(f"/v1/pairings/{shown}", json={}, headers=ada.companion).json["device_id"] == "second"
    paired = poll(ada.http, asked["device_code"])
    assert (paired.status_code, paired.json["scope"], paired.json["device_id"]) == (200, "watch", "second")
    assert poll(ada.http, asked["device_code"]).json["error"] == "invalid_grant"


def test_polling_too_fast_is_told_to_slow_down(ada: Person) -> None:
    code = ask(ada.http)["device_code"]
    poll(ada.http, code)
    assert poll(ada.http, code).json["error"] == "slow_down"


def test_a_refused_pairing_and_an_unknown_code_say_so(ada: Person) -> None:
    asked = ask(ada.http)
    ada.http.post(f"/v1/pairings/{asked['user_code']}", json={"approve": False}, headers=ada.companion)
    assert poll(ada.http, asked["device_code"]).json["error"] == "access_denied"
    assert ada.http.post("/v1/pairings/BBBB-BBBB", json={}, headers=ada.companion).status_code == 404
    assert poll(ada.http, "nonsense").json["error"] == "invalid_grant"


def test_the_codes_of_one_client_are_no_use_to_another(ada: Person) -> None:
    asked = ask(ada.http)
    assert poll(ada.http, asked["device_code"], client_id="other").json["error"] == "invalid_grant"


def test_refresh_tokens_rotate_and_the_old_access_token_goes(ada: Person) -> None:
    first = ada.pair("second")
    second = refresh(ada.http, first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert ada.http.get("/v1/me", headers=bearer(first)).status_code == 401
    assert ada.http.get("/v1/me", headers=bearer(second)).json["device_id"] == "second"


def test_a_replayed_refresh_token_revokes_the_whole_pairing(ada: Person) -> None:
    first = ada.pair("second")
    second = refresh(ada.http, first["refresh_token"]).json
    replayed = refresh(ada.http, first["refresh_token"])
    assert (replayed.status_code, replayed.json["error"]) == (400, "invalid_grant")
    assert "used before" in replayed.json["error_description"]
    assert ada.http.get("/v1/me", headers=bearer(second)).status_code == 401
    assert refresh(ada.http, second["refresh_token"]).status_code == 400


def test_a_revoked_device_is_out_at_once_and_its_data_stay(ada: Person) -> None:
    ada.send(ada.batch([ada.chunk(0)], 10))
    assert ada.http.delete(f"/v1/devices/{ada.device_id}", headers=ada.companion).status_code == 204
    assert ada.send(ada.batch([ada.chunk(1)], 20)).status_code == 401
    assert ada.http.get("/v1/manifest", headers=ada.companion).json["streams"][0]["held"] == [[0, 0]]
    assert ada.http.get("/v1/devices", headers=ada.companion).json["devices"][0]["revoked"] is not None


def test_revoking_a_token_ends_its_family_and_only_that(ada: Person) -> None:
    other = ada.pair("second")
    assert ada.http.post("/oauth/revoke", data={"token": other["refresh_token"]}).status_code == 204
    assert ada.http.get("/v1/me", headers=bearer(other)).status_code == 401
    assert ada.http.get("/v1/me", headers=ada.watch).status_code == 200


def test_a_user_has_several_devices_and_each_writes_only_its_own(ada: Person) -> None:
    second = bearer(ada.pair("second"))
    assert ada.send(ada.batch([ada.chunk(0)]), second).status_code == 403
    assert ada.send(ada.batch([ada.chunk(0)], device_id="second"), second).status_code == 200
    assert {d["device_id"] for d in ada.http.get("/v1/devices", headers=ada.companion).json["devices"]} == {
        "watch-1",
        "second",
    }


def test_signing_in_needs_the_secret(ada: Person) -> None:
    good = ada.http.post("/v1/sessions", json={"name": "ada", "secret": ada.secret})
    assert (good.status_code, good.json["scope"]) == (201, "companion")
    for name, secret in (("ada", "wrong"), ("nobody", ada.secret)):
        assert ada.http.post("/v1/sessions", json={"name": name, "secret": secret}).status_code == 401


def test_secrets_and_tokens_are_stored_as_hashes_only(ada: Person, store: Store) -> None:
    pair = store.write(lambda conn: accounts.issue(conn, ada.user_id, "companion", "c"))
    rows = store.read(
        lambda conn: (
            repr(conn.exec_driver_sql("SELECT * FROM tokens").fetchall())
            + repr(conn.exec_driver_sql("SELECT * FROM users").fetchall())
        )
    )
    assert pair.access_token not in rows
    assert pair.refresh_token not in rows
    assert ada.secret not in rows


def test_scopes_keep_a_watch_from_reading_like_a_companion(ada: Person) -> None:
    for method, address in (
        ("get", "/v1/export"),
        ("delete", "/v1/me"),
        ("get", "/v1/trends"),
        ("post", "/v1/pairings/X"),
    ):
        answer = getattr(ada.http, method)(address, headers=ada.watch)
        assert (answer.status_code, answer.json["type"].rsplit("/")[-1]) == (403, "forbidden")


def test_a_caregiver_sees_events_only(ada: Person) -> None:
    caregiver = bearer(ada.store.write(lambda c: accounts.issue(c, ada.user_id, "caregiver", "son")))
    record = {"kind": "heart_rate", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:08Z", "value": 70}
    fall = {**record, "kind": "fall", "value": "detected"}
    ada.http.post(
        "/v1/records",
        json={"records": [{**record, "client_record_id": "a"}, {**fall, "client_record_id": "b"}]},
        headers=ada.companion,
    )
    seen = ada.http.get("/v1/changes", headers=caregiver).json["changes"]
    assert [c["kind"] for c in seen] == ["fall"]
    assert ada.http.get("/v1/changes?kind=heart_rate", headers=caregiver).status_code == 403
    assert ada.http.get("/v1/series/heart_rate", headers=caregiver).status_code == 403

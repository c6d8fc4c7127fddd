"""Rules over every route: isolation between users, problem details, scopes, and the OpenAPI description itself."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.store.store import Store
from services.sync.config import Settings
from services.sync.operation import PUBLIC, SCOPES_ATTRIBUTE
from tests.services.client import Person, wall

MARK = "a-private-mark"
# Ada's things, by the name of the path's parameter.
HERS = {
    "device_id": "watch-1", "kind": "heart_rate", "task": "pulse", "version": "v1", "client": "phone",
    "client_record_id": MARK, "user_code": "BBBB-BBBB",
}  # fmt: skip


def operations(http: FlaskClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, description) of everything in the OpenAPI description."""
    paths = http.get("/openapi.json").json["paths"]
    return [(m, p, o) for p, item in sorted(paths.items()) for m, o in sorted(item.items())]


def fill(ada: Person) -> dict[str, str]:
    """Give Ada one of everything and return the ids."""
    ids = dict(HERS)
    ada.send(ada.batch([ada.chunk(0), ada.chunk(1, n=3)], 20))
    record = {"client_record_id": MARK, "kind": "heart_rate", "start": wall(0), "end": wall(8), "value": 77.125}
    written = ada.http.post("/v1/records", json={"records": [record]}, headers=ada.companion).json
    ids["record_id"] = written["results"][0]["record"]["id"]
    ids["item_id"] = ada.http.get("/v1/quarantine", headers=ada.companion).json["items"][0]["id"]
    upload = ada.http.post("/v1/uploads", json={"length": 5}, headers=ada.watch).json
    ids["upload_id"] = upload["upload_id"]
    hook = {"url": "http://127.0.0.1:9/x", "kinds": ["fall"]}
    ids["hook_id"] = ada.http.post("/v1/webhooks", json=hook, headers=ada.companion).json["hook_id"]
    return ids


@pytest.fixture
def settings(store: Store) -> Settings:
    return Settings(store=store.url, secret="x" * 40, rate_per_minute=0, signin_per_minute=0, private_hooks=1)


def test_nobody_reaches_another_users_data_by_any_route(ada: Person, http: FlaskClient, store: Store) -> None:
    ids = fill(ada)
    eve = Person(http, store, name="eve", device_id="watch-1")  # even her watch bears the same name
    before = _everything(ada)
    tried = 0
    # Her watch's own end comes last: until then its token must be refused for what it asks, not for being revoked.
    for method, path, operation in sorted(
        operations(http), key=lambda o: o[:2] == ("delete", "/v1/devices/{device_id}")
    ):
        if path in ("/v1/me", "/v1/webhooks") and method in ("delete", "post"):
            continue  # about herself only: there is no name in it
        address = re.sub(r"\{(\w+)\}", lambda m: ids[m.group(1)], path)
        for headers in (eve.companion, eve.watch):
            body = _body(operation, eve)
            answer = getattr(http, method)(address + "?offset=0&version=9", headers=headers, **body)
            tried += 1
            if path == "/v1/live":
                answer.close()
                continue
            text = answer.get_data()
            answer.close()
            assert b"77.125" not in text, (method, path)
            assert MARK.encode() not in text or method == "delete", (method, path)
            assert answer.status_code < 500, (method, path, text)
            own = {"device_id", "kind", "task", "version", "client", "client_record_id", "user_code"}
            named = set(re.findall(r"\{(\w+)\}", path))
            if named - own:
                assert answer.status_code in (403, 404), (method, path, answer.status_code)
    assert tried > 60
    assert _everything(ada) == before


def _body(operation: dict[str, Any], eve: Person) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/octet-stream" in content:
        return {"data": b"12345", "content_type": "application/octet-stream"}
    if not content:
        return {}
    return {"json": {"approve": True, "cursor": "x", "device_id": eve.device_id, "streams": [], "records": []}}


def _everything(person: Person) -> str:
    """Return all that a person can read of herself, except what was only just read."""
    read = person.http.get
    parts = [
        read(address, headers=person.companion).json
        for address in ("/v1/changes", "/v1/manifest", "/v1/quarantine", "/v1/webhooks", "/v1/events")
    ]
    return json.dumps(parts)


def test_every_route_states_its_scopes_and_none_is_open_by_oversight(http: FlaskClient) -> None:
    app: Any = http.application
    public = set()
    for rule in app.url_map.iter_rules():
        scopes = getattr(app.view_functions[rule.endpoint], SCOPES_ATTRIBUTE, None)
        assert scopes, f"{rule} states no scopes"
        if scopes == PUBLIC and not rule.endpoint.startswith("page."):
            public.add(rule.rule)
    assert public == {
        "/healthz", "/metrics", "/openapi.json", "/oauth/device_authorization", "/oauth/revoke", "/oauth/token",
        "/readyz", "/v1/capabilities", "/v1/sessions",
    }  # fmt: skip


def test_every_protected_route_refuses_without_a_token_with_a_problem_detail(http: FlaskClient) -> None:
    for method, path, operation in operations(http):
        if not operation.get("security"):
            continue
        answer = getattr(http, method)(re.sub(r"\{\w+\}", "x", path))
        assert answer.status_code == 401, path
        assert answer.content_type == "application/problem+json"
        assert set(answer.json) >= {"type", "title", "status", "detail"}
        assert answer.json["type"] == "https://wristwise.dev/problems/unauthorized"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("method", "address", "body", "status", "slug"),
    [
        ("get", "/v1/nothing", {}, 404, "not-found"),
        ("put", "/v1/changes", {}, 405, "method-not-allowed"),
        ("get", "/v1/changes?cursor=bad", {}, 410, "cursor-expired"),
        ("get", "/v1/changes?limit=0", {}, 422, "invalid"),
        ("post", "/v1/records", {"data": b"x", "content_type": "text/plain"}, 415, "unsupported-media-type"),
        ("post", "/v1/records", {"data": b"{", "content_type": "application/json"}, 400, "malformed-body"),
        ("post", "/v1/records", {"data": b'{"a": NaN}', "content_type": "application/json"}, 400, "malformed-body"),
        ("get", "/v1/series/heart_rate?tz=Mars/Olympus", {}, 422, "invalid"),
        ("get", "/v1/records/00000000000000000000000000000000", {}, 404, "not-found"),
        ("get", "/v1/models/no-such-task", {}, 404, "not-found"),
    ],
)
def test_each_refusal_is_a_problem_detail_that_says_what_to_do(
    ada: Person, method: str, address: str, body: dict[str, Any], status: int, slug: str
) -> None:
    answer = getattr(ada.http, method)(address, headers=ada.companion, **body)
    assert (answer.status_code, answer.json["type"].rsplit("/")[-1]) == (status, slug)
    assert answer.content_type == "application/problem+json"
    assert len(answer.json["detail"]) > 20


def test_a_410_says_how_to_begin_again(ada: Person) -> None:
    answer = ada.http.get("/v1/changes?cursor=bad", headers=ada.companion)
    assert answer.json["restart"] == "/v1/changes"
    assert ada.http.get(answer.json["restart"], headers=ada.companion).status_code == 200


def test_who_comes_too_often_is_told_when_to_come_back(store: Store) -> None:
    from services.sync.app import create_app

    app = create_app(Settings(store=store.url, secret="x" * 40, rate_per_minute=3), store)
    answers = [app.test_client().get("/v1/capabilities") for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_answers_carry_headers_that_keep_browsers_careful(http: FlaskClient) -> None:
    headers = http.get("/healthz").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'self'" in headers["Content-Security-Policy"]


def test_the_metrics_count_requests_and_hold_no_name(ada: Person) -> None:
    ada.send(ada.batch([ada.chunk(0)], 10))
    text = ada.http.get("/metrics").text
    assert 'wristwise_requests_total{endpoint="batches.post_batch",method="POST",status="200"} 1.0' in text
    assert "ada" not in text
    assert ada.device_id not in text

"""Every refusal that the OpenAPI description promises is provoked, and is a problem detail that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from services.store import accounts
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings
from services.sync.problems import BASE, KINDS
from tests.services.client import Person, bearer, wall
from tests.services.sync.test_conformance import operations

STATUSES = (401, 403, 404, 409, 410, 413, 415, 422, 429, 503)
SECRET = "x" * 40
Op = tuple[str, str]
# What may follow the reason: an order, or the place where the answer is found.
DEEDS = re.compile(
    r"\b(send|use|ask|begin|go on|refresh|pair|check|try|correct|lists|delete|choose|come back|look|see|start|complete"
    r"|exchange|write|give|mend|number|sign)\b"
)
ABSENT = {
    "item_id": "0" * 32, "record_id": "0" * 32, "upload_id": "0" * 32, "hook_id": "0" * 32, "device_id": "nobody",
    "task": "no-such-task", "version": "v0", "client_record_id": "none", "user_code": "BBBB-BBBB", "kind": "weight",
    "client": "phone",
}  # fmt: skip
# These ask the store nothing, so that they answer without it.
WITHOUT_STORE = {("get", "/healthz"), ("get", "/openapi.json"), ("get", "/v1/capabilities")}


class Walk:
    """Someone who provokes the refusals of every route."""

    def __init__(self, http: FlaskClient, ada: Person) -> None:
        self.http, self.ada = http, ada
        found = {"watch": ada.watch, "companion": ada.companion}
        found["caregiver"] = bearer(ada.store.write(lambda c: accounts.issue(c, ada.user_id, "caregiver", "son")))
        self.tokens = found

    def call(self, op: Op, about: dict[str, Any], http: FlaskClient | None = None, **changes: Any) -> Any:
        """Send a request that nothing is wrong with, but for `changes`."""
        method, path = op
        scopes = (about.get("security") or [{"token": []}])[0]["token"]
        address = re.sub(r"\{(\w+)\}", lambda m: ABSENT[m.group(1)], path)
        query = {"offset": 0} if method == "patch" else {"version": 9} if "/client/" in path else {}
        asked: dict[str, Any] = {"headers": self.tokens[scopes[0]] if scopes else {}, "query_string": query}
        content = about.get("requestBody", {}).get("content", {})
        if "application/octet-stream" in content:
            asked |= {"data": b"1", "content_type": "application/octet-stream"}
        elif content:
            asked |= {"json": _body(path)}
        return getattr(http or self.http, method)(address, **asked | changes)

    def provoke(self, status: int, op: Op, about: dict[str, Any]) -> Any:
        """Return the answer to a request of `op` that asks for a refusal with `status`."""
        special = SPECIAL.get((status, *op))
        if special is not None:
            return special(self)
        return getattr(self, f"_{status}")(op, about)

    def _401(self, op: Op, about: dict[str, Any]) -> Any:
        return self.call(op, about, headers={"Authorization": "Bearer nonsense"})

    def _403(self, op: Op, about: dict[str, Any]) -> Any:
        scopes = set(about["security"][0]["token"])
        others = [headers for scope, headers in self.tokens.items() if scope not in scopes]
        if others:
            return self.call(op, about, headers=others[0])
        token = self.tokens["companion"]["Authorization"].partition(" ")[2]
        self.http.set_cookie("wristwise_session", token)
        answer = self.call(op, about, headers={"Sec-Fetch-Site": "cross-site"})
        self.http.delete_cookie("wristwise_session")
        return answer

    def _404(self, op: Op, about: dict[str, Any]) -> Any:
        return self.call(op, about)

    def _413(self, op: Op, about: dict[str, Any]) -> Any:
        kind = next(iter(about["requestBody"]["content"]))
        return self.call(op, about, json=None, data=b" " * (MAX_BODY + 1), content_type=kind)

    def _415(self, op: Op, about: dict[str, Any]) -> Any:
        return self.call(op, about, json=None, data=b"hello", content_type="text/plain")

    def _422(self, op: Op, about: dict[str, Any]) -> Any:
        method, path = op
        if about.get("requestBody", {}).get("content", {}).get("application/json"):
            wrong = {"approve": [], "length": "much", "streams": 1, "records": 1, "cursor": 1, "kinds": 3}
            return self.call(op, about, json=wrong)
        if "{" in path and not path.startswith("/v1/series"):
            return getattr(self.http, method)(re.sub(r"\{(\w+)\}", "%20", path), headers=self._allowed(about))
        names = {p["name"] for p in about["parameters"]}
        wrong = {"limit": "0", "from": "yesterday", "kind": "%", "device_id": "%"}
        return self.call(op, about, query_string={k: v for k, v in wrong.items() if k in names})

    def _allowed(self, about: dict[str, Any]) -> dict[str, str]:
        return self.tokens[about["security"][0]["token"][0]]

    # What only one route can refuse, in its own way.
    def wrong_secret(self) -> Any:
        return self.http.post("/v1/sessions", json={"name": "ada", "secret": "not hers at all"})

    def metrics(self) -> Any:
        settings = Settings(store=self.ada.store.url, secret=SECRET, metrics_token="m")
        return create_app(settings, self.ada.store).test_client().get("/metrics")

    def curious_caregiver(self) -> Any:
        return self.http.get("/v1/changes?kind=heart_rate", headers=self.tokens["caregiver"])

    def upload(self, content: bytes, length: int | None = None) -> str:
        body = {"length": length or len(content)}
        upload_id = str(self.http.post("/v1/uploads", json=body, headers=self.ada.watch).json["upload_id"])
        self.part(upload_id, 0, content)
        return upload_id

    def part(self, upload_id: str, offset: int, content: bytes) -> Any:
        return self.http.patch(
            f"/v1/uploads/{upload_id}?offset={offset}", data=content, content_type="application/octet-stream",
            headers=self.ada.watch,
        )  # fmt: skip

    def complete(self, upload_id: str) -> Any:
        return self.http.post(f"/v1/uploads/{upload_id}/complete", headers=self.ada.watch)

    def too_many_uploads(self) -> Any:
        for _ in range(2):
            answer = self.http.post("/v1/uploads", json={"length": MAX_UPLOAD - 5000}, headers=self.ada.watch)
        return answer

    def part_after_the_end(self) -> Any:
        upload_id = self.upload(msgpack.packb(self.ada.batch([])))
        self.complete(upload_id)
        return self.part(upload_id, 0, b"1")

    def large_upload(self) -> Any:
        return self.complete(self.upload(msgpack.packb(self.ada.batch([None] * (MAX_CHUNKS + 1)))))

    def large_replay(self) -> Any:
        # What was refused when a batch might hold more chunks than it may now.
        sent = self.ada.batch([None] * (MAX_CHUNKS + 1))
        kept = self.ada.send({**sent, "sent": {"wall": "yesterday"}}).json["quarantine"]
        sound = msgpack.packb(sent)
        self.ada.store.write(lambda c: c.exec_driver_sql(*_payload(c, sound, kept)))
        return self.http.post(f"/v1/quarantine/{kept}/replay", headers=self.ada.companion)

    def old_version(self) -> Any:
        record = {"client_record_id": "r", "kind": "weight", "start": wall(0), "end": wall(0)}
        self.http.post("/v1/records", json={"records": [record]}, headers=self.ada.companion)
        return self.http.delete("/v1/records/client/r?version=0", headers=self.ada.companion)

    def hook(self) -> Any:
        hook = {"url": "http://127.0.0.1:9/x", "kinds": ["fall"]}
        return self.http.post("/v1/webhooks", json=hook, headers=self.ada.companion)

    def too_many_hooks(self) -> Any:
        return [self.hook() for _ in range(9)][-1]

    def deaf_hook(self) -> Any:
        known = self.http.get("/v1/webhooks", headers=self.ada.companion).json["webhooks"]
        hook_id = (known[0] if known else self.hook().json)["hook_id"]
        return self.http.post(f"/v1/webhooks/{hook_id}/verify", headers=self.ada.companion)

    def bad_cursor(self, method: str, address: str) -> Any:
        if method == "put":
            return self.http.put(address, json={"cursor": "bad"}, headers=self.ada.companion)
        return self.http.get(f"{address}?cursor=bad", headers=self.ada.companion)


def _payload(conn: Any, content: bytes, item: str) -> tuple[str, Any]:
    mark = "?" if conn.dialect.name == "sqlite" else "%s"
    return f"UPDATE quarantine SET payload = {mark} WHERE item_id = {mark}", (content, item)


def _body(path: str) -> dict[str, Any]:
    bodies: dict[str, dict[str, Any]] = {
        "/oauth/device_authorization": {"client_id": "w"}, "/oauth/revoke": {"token": "t"},
        "/oauth/token": {"client_id": "w", "grant_type": "refresh_token"}, "/v1/uploads": {"length": 1},
        "/v1/manifest": {"device_id": "watch-1", "streams": []}, "/v1/records": {"records": []},
        "/v1/sessions": {"name": "nobody", "secret": "s"}, "/v1/webhooks": {"url": "http://127.0.0.1:9/"},
        "/v1/cursors/{client}": {"cursor": "bad"},
    }  # fmt: skip
    return bodies.get(path, {})


MAX_BODY, MAX_CHUNKS, MAX_UPLOAD = 20_000, 2, 100_000
SPECIAL: dict[tuple[int, str, str], Callable[[Walk], Any]] = {
    (401, "post", "/v1/sessions"): Walk.wrong_secret,
    (401, "get", "/metrics"): Walk.metrics,
    (403, "get", "/v1/changes"): Walk.curious_caregiver,
    (409, "post", "/v1/uploads"): Walk.too_many_uploads,
    (409, "patch", "/v1/uploads/{upload_id}"): lambda walk: walk.part(walk.upload(b"12", 9), 5, b"3"),
    (409, "post", "/v1/uploads/{upload_id}/complete"): lambda walk: walk.complete(walk.upload(b"12", 9)),
    (409, "delete", "/v1/records/client/{client_record_id}"): Walk.old_version,
    (409, "post", "/v1/webhooks"): Walk.too_many_hooks,
    (409, "post", "/v1/webhooks/{hook_id}/verify"): Walk.deaf_hook,
    (410, "get", "/v1/changes"): lambda walk: walk.bad_cursor("get", "/v1/changes"),
    (410, "get", "/v1/live"): lambda walk: walk.bad_cursor("get", "/v1/live"),
    (410, "put", "/v1/cursors/{client}"): lambda walk: walk.bad_cursor("put", "/v1/cursors/phone"),
    (410, "patch", "/v1/uploads/{upload_id}"): Walk.part_after_the_end,
    (413, "post", "/v1/uploads/{upload_id}/complete"): Walk.large_upload,
    (413, "post", "/v1/quarantine/{item_id}/replay"): Walk.large_replay,
}


@pytest.fixture
def settings(store: Store) -> Settings:
    return Settings(
        store=store.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0, private_hooks=1,
        max_body=MAX_BODY, max_chunks=MAX_CHUNKS, max_upload=MAX_UPLOAD,
    )  # fmt: skip


@pytest.fixture
def walk(http: FlaskClient, ada: Person) -> Walk:
    return Walk(http, ada)


def promised(walk: Walk, *statuses: int) -> list[tuple[int, Op, dict[str, Any]]]:
    """Return (status, operation, description) of every refusal that the OpenAPI description promises."""
    found = operations(walk.http)
    return [(s, (m, p), o) for s in statuses for m, p, o in found if str(s) in o["responses"]]


def check(answer: Any, status: int, op: Op) -> None:
    place = (status, *op, answer.get_data(as_text=True)[:300])
    assert answer.status_code == status, place
    assert answer.content_type == "application/problem+json", place
    problem = answer.json
    slug = problem["type"].removeprefix(BASE)
    assert KINDS[slug].status == status == problem["status"], place
    assert problem["title"] == KINDS[slug].title, place
    assert DEEDS.search(problem["detail"]), place
    needs = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    if status in needs and op != ("post", "/v1/sessions"):
        assert answer.headers[needs[status]], place
    if slug == "cursor-expired":
        assert problem["restart"] == "/v1/changes", place


def test_every_promised_refusal_can_be_provoked_and_says_what_to_do(walk: Walk) -> None:
    asked = promised(walk, *(s for s in STATUSES if s not in (429, 503)))
    for status, op, about in asked:
        check(walk.provoke(status, op, about), status, op)
    assert {status for status, _, _ in asked} == set(STATUSES) - {429, 503}
    assert set(SPECIAL) <= {(status, *op) for status, op, _ in asked}
    assert len(asked) > 150


def test_every_route_tells_those_who_come_too_often_when_to_come_back(walk: Walk, store: Store) -> None:
    app = create_app(Settings(store=store.url, secret=SECRET, rate_per_minute=1), store)
    strict = app.test_client()
    for headers in ({}, *walk.tokens.values()):
        strict.get("/v1/me" if headers else "/v1/capabilities", headers=headers)
    asked = promised(walk, 429)
    for status, op, about in asked:
        check(walk.call(op, about, strict), status, op)
    assert len(asked) == len(operations(walk.http))


def test_every_route_says_so_when_the_store_is_away(walk: Walk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = promised(walk, 503)

    def away(work: Any) -> Any:
        raise OperationalError("SELECT somebody's heart rate", {}, Exception("gone"))

    monkeypatch.setattr(store, "read", away)
    monkeypatch.setattr(store, "write", away)
    for status, op, about in asked:
        if op in WITHOUT_STORE:
            assert walk.call(op, about).status_code == 200, op
        else:
            body = _body(op[1]) | ({"refresh_token": "r"} if op[1] == "/oauth/token" else {})
            check(walk.call(op, about, **({"json": body} if body else {})), status, op)
    monkeypatch.undo()
    assert len(asked) == len(operations(walk.http))


def test_every_kind_of_problem_is_in_the_documentation() -> None:
    from tests.services.sync.test_docs import PAGE

    table = PAGE[PAGE.index("## Problems") :]
    for slug, kind in KINDS.items():
        assert f"| `{slug}` | {kind.status} |" in table, slug

"""A wearer whose every text is an attack: what a client may set, set to markup that would run if it were one."""

from __future__ import annotations

from typing import Any

from services.insight import follow
from services.store.store import now_us
from tests.services.client import Person

ATTACK = '"\'><img src=x onerror="window.pwned=1"><script>window.pwned=1</script></script>{{7*7}}'
# The same as long as a name may be.
NAMED = '\'><img src=x onerror="window.pwned=1">'
DAY_US, MINUTE_US = 86_400_000_000, 60_000_000
KINDS = (
    "heart_rate", "activity", "steps", "active_minutes", "sleep", "resting_heart_rate", "rmssd", "fall",
    "irregular_rhythm", "context", "not_worn", "reminder", "finding", "note", "event_response", "settings", "energy",
    "heart_minutes", "raw_request", "raw_release", "sleep_stage",
)  # fmt: skip
# Data of a shape that nobody would write: each member of docs/records.md as a word, a list, a number, a nest.
SHAPES: tuple[Any, ...] = (ATTACK, [ATTACK], {ATTACK: ATTACK}, 3, None, True, {"a": {"b": [ATTACK]}}, -1e300)
MEMBERS = (
    "value", "history", "note", "reason", "confidence", "hypnogram", "efficiency", "score", "score_parts", "awakenings",
    "minutes", "peak_bpm", "unknown_min", "reminders", "about", "show", "movement", "request", "evidence", "impact",
    "sol_min", "light_min", "state", "event",
)  # fmt: skip


def texts(person: Person) -> None:
    """Pair, sync and write with `ATTACK` in every place that holds a text."""
    asked = person.http.post(
        "/oauth/device_authorization",
        data={"client_id": "w", "device_id": "w2", "device_name": NAMED, "device_model": NAMED},
    ).json
    assert person.http.post(f"/v1/pairings/{asked['user_code']}", json={}, headers=person.companion).status_code == 200
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    form = {"client_id": "w", "device_code": asked["device_code"], "grant_type": grant}
    token = person.http.post("/oauth/token", data=form).json["access_token"]
    status = {
        "firmware": ATTACK, "battery": 0.4, "edge": True, "models": {ATTACK[:60]: ATTACK},
        "models_refused": {"heart-rate": {ATTACK: ATTACK}}, "charger": ATTACK,
    }  # fmt: skip
    batch = {**person.batch([], 1.0, status=status), "device_id": "w2"}
    answer = person.send(batch, {"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    written = [_said(kind, "texts", {"value": ATTACK, "note": ATTACK, **_lives()}) for kind in KINDS]
    assert all(r["status"] == "stored" for r in _post(person, written))


def shapes(person: Person) -> None:
    """Write records of every kind whose data have no shape that the page knows."""
    for number, shape in enumerate(SHAPES):
        written = [
            {**_said(kind, f"shapes-{number}", dict.fromkeys(MEMBERS, shape)), "value": value}
            for kind in KINDS
            for value in (None, 60.0)
        ]
        for k, record in enumerate(written):
            record["client_record_id"] += f"-{k}"
        _post(person, written)


def _lives() -> dict[str, Any]:
    return {
        "history": [{"state": ATTACK, "at": ATTACK, "by": ATTACK}], "reason": {ATTACK[:60]: ATTACK},
        "score_parts": {ATTACK[:60]: 3.0}, "minutes": {ATTACK[:60]: 30, "60": 30}, "hypnogram": "WLDR" + ATTACK,
    }  # fmt: skip


def _said(kind: str, name: str, data: dict[str, Any]) -> dict[str, Any]:
    from services.sync.fields import from_us

    end = now_us() - 5 * MINUTE_US
    return {
        "client_record_id": f"{kind}-{name}", "kind": kind,
        "start": from_us(end - 60 * MINUTE_US), "end": from_us(end), "data": data,
    }  # fmt: skip


def _post(person: Person, written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = person.http.post("/v1/records", json={"records": written}, headers=person.companion)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["results"]
    return found


def follow_up(person: Person) -> int:
    """Let the follower make of it what it can."""
    return follow.step(person.store)

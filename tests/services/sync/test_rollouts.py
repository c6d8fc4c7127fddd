"""Roll-outs: what each device runs, is offered, and would not take."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.store import releases, rollouts
from services.store.releases import Release
from tests.services.client import Person

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def publish(ada: Person, version: str, percent: int = 100, **card: Any) -> Release:
    release = Release("pulse", "any", version, version.encode(), card)
    ada.store.write(lambda conn: releases.publish(conn, release, KEY, percent))
    return release


def tell(ada: Person, **status: Any) -> None:
    assert ada.send(ada.batch([], 1, status=status)).status_code == 200


def seen(ada: Person) -> dict[str, Any]:
    devices = ada.http.get("/v1/rollouts", headers=ada.companion).json["devices"]
    assert [d["device_id"] for d in devices] == [ada.device_id]
    return {task["task"]: task for task in devices[0]["tasks"]}


def test_a_device_goes_from_waiting_to_current(ada: Person) -> None:
    assert seen(ada) == {}
    publish(ada, "v1")
    assert (seen(ada)["pulse"]["state"], seen(ada)["pulse"]["runs"]) == ("waiting", None)
    tell(ada, models={"pulse": "v1"})
    assert seen(ada)["pulse"] == {
        "task": "pulse", "runs": "v1", "offered": "v1", "percent": 100, "withdrawn": False, "state": "current",
        "failures": {},
    }  # fmt: skip


def test_a_bundle_that_goes_by_its_hash_is_the_release_of_that_file(ada: Person) -> None:
    release = publish(ada, "v1")
    tell(ada, models={"pulse": release.sha256[:12]})
    assert seen(ada)["pulse"]["state"] == "current"


def test_a_release_that_a_device_refused_says_why(ada: Person) -> None:
    publish(ada, "v1")
    tell(ada, models={"pulse": "v0"}, models_refused={"pulse": {"v1": "its signature is not the maker's"}})
    found = seen(ada)["pulse"]
    assert (found["state"], found["runs"], found["offered"]) == ("refused", "v0", "v1")
    assert found["failures"] == {"v1": "its signature is not the maker's"}


def test_a_device_outside_the_percentage_is_offered_nothing_and_a_withdrawn_version_is_marked(ada: Person) -> None:
    publish(ada, "v1", percent=0)
    tell(ada, models={"pulse": "v1"})
    assert (seen(ada)["pulse"]["state"], seen(ada)["pulse"]["percent"]) == ("not offered", None)
    ada.store.write(lambda conn: releases.withdraw(conn, "pulse", "v1"))
    assert seen(ada)["pulse"]["withdrawn"] is True


def test_the_memory_that_a_device_tells_of_decides_what_it_is_offered(ada: Person) -> None:
    publish(ada, "v1", sizes={"tflite_bytes": 1000})
    tell(ada, memory_bytes=500)
    assert seen(ada)["pulse"]["state"] == "not offered"


def test_whoever_rolls_out_sees_how_far_it_has_come_over_everybody(ada: Person) -> None:
    eve = Person(ada.http, ada.store, name="eve")
    publish(ada, "v1", percent=50)
    tell(ada, models={"pulse": "v1"})
    tell(eve, models_refused={"pulse": {"v1": "no"}})
    (found,) = ada.store.read(rollouts.reach)
    assert (found.percent, found.runs, found.refused) == (50, 1, 1)


def test_what_a_device_tells_in_another_shape_or_too_long_does_no_harm(ada: Person) -> None:
    publish(ada, "v1")
    tell(ada, models=["pulse"], models_refused={"pulse": 3}, device_class=7, memory_bytes="much")
    assert seen(ada)["pulse"]["state"] == "waiting"
    tell(ada, models={"pulse": "v1"})
    tell(ada, models={"pulse": "v0"}, note="x" * 5000)
    assert seen(ada)["pulse"]["runs"] == "v1"
    text = ada.store.read(lambda conn: conn.exec_driver_sql("SELECT status FROM devices").scalar())
    assert json.loads(text) == {"models": {"pulse": "v1"}}


def test_a_revoked_device_is_not_listed(ada: Person) -> None:
    publish(ada, "v1")
    ada.http.delete(f"/v1/devices/{ada.device_id}", headers=ada.companion)
    assert ada.http.get("/v1/rollouts", headers=ada.companion).json["devices"] == []

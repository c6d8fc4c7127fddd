"""Models over the air, from the real service to a watch's flash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.pulse_task import PulseDecoder, PulseTask
from models.bundle import Bundle
from models.runtime import Model
from pipelines.registry import Registry
from services.local import LocalService
from services.pytest_plugin import MockWatch
from services.store import releases
from services.store.releases import Release, public_hex
from services.watch import Assembly, LinkDown, ota
from services.watch.link import Answer
from services.watch.ota import ModelRefused, ModelStore
from tests.services.watch.tiny_model import card_of, relu_file

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalService]:
    monkeypatch.setattr(ota, "TASKS", Registry((PulseTask(),)))
    local = LocalService(tmp_path / "w.db", ())
    local.start()
    yield local
    local.stop()


@pytest.fixture
def wrist(service: LocalService) -> Iterator[Assembly]:
    watches = MockWatch(service)
    yield watches.open()
    watches.close()


@pytest.fixture
def publish(service: LocalService) -> Callable[..., Release]:
    def put(version: str, name: bytes = b"relu", percent: int = 100, key: Ed25519PrivateKey = KEY, **card: str):
        data = relu_file(name=name)
        release = Release("pulse", "any", version, data, card_of(data, **card))
        service.store.write(lambda conn: releases.publish(conn, release, key, percent))
        return release

    return put


def store_of(wrist: Assembly, folder: Path, **options: object) -> ModelStore:
    return ModelStore(folder / "flash", public_hex(KEY), wrist.watch.uplink.get, **options)  # type: ignore[arg-type]


def test_a_watch_takes_the_model_that_it_is_offered_and_runs_it(wrist, publish, tmp_path: Path) -> None:
    publish("v1")
    store = store_of(wrist, tmp_path)
    assert store.update("pulse")
    assert store.version("pulse") == "v1"
    model = store.model("pulse")
    assert model is not None
    out = model.run({"mean": np.array([[3.0, -1.0]], np.float32)})
    np.testing.assert_array_equal(out["bpm"], [[3.0, 0.0]])
    assert not store.update("pulse"), "it has it already"
    assert store_of(wrist, tmp_path).version("pulse") == "v1", "the flash remembers"


def test_nothing_offered_is_nothing_changed(wrist, tmp_path: Path) -> None:
    store = store_of(wrist, tmp_path)
    assert not store.update("pulse")
    assert store.model("pulse") is None


def test_a_signature_of_somebody_else_is_refused_and_the_old_model_stays(wrist, publish, tmp_path: Path) -> None:
    publish("v1")
    store = store_of(wrist, tmp_path)
    store.update("pulse")
    publish("v2", key=Ed25519PrivateKey.generate())
    with pytest.raises(ModelRefused, match="model v2 of pulse is refused, the old one stays: its signature"):
        store.update("pulse")
    assert store.version("pulse") == "v1"
    assert not store.update("pulse"), "a refused version is not asked for again"


def test_a_file_that_was_changed_on_the_way_is_refused_by_its_hash(wrist, publish, tmp_path: Path) -> None:
    publish("v1")

    def tampered(path: str, headers) -> Answer:
        answer = wrist.watch.uplink.get(path, headers)
        return replace(answer, body=b"\x00" + answer.body[1:]) if path.endswith("/file") else answer

    store = ModelStore(tmp_path / "flash", public_hex(KEY), tampered)
    with pytest.raises(ModelRefused, match=r"its hash is .* \(calculated\)"):
        store.update("pulse")
    assert store.version("pulse") is None


def test_a_broken_connection_goes_on_where_it_ended(wrist, publish, tmp_path: Path, monkeypatch) -> None:
    release = publish("v1")
    monkeypatch.setattr(ota, "PART_BYTES", 100)
    asked: list[str] = []

    def weak(path: str, headers) -> Answer:
        if path.endswith("/file"):
            asked.append(headers["Range"])
            if len(asked) == 3:
                raise LinkDown("away")
        return wrist.watch.uplink.get(path, headers)

    store = ModelStore(tmp_path / "flash", public_hex(KEY), weak)
    with pytest.raises(LinkDown):
        store.update("pulse")
    assert store.update("pulse")
    assert asked[2] == asked[3] == "bytes=200-299"
    assert len(asked) == -(-len(release.data) // 100) + 1


def test_a_model_of_another_preprocessing_is_refused(wrist, publish, tmp_path: Path) -> None:
    publish("v1", preprocessing="0")
    with pytest.raises(ModelRefused, match="was trained on preprocessing '0'"):
        store_of(wrist, tmp_path).update("pulse")


def test_a_model_that_does_not_run_is_refused(wrist, service, tmp_path: Path) -> None:
    data = relu_file(width=3)
    release = Release("pulse", "any", "v1", data, card_of(data, width=2))
    service.store.write(lambda conn: releases.publish(conn, release, KEY, 100))
    with pytest.raises(ModelRefused, match="it does not run here"):
        store_of(wrist, tmp_path).update("pulse")


def test_rolling_back_brings_the_old_model_and_never_takes_the_new_one_again(wrist, publish, tmp_path: Path) -> None:
    publish("v1")
    store = store_of(wrist, tmp_path)
    store.update("pulse")
    publish("v2", name=b"other")
    assert store.update("pulse")
    assert store.roll_back("pulse") == "v1"
    assert not store.update("pulse")
    assert store.version("pulse") == "v1"


def test_a_staged_release_reaches_its_share_of_watches(service, publish, tmp_path: Path) -> None:
    publish("v1", percent=50)
    watches = MockWatch(service)
    took = [store_of(watches.open(name=f"w{n}"), tmp_path / str(n)).update("pulse") for n in range(12)]
    watches.close()
    assert 0 < sum(took) < 12


def test_a_model_that_does_not_fit_the_watchs_memory_is_not_offered(wrist, publish, tmp_path: Path) -> None:
    publish("v1")
    assert not store_of(wrist, tmp_path, memory_bytes=100).update("pulse")


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="64 hexadecimal digits"):
        ModelStore(tmp_path, "abc", lambda path, headers: Answer(404, {}, b""))


def test_a_run_with_the_makers_key_infers_with_what_came_over_the_air(service, publish, monkeypatch) -> None:
    from services.watch import inference

    class FirstColumn(PulseDecoder):
        def update(self, outputs, windows):
            return super().update({"bpm": outputs["bpm"][:, 0]}, windows)

    monkeypatch.setattr(PulseTask, "decoder", lambda self, **_: FirstColumn())
    monkeypatch.setattr(inference, "TASKS", Registry((PulseTask(),)))
    monkeypatch.setattr(inference, "open_model", lambda task, runtime: None)
    release = publish("v7")
    watches = MockWatch(service)
    report = watches.run(infer=True, tasks=("pulse",), model_key=public_hex(KEY))
    assert report.complete
    assert report.models == {"pulse": release.sha256[:12]}
    assert {e.model_version for e in report.estimates} == {release.sha256[:12]}


def test_the_companion_sees_what_a_watch_runs_and_why_it_refused_the_next(service, publish, monkeypatch) -> None:
    from services.watch import inference

    class FirstColumn(PulseDecoder):
        def update(self, outputs, windows):
            return super().update({"bpm": outputs["bpm"][:, 0]}, windows)

    monkeypatch.setattr(PulseTask, "decoder", lambda self, **_: FirstColumn())
    monkeypatch.setattr(inference, "TASKS", Registry((PulseTask(),)))
    first = publish("v1")
    data = relu_file()
    model = Model(Bundle(Path("v1"), card_of(data), data))
    monkeypatch.setattr(inference, "open_model", lambda task, runtime: model)
    watches = MockWatch(service)
    watches.run(infer=True, tasks=("pulse",), model_key=public_hex(KEY))
    publish("v2", name=b"other", key=Ed25519PrivateKey.generate())
    watches.run(infer=True, tasks=("pulse",), model_key=public_hex(KEY), name="late")
    devices = {d["device_id"]: d["tasks"] for d in service.companion.call("GET", "/v1/rollouts")["devices"]}
    assert len(devices) == 2
    assert devices["late"][0]["runs"] == first.sha256[:12]
    assert devices["late"][0]["state"] == "refused"
    assert "its signature is not the maker's" in devices["late"][0]["failures"]["v2"]

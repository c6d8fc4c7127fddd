"""The picture around a fall shows the raw signal that the watch sent, at the right moment, or nothing."""

from __future__ import annotations

import numpy as np
from flask.testing import FlaskClient

from services.page.rawsignal import AFTER_US, BEFORE_US, motion_around
from services.store import records
from services.store.records import Record
from services.store.store import Store
from tests.services.client import WALL0, Person

RATE = 20.0
IMPACT_S = 25


def record(person: Person, device_id: str | None) -> Record:
    start = (WALL0 + IMPACT_S) * 1_000_000
    ident = records.derived_id(person.user_id, "test", "fall", "fall", start, start)
    return Record(ident, "fall", start, start, 0, None, "test", {"value": "detected"}, device_id=device_id)


def send_fall(person: Person) -> None:
    """Send a minute of stillness with one impact of 6 g."""
    motion = np.zeros((int(60 * RATE), 3))
    motion[:, 2] = 1.0
    motion[int(IMPACT_S * RATE), 2] = 6.0
    chunk = person.chunk(
        0, stream="acc", rate_hz=RATE, channels=["acc_x", "acc_y", "acc_z"], scale=0.001, n=len(motion),
        data=(motion * 1000).astype("<i2").tobytes(),
    )  # fmt: skip
    assert person.send(person.batch([chunk], at_s=60.0)).json["results"][0]["status"] == "stored"


def test_the_impact_stands_where_the_event_says(store: Store, ada: Person) -> None:
    send_fall(ada)
    signal = store.read(lambda conn: motion_around(conn, ada.user_id, record(ada, ada.device_id), store.cipher))
    assert signal is not None
    assert signal.size == (BEFORE_US + AFTER_US) / 1e6 * RATE
    assert np.nanmax(signal) == np.float32(6.0)
    assert np.nanargmax(signal) == BEFORE_US / 1e6 * RATE


def test_without_raw_signals_there_is_no_picture(store: Store, ada: Person, http: FlaskClient) -> None:
    for device_id in (None, ada.device_id, "another-watch"):
        assert store.read(lambda c, d=device_id: motion_around(c, ada.user_id, record(ada, d), store.cipher)) is None

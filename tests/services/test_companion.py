"""The page with somebody in it, from one call."""

from __future__ import annotations

import json
import urllib.request

from services.companion import lived
from services.watch import Companion


def test_a_service_that_was_lived_in_has_days_nights_and_a_watch_on_the_wrist() -> None:
    told: list[float] = []
    with lived(3, advance=lambda done, word: told.append(done)) as home:
        home.live(20.0)
        companion = Companion(home.running.url, "owner", home.secret)
        try:
            assert companion.records("sleep")
            assert companion.wait_until(lambda: bool(companion.records("heart_rate")), 20.0)
        finally:
            companion.close()
        with urllib.request.urlopen(f"{home.running.url}/healthz") as answer:
            assert json.load(answer)["status"] == "ok"
    assert told == sorted(told)
    assert told[-1] == 1.0

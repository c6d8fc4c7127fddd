"""A fleet against the real service."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from data.synthetic.wearer import wearer
from services.commands.fleet import AccountsError, companions, sentence, table_of
from services.local import LocalService
from services.store.tables import chunks
from services.watch import RunOptions, sense
from services.watch.fleet import Fleet, FleetOptions, repeated


def test_a_fleet_of_several_users_delivers_every_chunk_through_a_bad_link(tmp_path: Path) -> None:
    service = LocalService(tmp_path / "w.db", ())
    service.start()
    users = [service.companion, service.add_user("eve")]
    worn = wearer(["ppg", "acc_x", "acc_y", "acc_z"], seconds=120, seed=0)
    options = FleetOptions(6, 0.1, 3600.0, 3, 0.1, RunOptions(drop=0.2, duplicate=0.2))
    fleet = Fleet(service.url, worn, users, options)
    seen: list[float] = []
    try:
        fleet.pair(seen.append)
        report = fleet.live(lambda r: seen.append(r.seconds), tick_s=0.05)
        held = service.store.read(lambda conn: conn.execute(select(func.count()).select_from(chunks)).scalar())
    finally:
        fleet.close()
        service.stop()
    assert report.complete == report.watches == 6
    assert report.waiting == 0
    assert report.device_hours == pytest.approx(6 * 0.2, rel=0.01)
    assert held == 6 * 12 * 2
    assert report.stored <= held <= report.stored + report.duplicates
    assert report.requests > report.failures > 0
    assert "6 of 6 watches complete" in sentence(report)
    assert table_of(report).row_count == 9
    assert len(seen) > 6


def test_a_recording_is_worn_again_until_the_hours_are_over() -> None:
    (ppg,) = sense(wearer(["ppg"], seconds=10, seed=0))
    long = repeated(ppg, 10.0, 25.0)
    assert len(long.counts) == 25 * 64
    np.testing.assert_array_equal(long.counts[640:1280], ppg.counts)


def test_a_fleet_needs_somebody_who_approves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WRISTWISE_WEARER_SECRET", raising=False)
    with pytest.raises(AccountsError, match="set WRISTWISE_WEARER_SECRET"):
        companions("http://127.0.0.1:1", None, "owner")
    file = tmp_path / "accounts"
    file.write_text("ada secret-of-ada\n\neve secret-of-eve\n")
    assert len(companions("http://127.0.0.1:1", file, "owner")) == 2
    file.write_text("ada\n")
    with pytest.raises(AccountsError, match="one account a line: NAME SECRET"):
        companions("http://127.0.0.1:1", file, "owner")


def test_a_fleet_without_a_watch_or_of_endless_speed_is_refused() -> None:
    with pytest.raises(ValueError, match="a finite speed"):
        FleetOptions(speed=float("inf"))

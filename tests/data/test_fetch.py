"""Fetching from PhysioNet: checked, resumed, never half, and plain about having no network."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import httpx
import pytest

from data import fetch
from data.adapters.adapter import Adapter
from data.errors import DataSetError, NetworkError

FILES = {"a.hea": b"a 1 100\n", "a.dat": bytes(range(256)) * 40}
SET = Adapter("tiny", "Tiny", "https://example.org", "MIT", True, lambda folder: iter(()), "*.hea", "tiny/1.0.0")


class PhysioNet:
    """The host, as far as we speak with it; can break off and can be wrong."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.break_after: int | None = None
        self.files = dict(FILES)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[1]
        self.asked.append((name, request.headers.get("Range")))
        if name == "SHA256SUMS.txt":
            return httpx.Response(200, text="".join(f"{hashlib.sha256(d).hexdigest()} {n}\n" for n, d in FILES.items()))
        data, start = self.files[name], 0
        if request.headers.get("Range"):
            start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
        body = data[start:]
        if self.break_after is not None and len(body) > self.break_after:
            return httpx.Response(206 if start else 200, content=self._broken(body))
        return httpx.Response(206 if start else 200, content=body)

    def _broken(self, body: bytes) -> object:
        yield body[: self.break_after]
        raise httpx.ReadError("the line went dead")


@pytest.fixture
def physionet(monkeypatch: pytest.MonkeyPatch) -> PhysioNet:
    host = PhysioNet()
    monkeypatch.setattr(fetch, "online", lambda: True)
    monkeypatch.setattr(fetch.httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(host)))
    return host


def quiet(done: int, of: int) -> None:
    del done, of


def test_a_set_is_fetched_whole_and_a_second_time_asks_for_no_file(physionet: PhysioNet, tmp_path: Path) -> None:
    assert fetch.fetch_physionet(SET, tmp_path, quiet) == 2
    assert {p.name: p.read_bytes() for p in (tmp_path / "tiny").iterdir()} == FILES
    physionet.asked.clear()
    fetch.fetch_physionet(SET, tmp_path, quiet)
    assert [name for name, _ in physionet.asked] == ["SHA256SUMS.txt"]


def test_a_broken_download_leaves_no_half_file_and_resumes_where_it_was(physionet: PhysioNet, tmp_path: Path) -> None:
    physionet.break_after = 1000
    with pytest.raises(NetworkError, match=r"broke off .*run the command again to resume"):
        fetch.fetch_physionet(SET, tmp_path, quiet)
    assert not (tmp_path / "tiny" / "a.dat").exists()
    physionet.break_after = None
    fetch.fetch_physionet(SET, tmp_path, quiet)
    assert ("a.dat", "bytes=1000-") in physionet.asked
    assert (tmp_path / "tiny" / "a.dat").read_bytes() == FILES["a.dat"]


def test_a_file_that_is_not_the_published_one_is_refused(physionet: PhysioNet, tmp_path: Path) -> None:
    physionet.files["a.dat"] = b"something else"
    with pytest.raises(DataSetError, match=r"published is .*run the command again"):
        fetch.fetch_physionet(SET, tmp_path, quiet)
    assert not (tmp_path / "tiny" / "a.dat").exists()


def test_one_record_can_be_fetched_alone(physionet: PhysioNet, tmp_path: Path) -> None:
    assert fetch.fetch_physionet(SET, tmp_path, quiet, only="a.h") == 1
    assert [p.name for p in (tmp_path / "tiny").iterdir()] == ["a.hea"]


def test_without_a_network_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetch, "online", lambda: False)
    with pytest.raises(NetworkError, match=rf"does not answer within 3 s; .*copy it to {tmp_path}/tiny"):
        fetch.fetch_physionet(SET, tmp_path, quiet)


def test_a_set_that_is_elsewhere_names_its_address(tmp_path: Path) -> None:
    other = Adapter("far", "Far", "https://example.org/far", "?", False, lambda folder: iter(()), "*")
    with pytest.raises(DataSetError, match=r"is not on PhysioNet; download it from https://example\.org/far"):
        fetch.fetch_physionet(other, tmp_path, quiet)


def test_a_host_that_does_not_answer_is_known_to_be_away() -> None:
    assert fetch.online("127.0.0.1", timeout_s=0.5) is False

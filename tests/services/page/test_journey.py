"""A person's day with the page, in a real Chromium: pair, a live value, a fall, a night, an export, and leave."""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as parquet
import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from services.store import accounts
from services.store.migrate import open_store
from services.sync.config import Settings
from services.sync.server import running
from tests.services.page import browser
from tests.services.page.conftest import SECRET

pytestmark = [
    pytest.mark.skipif(not browser.installed(), reason="needs Debian's chromium and chromium-driver, which are absent"),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# The goal of a live value is 3 s from accepted to shown; this bound is only there so that a failure ends.
PATIENCE_S = 15


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", durable=False)
    store.write(lambda conn: accounts.create_user(conn, "owner", "the owner's secret"))
    store.close()
    settings = Settings(store=store.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0)
    with running(settings, abilities=[]) as service:
        yield service.url


class Watch:
    """The other side: pairs and writes records over HTTP, as a watch in edge mode does."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False)
        asked = {"client_id": "wristwise-watch", "device_name": "<img src=x onerror=alert(1)>", "device_id": "w1"}
        self.pairing = self.http.post("/oauth/device_authorization", data=asked).json()

    def fetch_token(self) -> None:
        form = {"client_id": "wristwise-watch", "device_code": self.pairing["device_code"], "grant_type": GRANT}
        token = self.http.post("/oauth/token", data=form).json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def say(self, kind: str, value: float | str, name: str, start_s: float = -8, end_s: float = 0, **data: Any) -> None:
        now = dt.datetime.now(dt.UTC)
        at = {k: (now + dt.timedelta(seconds=s)).isoformat() for k, s in (("start", start_s), ("end", end_s))}
        record = {
            "client_record_id": name, "client_record_version": 1, "kind": kind, **at, "utc_offset_s": 0,
            "value": value, "quality": 0.9, "data": data,
        }  # fmt: skip
        body = {
            "batch_id": "6b0c1c1e-0000-4000-8000-000000000001", "device_id": "w1", "chunks": [], "records": [record],
            "sent": {"monotonic_us": 1, "wall": now.isoformat(), "utc_offset_s": 0},
        }  # fmt: skip
        answer = self.http.post("/v1/batches", json=body)
        assert answer.status_code == 200, answer.text


def test_pairing_a_live_value_a_fall_a_night_an_export_and_deletion(url: str, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with browser.chromium(390, downloads=downloads) as driver:
        wait = WebDriverWait(driver, PATIENCE_S, ignored_exceptions=[StaleElementReferenceException])
        browser.sign_in(driver, url, "owner", "the owner's secret")

        watch = pair(driver, url, wait)
        driver.get(url + "/devices")
        assert "<img src=x" in driver.find_element(By.TAG_NAME, "main").text  # the name is text, and nothing ran

        watch.say("heart_rate", 64.0, "hr-1", -60, -52)
        driver.get(url + "/")
        assert driver.find_element(By.ID, "live-bpm").text == "64"
        watch.say("heart_rate", 93.0, "hr-2")
        wait.until(lambda d: d.find_element(By.ID, "live-bpm").text == "93")
        watch.say("fall", "detected", "fall-1", confidence=0.9)
        wait.until(lambda d: "A fall was detected" in d.find_element(By.ID, "live-alert").text)

        acknowledge_and_see_a_night(driver, url, watch, wait)
        with zipfile.ZipFile(export(driver, url, downloads)) as archive:
            assert archive.testzip() is None
            table = parquet.read_table(io.BytesIO(archive.read("records.parquet"))).to_pylist()
            assert {"heart_rate", "fall", "sleep", "event_response"} <= {row["kind"] for row in table}
            assert sorted(row["value"] for row in table if row["kind"] == "heart_rate") == [64.0, 93.0]
            assert json.loads(archive.read("account.json"))
        delete(driver, url, wait)
        assert watch.http.get("/v1/changes").status_code == 401
        assert browser.severe(driver) == []


def test_the_same_journey_without_javascript(url: str, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with browser.chromium(390, javascript=False, downloads=downloads) as driver:
        wait = WebDriverWait(driver, PATIENCE_S, ignored_exceptions=[StaleElementReferenceException])
        browser.sign_in(driver, url, "owner", "the owner's secret")
        watch = pair(driver, url, wait)
        watch.say("heart_rate", 93.0, "hr-2")
        watch.say("fall", "detected", "fall-1", confidence=0.9)
        driver.get(url + "/")
        assert "93 BPM" in driver.find_element(By.ID, "live-value").text
        acknowledge_and_see_a_night(driver, url, watch, wait)
        driver.get(url + "/settings")
        driver.find_element(By.NAME, "weight").send_keys("70")
        driver.find_element(By.CSS_SELECTOR, "main form button").click()
        wait.until(lambda d: "Saved." in d.find_element(By.TAG_NAME, "main").text)
        assert zipfile.is_zipfile(export(driver, url, downloads))
        driver.get(url + "/devices")
        driver.find_element(By.NAME, "revoke").click()
        wait.until(lambda d: "The device is revoked" in d.find_element(By.TAG_NAME, "main").text)
        delete(driver, url, wait)


def test_a_home_server_over_plain_http_is_used_by_name(url: str) -> None:
    """Where an origin is not secure a browser sends no `Sec-Fetch-Site`: the form's own origin must be enough."""
    home = url.replace("127.0.0.1", "wristwise.home").replace("localhost", "wristwise.home")
    with browser.chromium(390, flags=["--host-resolver-rules=MAP wristwise.home 127.0.0.1"]) as driver:
        browser.sign_in(driver, home, "owner", "the owner's secret")
        wait = WebDriverWait(driver, PATIENCE_S, ignored_exceptions=[StaleElementReferenceException])
        assert driver.execute_script("return isSecureContext") is False
        driver.get(home + "/settings")
        driver.find_element(By.CSS_SELECTOR, "main form button").click()
        wait.until(lambda d: "Saved." in d.find_element(By.TAG_NAME, "main").text)


def pair(driver: webdriver.Chrome, url: str, wait: WebDriverWait[webdriver.Chrome]) -> Watch:
    watch = Watch(url)
    driver.get(watch.pairing["verification_uri_complete"].replace("localhost", "127.0.0.1"))
    assert driver.find_element(By.NAME, "code").get_attribute("value") == watch.pairing["user_code"]
    driver.find_element(By.CSS_SELECTOR, "main form.row button").click()
    wait.until(lambda d: "The watch is paired." in d.find_element(By.TAG_NAME, "main").text)
    watch.fetch_token()
    return watch


def acknowledge_and_see_a_night(
    driver: webdriver.Chrome, url: str, watch: Watch, wait: WebDriverWait[webdriver.Chrome]
) -> None:
    driver.get(url + "/events")
    driver.find_element(By.CSS_SELECTOR, "button[value=acknowledged]").click()
    wait.until(lambda d: "Acknowledged" in d.find_element(By.TAG_NAME, "main").text)
    stages = "W" * 20 + "L" * 300 + "D" * 120 + "R" * 100
    watch.say("sleep", 260.0, "night", -4 * 3600 - 60, -60, hypnogram=stages, efficiency=0.96, sol_min=10.0)
    driver.get(url + "/night")
    assert "4 h 20 min" in driver.find_element(By.TAG_NAME, "main").text


def export(driver: webdriver.Chrome, url: str, downloads: Path) -> Path:
    driver.get(url + "/data")
    driver.find_element(By.CSS_SELECTOR, "a[download]").click()
    return browser.downloaded(driver, downloads, PATIENCE_S)


def delete(driver: webdriver.Chrome, url: str, wait: WebDriverWait[webdriver.Chrome]) -> None:
    driver.get(url + "/data")
    driver.find_element(By.NAME, "confirm").send_keys("delete")
    driver.find_element(By.CSS_SELECTOR, "button.danger-button").click()
    wait.until(lambda d: "Everything is deleted" in d.find_element(By.TAG_NAME, "main").text)
    driver.get(url + "/night")
    assert "/login" in driver.current_url

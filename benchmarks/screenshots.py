"""Pictures of every view with the mock person in it, by a real Chromium: docs/pictures/page_*.png."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from models.bundle import shipped
from pipelines.registry import TASKS
from services.commands.serve import local_settings
from services.insight import follow
from services.person import mock_person
from services.store import accounts, releases
from services.store.migrate import open_store
from services.store.releases import Release
from services.store.store import Store
from services.sync.server import running
from services.watch import Companion

OUT = Path(__file__).parent.parent / "docs" / "pictures"
VIEWS = ("now", "day", "night", "trends", "events", "devices", "models", "data", "settings")
WIDTHS = {"desktop": 1280, "phone": 390}
TALLEST = 1500
# The page has few colours: a palette makes a picture a third as large, and nobody sees it. By coverage: a median cut
# melts small patches of colour together, an octree the ground and the cards.
COLOURS = 200
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")


def browser() -> webdriver.Chrome:
    """Return a headless Chromium."""
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = str(shutil.which("chromium"))
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def resize(driver: webdriver.Chrome, width: int, height: int) -> None:
    """Give the page a window of that size."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def shoot(driver: webdriver.Chrome, url: str, width: int, path: Path) -> None:
    """Save a picture of a view, as tall as it is up to `TALLEST`."""
    resize(driver, width, 900)
    driver.get(url)
    time.sleep(0.6)  # the charts are drawn after the load
    height = int(driver.execute_script("return document.documentElement.scrollHeight"))
    resize(driver, width, min(height, TALLEST))
    time.sleep(0.2)
    driver.save_screenshot(str(path))
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def sign_in(driver: webdriver.Chrome, url: str, secret: str, name: str = "owner") -> None:
    """Sign in through the form."""
    driver.get(f"{url}/login")
    driver.find_element(By.NAME, "name").clear()
    driver.find_element(By.NAME, "name").send_keys(name)
    driver.find_element(By.NAME, "secret").send_keys(secret)
    driver.find_element(By.CSS_SELECTOR, "main form button").click()
    WebDriverWait(driver, 10).until(lambda d: "/login" not in d.current_url)


def roll_out(store: Store) -> None:
    """Offer two shipped models over the air, so that *Devices* has a roll-out to show."""
    key = Ed25519PrivateKey.generate()
    for name, percent in (("heart-rate", 100), ("fall-detection", 20)):
        bundle = shipped(TASKS[name])
        release = Release(name, releases.ANY_CLASS, bundle.version, bundle.model, bundle.card)
        store.write(lambda conn, r=release, p=percent: releases.publish(conn, r, key, p))  # type: ignore[misc]


def one_more_beat(companion: Companion) -> None:
    """Write a heart rate of this moment: *Now* is live while somebody wears the watch."""
    now = dt.datetime.now(dt.UTC)
    beat = {
        "client_record_id": f"now-{now.timestamp():.0f}", "kind": "heart_rate", "value": 71.0, "uncertainty": 1.8,
        "quality": 0.95, "start": (now - dt.timedelta(seconds=8)).isoformat(), "end": now.isoformat(),
        "utc_offset_s": 3600,
    }  # fmt: skip
    companion.call("POST", "/v1/records", {"records": [beat]})


def day_of_exercise(companion: Companion) -> str:
    """Return the last local day with a run, which shows more of *Day* than one that has only begun."""
    found = [r for r in companion.records("activity") if r["value"] == "run"]
    at = dt.datetime.fromisoformat(found[-1]["start"]) + dt.timedelta(seconds=found[-1]["utc_offset_s"])
    return at.date().isoformat()


def main() -> None:
    """Fill a service with the mock person and take the pictures."""
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        sys.exit("screenshots need Debian's chromium and chromium-driver: apt-get install chromium chromium-driver")
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = local_settings(Path(folder), rate_per_minute=0)
        store = open_store(settings.store)
        _, secret = store.write(lambda conn: accounts.create_user(conn, "owner"))
        roll_out(store)
        with running(settings) as service:
            companion = Companion(service.url, "owner", secret)
            report = mock_person(service.url, companion, days=42, seed=1)
            sys.stdout.write(f"{report.records} records\n")
            while follow.step(store):
                pass
            take(service.url, secret, companion)
        store.close()


def take(url: str, secret: str, companion: Companion) -> None:
    """Take the pictures."""
    driver = browser()
    sign_in(driver, url, secret)
    date = day_of_exercise(companion)
    for name, width in WIDTHS.items():
        for view in VIEWS:
            one_more_beat(companion)
            address = f"{url}/{'' if view == 'now' else view}{f'?date={date}' if view == 'day' else ''}"
            shoot(driver, address, width, OUT / f"page_{view}_{name}.png")
    shoot(driver, f"{url}/night?theme=dark&lang=zh", 390, OUT / "page_night_phone_dark_zh.png")
    shoot(driver, f"{url}/trends?theme=dark", 1280, OUT / "page_trends_desktop_dark.png")
    driver.quit()


if __name__ == "__main__":
    main()

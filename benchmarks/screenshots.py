"""Pictures of every view with the mock person in it, by a real Chromium: docs/pictures/page_*.png."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from services.commands.serve import local_settings
from services.insight import follow
from services.person import mock_person
from services.store import accounts
from services.store.migrate import open_store
from services.sync.server import running
from services.watch import Companion

OUT = Path(__file__).parent.parent / "docs" / "pictures"
VIEWS = ("now", "day", "night", "trends", "events", "devices", "models", "data")
WIDTHS = {"desktop": 1280, "phone": 390}
TALLEST = 1400
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


def sign_in(driver: webdriver.Chrome, url: str, secret: str) -> None:
    """Sign in through the form."""
    driver.get(f"{url}/login")
    driver.find_element(By.NAME, "secret").send_keys(secret)
    driver.find_element(By.CSS_SELECTOR, "main form button").click()
    WebDriverWait(driver, 10).until(lambda d: "/login" not in d.current_url)


def main() -> None:
    """Fill a service with the mock person and take the pictures."""
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        sys.exit("screenshots need Debian's chromium and chromium-driver: apt-get install chromium chromium-driver")
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = local_settings(Path(folder), rate_per_minute=0)
        store = open_store(settings.store)
        _, secret = store.write(lambda conn: accounts.create_user(conn, "owner"))
        with running(settings) as service:
            report = mock_person(service.url, Companion(service.url, "owner", secret), days=42, seed=1)
            sys.stdout.write(f"{report.records} records\n")
            while follow.step(store):
                pass
            driver = browser()
            sign_in(driver, service.url, secret)
            for name, width in WIDTHS.items():
                for view in VIEWS:
                    address = f"{service.url}/{'' if view == 'now' else view}"
                    shoot(driver, address, width, OUT / f"page_{view}_{name}.png")
            shoot(driver, f"{service.url}/night?theme=dark&lang=zh", 390, OUT / "page_night_phone_dark_zh.png")
            driver.quit()
        store.close()


if __name__ == "__main__":
    main()

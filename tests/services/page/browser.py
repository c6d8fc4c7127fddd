"""A real Chromium, driven by selenium: what the tests of the page and the screenshots share."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--force-device-scale-factor=1",
)  # fmt: skip


def installed() -> bool:
    """Tell whether Debian's chromium and chromedriver are here."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


def axe_source() -> str:
    """Return axe-core's script, as the PyPI package carries it."""
    spec = importlib.util.find_spec("axe_core_python")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def chromium(
    width: int, height: int = 900, *, javascript: bool = True, downloads: Path | None = None, flags: Sequence[str] = ()
) -> Iterator[webdriver.Chrome]:
    """Run a headless Chromium of that window size; what it downloads goes to `downloads`."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--window-size={width},{height}", *flags):
        options.add_argument(flag)
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        if downloads is not None:
            allowed = {"behavior": "allow", "downloadPath": str(downloads)}
            driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
        yield driver
    finally:
        driver.quit()


def sign_in(driver: webdriver.Chrome, url: str, name: str, secret: str) -> None:
    """Sign in through the form."""
    driver.get(f"{url}/login")
    field = driver.find_element(By.NAME, "name")
    field.clear()
    field.send_keys(name)
    driver.find_element(By.NAME, "secret").send_keys(secret)
    driver.find_element(By.CSS_SELECTOR, "main form button").click()
    WebDriverWait(driver, 10).until(lambda d: "/login" not in d.current_url)


def downloaded(driver: webdriver.Chrome, folder: Path, patience_s: float) -> Path:
    """Return the file that arrives in `folder`, once it is whole."""

    def whole(_: webdriver.Chrome) -> Path | None:
        found = [p for p in folder.iterdir() if p.suffix != ".crdownload" and not p.name.startswith(".")]
        return found[0] if len(found) == 1 and not list(folder.glob("*.crdownload")) else None

    return WebDriverWait(driver, patience_s).until(whole)


def severe(driver: webdriver.Chrome) -> list[str]:
    """Return the console's errors since the last look."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def requests(driver: webdriver.Chrome) -> list[tuple[str, int]]:
    """Return (address, status) of each answer since the last look; status 0 where the request failed."""
    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.responseReceived":
            answer = message["params"]["response"]
            found.append((answer["url"], int(answer["status"])))
        elif message["method"] == "Network.loadingFailed" and not message["params"].get("canceled"):
            found.append((str(message["params"].get("errorText")), 0))
    return found


def foreign(addresses: list[tuple[str, int]], url: str) -> list[str]:
    """Return the addresses that are not on the host of `url`."""
    own = urlsplit(url).netloc
    return [a for a, _ in addresses if a.startswith("http") and urlsplit(a).netloc != own]


def axe(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    """Return axe's serious and critical findings on the page that is open."""
    # By the protocol's own evaluation: the page's policy forbids inline scripts, and should.
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe_source()})
    result = driver.execute_cdp_cmd(
        "Runtime.evaluate",
        {"expression": "axe.run(document).then(r => JSON.stringify(r.violations))", "awaitPromise": True},
    )
    violations = json.loads(result["result"]["value"])
    return [
        {"rule": v["id"], "impact": v["impact"], "where": [n["html"][:160] for n in v["nodes"]][:3]}
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]


def layout_shift(driver: webdriver.Chrome) -> float:
    """Return the sum of layout shifts since the page began to load (Web Vitals' CLS)."""
    script = (
        "const done = arguments[0]; let sum = 0;"
        "new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; })"
        ".observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 120);"
    )
    return float(driver.execute_async_script(script))

"""A real Chromium walks every view: nothing on the console, no foreign request, nothing that axe finds serious."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from services.store.migrate import open_store
from services.store.store import Store
from services.sync.app import create_app
from services.sync.config import Settings
from services.sync.server import running
from tests.services.client import Person
from tests.services.page import browser, hostile
from tests.services.page.conftest import SECRET

pytestmark = [
    pytest.mark.skipif(not browser.installed(), reason="needs Debian's chromium and chromium-driver, which are absent"),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
VIEWS = ("/", "/day", "/night", "/trends", "/events", "/devices", "/models", "/data", "/settings")
# What Lighthouse asks of a tap target; links inside a sentence are excepted, as there.
LEAST_TAP_PX = 24


@pytest.fixture(scope="module")
def url(page_store: Store) -> Iterator[str]:
    settings = Settings(store=page_store.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0)
    with running(settings, abilities=[]) as service:
        yield service.url


@pytest.fixture(scope="module", params=[390, 1280])
def chromium(request: pytest.FixtureRequest, url: str) -> Iterator[webdriver.Chrome]:
    with browser.chromium(request.param) as driver:
        browser.sign_in(driver, url, "owner", "the owner's secret")
        yield driver


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_loads_clean_at_phone_and_desktop_width(chromium: webdriver.Chrome, url: str, path: str) -> None:
    browser.severe(chromium), browser.requests(chromium)
    chromium.get(url + path)
    shift = browser.layout_shift(chromium)
    assert browser.severe(chromium) == []
    answers = browser.requests(chromium)
    assert browser.foreign(answers, url) == []
    assert [(a, s) for a, s in answers if s == 0 or s >= 400] == []
    assert shift < 0.01
    wide = chromium.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{path} is {wide} px wider than the window"


@pytest.mark.parametrize("path", VIEWS)
def test_what_can_be_tapped_is_large_enough_and_has_a_name(chromium: webdriver.Chrome, url: str, path: str) -> None:
    chromium.get(url + path)
    small = []
    for element in chromium.find_elements(
        By.CSS_SELECTOR, "nav a, button, input, select, summary, .choices a, a.button, h2 a"
    ):
        if element.is_displayed():
            box = element.rect
            named = element.accessible_name or element.text
            if min(box["width"], box["height"]) < LEAST_TAP_PX or not named:
                small.append((element.get_attribute("outerHTML")[:120], box))
    assert small == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing_serious(chromium: webdriver.Chrome, url: str, theme: str, language: str) -> None:
    found = {}
    for path in VIEWS:
        chromium.get(f"{url}{path}?theme={theme}&lang={language}")
        violations = browser.axe(chromium)
        if violations:
            found[path] = violations
    assert found == {}


def test_the_first_tab_stop_skips_to_the_content(chromium: webdriver.Chrome, url: str) -> None:
    chromium.get(url + "/day")
    chromium.switch_to.active_element.send_keys("\ue004")
    assert chromium.switch_to.active_element.get_attribute("href").endswith("#main")


def test_the_day_is_drawn_and_zooms(chromium: webdriver.Chrome, url: str) -> None:
    chromium.get(url + "/day")
    drawn = chromium.find_element(By.CSS_SELECTOR, ".chart canvas")
    assert drawn.size["width"] > 200
    before, after = chromium.execute_script(
        "const u = document.querySelector('.chart').wristwise.plot; const span = () => u.scales.x.max - u.scales.x.min;"
        "const a = span(); u.setScale('x', {min: u.scales.x.min + 600, max: u.scales.x.min + 4200});"
        "return new Promise(done => requestAnimationFrame(() => done([a, span()])));"
    )
    assert after < before


# What a person reads on each view where no script runs: a figure, and what it is.
FIGURES = {
    "/": ("71 BPM", "Steps today", "Last night"),
    "/day": ("Heart rate, low – high", "By hour"),
    "/night": ("Time to fall asleep", "of 100", "The night by hour"),
    "/trends": ("Resting heart rate", "your usual range", "Sleep debt", "WHO"),
    "/events": ("Fall", "confidence 93 %"),
    "/devices": ("Pair a watch",),
    "/models": ("Dense against shipped", "File, bytes", "of dense"),
    "/data": ("What is stored", "Export everything"),
    "/settings": ("Year of birth", "Remind me to"),
}


def test_without_javascript_the_figures_are_still_there_on_every_view(url: str) -> None:
    assert set(FIGURES) == set(VIEWS)
    with browser.chromium(390, javascript=False) as driver:
        browser.sign_in(driver, url, "owner", "the owner's secret")
        for path, wanted in FIGURES.items():
            driver.get(url + path)
            text = driver.find_element(By.TAG_NAME, "main").text
            assert [w for w in wanted if w not in text] == [], path
            empty = driver.find_elements(By.CSS_SELECTOR, ".chart")
            assert not any(chart.is_displayed() for chart in empty), "a chart that no script draws is a hole"
        driver.get(url + "/night")
        assert driver.find_element(By.CSS_SELECTOR, "svg.hypnogram").is_displayed()
        driver.get(url + "/day")
        driver.find_element(By.CSS_SELECTOR, "summary").click()
        details = driver.find_elements(By.CSS_SELECTOR, "details table")
        assert details, "figures by hour stand in a table"


def test_no_text_of_a_client_runs_in_a_real_browser(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", durable=False)
    settings = Settings(store=store.url, secret=SECRET, rate_per_minute=0, signin_per_minute=0)
    ada = Person(create_app(settings, store).test_client(), store)
    hostile.texts(ada)
    hostile.follow_up(ada)
    with running(settings, abilities=[]) as service, browser.chromium(1280) as driver:
        browser.sign_in(driver, service.url, ada.name, ada.secret)
        browser.severe(driver)
        for path in VIEWS:
            driver.get(service.url + path)
            browser.layout_shift(driver)  # and time enough for what would run
            assert driver.execute_script("return window.pwned") is None, path
            assert driver.find_elements(By.CSS_SELECTOR, "img[src='x'], [onerror]") == [], path
        assert browser.severe(driver) == []  # the policy had nothing to stop
    store.close()

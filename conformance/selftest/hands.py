"""A browser under hands, for the tests of the page.

Selenium is imported where a browser is wanted: without it the tests say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest import records, timings
from reports import alternation, page
from reports.reading import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
BROWSER = bool(CHROMIUM and DRIVER)
AXE = os.environ.get("AXE")
SHOTS = os.environ.get("SHOTS")


class Hands:
    """A browser with a page open, and what somebody does with it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.url = ""

    def window(self, width: int, scheme: str = "light") -> None:
        """Another window: its width, and the colours that the reader prefers."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 640}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, file: Path, place: str = "") -> Hands:
        """Open a page anew, at a place."""
        self.driver.get("about:blank")
        self.driver.get(f"{file.as_uri()}{place}")
        self.until("return document.documentElement.dataset.ready !== undefined")
        self.until("return !document.getElementById('main').textContent.includes('Unpacking…')")
        return self

    def axe(self) -> list[tuple[str, list[str]]]:
        """What axe-core finds against WCAG 2.1 A and AA, with everything unfolded: the rule, and the elements."""
        self.run("for (const each of document.querySelectorAll('details')) each.open = true")
        self.run(Path(str(AXE)).read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }).then(arguments[0])"
        )
        return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]

    def shot(self, name: str) -> None:
        """A photograph, where somebody asked for some."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(SHOTS) / f"{name}.png"))

    def until(self, script: str) -> None:
        """Wait for what a script says."""
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 10, poll_frequency=0.05).until(lambda driver: driver.execute_script(script), script)

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script)

    def all(self, css: str) -> list[Any]:
        """The elements that a selector finds."""
        return list(self.driver.find_elements("css selector", css))

    def click(self, css: str) -> None:
        """Click the first of them."""
        self.all(css)[0].click()
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        self.until("return !document.getElementById('main').textContent.includes('Unpacking…')")

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def text(self, css: str = "body") -> str:
        """What an element shows, as one line of words."""
        return " ".join(self.all(css)[0].text.split())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a file."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: tox -e browser has it")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(option)
    # Chromium leaves a folder in the temporary one each time
    with tempfile.TemporaryDirectory(prefix="hands-", ignore_cleanup_errors=True) as folder:
        service = webdriver.ChromeService(executable_path=DRIVER, env={**os.environ, "TMPDIR": folder})
        driver = webdriver.Chrome(options=options, service=service)
        driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})  # the page's policy lets no probe in
        yield driver
        driver.quit()


@pytest.fixture
def hands(browser: Any) -> Hands:
    """Hands on a window of usual width."""
    found = Hands(browser)
    found.window(1280)
    return found


def save(folder: Path, *runs: records.Json, ab: Sequence[records.Json] = ()) -> Path:
    """A page of these runs and A/B files, on the disk."""
    paths = [records.save(folder, run, f"{n}.json", reproducers=True) for n, run in enumerate(runs)]
    pairs = [alternation.load(timings.save(folder, found, f"ab{n}.json")) for n, found in enumerate(ab)]
    file = folder / "index.html"
    file.write_text(page.html([load(path) for path in paths], pairs), encoding="utf-8")
    return file

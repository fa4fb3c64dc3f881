"""The pages in a real browser: light and dark, narrow and wide, without script, by keyboard, on paper."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dashboard.worlds import World
from journal.stores import entry
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from drift_gate.dashboard import site
from drift_gate.dashboard.routes import Dashboard
from drift_gate.dashboard.server import HOST, listening
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.presentation.forge import Forge
from drift_gate.settings.file import load
from scripts import month

pytestmark = pytest.mark.heavy

PACKAGES = Path(__file__).parent / "browser"
#: Headless, as root, with nothing that asks the network by itself.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DENIED, UNLOOKED = "services/prediction-worker.html", "services/stats-crawler.html"
PAGES = ("index.html", DENIED, UNLOOKED, "batches.html", "decisions.html?door=all", "figures.html")
NARROW, WIDE = 375, 1440


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script that finds what keeps somebody out of a page."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not here")
    folder = tmp_path_factory.mktemp("axe")
    for each in PACKAGES.iterdir():
        shutil.copy(each, folder)
    subprocess.run(
        ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True
    )
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


class Browser:
    """One that is told how wide it is and what its reader prefers."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def set(self, width: int = WIDE, *, dark: bool = False, script: bool = True, media: str = "") -> None:
        """How the next page is shown."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self.tell("Emulation.setScriptExecutionDisabled", value=not script)

    def tell(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def ask(self, expression: str) -> Any:
        """What an expression of the page comes to."""
        return self.driver.execute_script(f"return {expression}")

    def open(self, address: str) -> None:
        self.driver.get(address)

    @property
    def complaints(self) -> list[str]:
        """What the browser found wrong since it was asked last: blocked styles and scripts among it."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium-driver is not here")
    options = ChromeOptions()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=Service(driver)) as opened:
        yield Browser(opened)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Dashboard:
    """The made-up month."""
    folder = tmp_path_factory.mktemp("month")
    end = datetime.now(UTC)
    month.make(folder, month.NAMES, 12, end)
    settings = load(environ={"DRIFT_CONFIG": str(folder / "drift.toml")})
    forges = dict.fromkeys(month.NAMES, Forge("github", month.REPOSITORY))
    return Dashboard(SqliteJournal(folder / "journal.sqlite"), settings, forges, clock=lambda: end)


@pytest.fixture(scope="module")
def address(shown: Dashboard) -> Iterator[str]:
    """Where it is served."""
    yield from serving(shown)


def serving(dashboard: Dashboard) -> Iterator[str]:
    with listening(dashboard, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/"
        server.shutdown()
        thread.join()


def barriers(browser: Browser, axe: str) -> Sequence[str]:
    """What axe finds on the page that is open."""
    browser.driver.execute_script(axe)
    found = browser.ask("axe.run().then(told => told.violations)")
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_keeps_anybody_out(browser: Browser, axe: str, address: str, page: str) -> None:
    """Contrast, names, order, tables, keyboard: in both schemes, at both widths."""
    for width in (NARROW, WIDE):
        for dark in (False, True):
            browser.set(width, dark=dark)
            browser.open(address + page)
            assert barriers(browser, axe) == [], (width, dark)
            assert browser.overflow() == 0, (width, dark)
    assert browser.complaints == []


@pytest.mark.parametrize("page", PAGES)
def test_the_narrowest_and_the_widest(browser: Browser, address: str, page: str) -> None:
    for width in (320, 3840):
        browser.set(width)
        browser.open(address + page)
        assert browser.overflow() == 0, width
    assert browser.complaints == []


def test_the_two_schemes_differ(browser: Browser, address: str) -> None:
    grounds = set()
    for dark in (False, True):
        browser.set(dark=dark)
        browser.open(address)
        grounds.add(browser.ask("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


@pytest.mark.parametrize("page", PAGES)
def test_without_script_all_of_it_is_there(browser: Browser, address: str, page: str) -> None:
    texts = []
    for script in (True, False):
        browser.set(script=script)
        browser.open(address + page)
        browser.ask("document.querySelectorAll('.local').forEach(each => each.remove())")
        texts.append(browser.ask("document.body.innerText"))
    browser.set()
    assert texts[0] == texts[1]
    assert len(texts[0]) > 200


def test_by_keyboard_alone(browser: Browser, address: str) -> None:
    """Each link in the order in which it is read, each seen when it is reached; then one is followed."""
    browser.set()
    browser.open(address)
    wanted = browser.ask("[...document.querySelectorAll('a[href]')].map(each => each.href)")
    reached = []
    for _ in wanted:
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        seen = browser.ask(
            "[document.activeElement.href, getComputedStyle(document.activeElement).outlineStyle, "
            "document.activeElement.getBoundingClientRect().width > 0, "
            "document.activeElement.getBoundingClientRect().left >= 0]"
        )
        reached.append(seen[0])
        assert seen[1:] == ["solid", True, True], seen
    assert reached == wanted
    browser.driver.find_element("css selector", "th a").send_keys(Keys.ENTER)
    assert browser.driver.current_url.endswith(DENIED)


def test_the_skip_link_leads_past_the_links(browser: Browser, address: str) -> None:
    browser.set()
    browser.open(address)
    browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.ask("document.activeElement.id") == "main"


def test_on_paper(browser: Browser, address: str) -> None:
    """Black on white, without what one could press, and a whole document."""
    for page in PAGES:
        browser.set(800, dark=True, media="print")
        browser.open(address + page)
        assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.tell("Page.printToPDF")["data"].startswith("JVBERi0")  # %PDF-


def test_filters_are_a_form_that_keeps_what_was_chosen(browser: Browser, address: str) -> None:
    browser.set()
    browser.open(f"{address}decisions.html")
    browser.driver.find_element("name", "person").send_keys("dana")
    browser.driver.find_element("css selector", "form button").click()
    assert "person=dana" in browser.driver.current_url
    rows = browser.driver.find_elements("css selector", "tbody tr")
    assert rows
    assert all("dana@example.com" in row.text for row in rows)


def test_from_a_folder(browser: Browser, shown: Dashboard, tmp_path: Path) -> None:
    """The pages are whole without a server, and so are the ways between them."""
    site.write(shown, tmp_path)
    browser.set()
    browser.open((tmp_path / "index.html").as_uri())
    assert browser.ask("getComputedStyle(document.body).margin") == "0px"
    browser.driver.find_element("link text", "prediction-worker").click()
    browser.driver.find_element("link text", "Figures").click()
    assert browser.driver.title == "Figures"
    assert browser.complaints == []


def test_an_old_page_says_so_and_is_grey(browser: Browser, tmp_path: Path) -> None:
    """A file of yesterday must not look like the present."""
    world = World(tmp_path, ["a-worker"])
    world.record(entry(0, 0, "a-worker"))
    site.write(world.dashboard, tmp_path / "site")
    browser.set()
    browser.open((tmp_path / "site" / "index.html").as_uri())
    assert "This page is old" in browser.ask("document.querySelector('main').innerText")
    pill = "getComputedStyle(document.querySelector('.pill.current'))"
    grey = "getComputedStyle(document.documentElement).getPropertyValue('--grey')"
    red, green, blue = (int(browser.ask(grey).strip()[at : at + 2], 16) for at in (1, 3, 5))
    assert browser.ask(f"{pill}.color") == f"rgb({red}, {green}, {blue})"


def test_a_hostile_journal_does_nothing(browser: Browser, axe: str, tmp_path: Path) -> None:
    """Markup, a script, a direction and a very long word come out as text, on the screen as in the source."""
    name = "<script>alert(1)</script>\u202e<img src=x onerror=alert(2)>" + "W" * 10_000
    world = World(tmp_path, ["a-worker"])
    world.record(
        entry(0, 9, name, by=name), entry(0, 9, "a-worker", door="start", by="</td><iframe>", batch="<b>")
    )
    for address in serving(world.dashboard):
        links = [each for each in world.page().links if each.startswith("services/")]
        for page in ("index.html", *links, "batches.html", "decisions.html?door=all", "figures.html"):
            browser.set(NARROW)
            browser.open(address + page)
            assert browser.ask("document.querySelectorAll('img, iframe, script:not([src])').length") == 0
            assert "\u202e" not in browser.ask("document.documentElement.innerHTML")
            assert browser.overflow() == 0, page
            assert barriers(browser, axe) == [], page
    assert browser.complaints == []


def test_five_hundred_services(browser: Browser, axe: str, tmp_path: Path) -> None:
    names = [f"service-{number:03d}" for number in range(500)]
    world = World(tmp_path, names)
    world.now = datetime.now(UTC)
    when = (world.now - timedelta(minutes=9) - entry(0).at) / timedelta(hours=1)
    world.journal.record([entry(when, number % 7, name) for number, name in enumerate(names)])
    for address in serving(world.dashboard):
        browser.set(NARROW)
        browser.open(address)
        assert len(browser.driver.find_elements("css selector", "a[href^=services]")) == 500
        assert browser.overflow() == 0
        assert barriers(browser, axe) == []

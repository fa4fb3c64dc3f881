"""A deploy from the page to its end: a process of its own, real HTTP, a loopback Cloud Run and registry."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import urlencode

import pytest
from dashboard.worlds import Page
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.expected_conditions import url_to_be
from selenium.webdriver.support.wait import WebDriverWait
from support.forkserver import Forked, forkserver
from support.limits import ENOUGH_S
from support.processes import running
from support.world import CLOUD_RUN, WORKER, World

from drift_gate.commands import main
from drift_gate.dashboard.deploys import progress
from drift_gate.dashboard.server import HOST
from drift_gate.journal.sqlite_deploys import SqliteDeploys
from drift_gate.testing import FakeRegistry

#: Of a browser: headless, as root.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
#: So high that nothing has to be scrolled to.
SIZE = "--window-size=1100,1600"
COMMAND = "import sys; from drift_gate.commands.main import main; sys.exit(main())"
LABEL = "org.opencontainers.image.revision"
PLAN, DEPLOYS = f"/plans/{WORKER}.html", f"/deploys/{WORKER}.html"
TABLES = f"""
[journal]
store = ".drift/journal.sqlite"

[deploy]
builder = "image"
image = "HOST/images/{{service}}:{{commit}}"
watch = 0
smoke = ["sh", "-c", "echo trying it; exec cat GATE"]

[services.{WORKER}]
"""


class Served:
    """``deployment-drift dashboard --deploy`` over a worker whose deploys wait until ``gate`` is opened."""

    def __init__(self, world: World, registry: FakeRegistry, err: IO[bytes]) -> None:
        self.world, self.registry, self._err = world, registry, err
        self.gate = world.folder / "gate"
        world.toml = CLOUD_RUN.replace(
            f"\n[services.{WORKER}]\n", TABLES.replace("HOST", registry.host).replace("GATE", str(self.gate))
        )
        world.cloud.deploy(WORKER, commit=world.first)
        world.settings()
        os.mkfifo(self.gate)
        reads, writes = os.pipe()
        with open(os.devnull, "rb") as nothing, open(reads, "rb") as out, open(writes, "wb") as tells:
            self.process: Forked = forkserver().fork(
                COMMAND,
                ["dashboard", "--port", "0", "--deploy"],
                cwd=world.folder,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(world.folder),
                    "USER": "ann",
                    "CLOUD_RUN_EMULATOR_HOST": world.cloud.host,
                },
                stdin=nothing,
                stdout=tells,
                stderr=err,
            )
            tells.close()
            self.port = int(out.readline().decode().rstrip("/\n").rpartition(":")[2])

    def built(self) -> str:
        """A commit on main whose image is in the registry."""
        commit = self.world.change()
        self.registry.push(f"images/{WORKER}", tag=commit, labels={LABEL: commit})
        return commit

    def ask(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, Page]:
        """The answer to a GET, or to a POST of ``form``; ``headers`` with ``_`` for ``-``."""
        connection = http.client.HTTPConnection(HOST, self.port)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        body = urlencode(form) if form is not None else None
        connection.request("GET" if body is None else "POST", path, body, headers=named)
        response = connection.getresponse()
        page = Page(response.read().decode())
        connection.close()
        return response, page

    def asked(self) -> dict[str, str]:
        """What the form of the plan would send."""
        _, page = self.ask(PLAN)
        hidden = [each for tag, each in page.tags if tag == "input" and each.get("type") == "hidden"]
        return {str(each["name"]): str(each["value"]) for each in hidden}

    def serving(self) -> list[str]:
        """The commits that get traffic."""
        service = self.world.cloud.services[WORKER]
        latest = service.latest_ready_revision.rpartition("/")[2]
        names = [each.revision or latest for each in service.traffic_statuses if each.percent]
        return [self.world.cloud.revisions[name].labels["commit-sha"] for name in names]

    def said(self) -> str:
        """All that was said on stderr."""
        self._err.seek(0)
        return self._err.read().decode()

    def left_nothing(self) -> bool:
        """Whether no smoke command waits at the gate any more; it is let through."""
        with suppress(OSError):  # nobody is there
            os.close(os.open(self.gate, os.O_WRONLY | os.O_NONBLOCK))
        return running(f"cat {self.gate}") == []

    def kept(self) -> SqliteDeploys:
        """The deploys of the journal."""
        return SqliteDeploys(self.world.folder / ".drift" / "journal.sqlite", busy_s=ENOUGH_S)


def wait_for(happened: Callable[[], bool]) -> None:
    while not happened():
        time.sleep(0.1)  # each look is a page that its process makes


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with FakeRegistry() as registry, TemporaryFile() as err:
        made = Served(world, registry, err)
        yield made
        made.process.kill()
        made.process.wait(ENOUGH_S)


def test_a_deploy_from_the_plan_to_its_end(served: Served) -> None:
    """Confirmed here and by this page alone, begun once, shown as the journal has it, and not cut off."""
    commit = served.built()
    form = served.asked()
    assert form["commit"] == commit
    origin = f"http://{HOST}:{served.port}"
    for wrong, headers in (
        ({"commit": commit}, {}),
        (form | {"token": "0" * 64}, {}),
        (form | {"commit": served.world.first}, {}),
        (form, {"Origin": f"http://{HOST}:1"}),
        (form, {"Origin": "null"}),
        (form, {"Sec_Fetch_Site": "cross-site"}),
        (form, {"Host": "evil.example"}),
    ):
        assert served.ask(DEPLOYS, wrong, **headers)[0].status == 403
    assert served.kept().deploys() == []

    moved_on = served.built()
    response, page = served.ask(DEPLOYS, form)
    assert response.status == 409
    assert f"Deploy {moved_on[:12]} now" in page.text
    form = served.asked()
    response, _ = served.ask(DEPLOYS, form, Origin=origin, Sec_Fetch_Site="same-origin")
    assert (response.status, response.headers["Location"]) == (303, f"{WORKER}.html")
    assert served.ask(DEPLOYS, form, Origin=origin)[0].status == 303  # once more, while the first goes on
    json_page = DEPLOYS.replace("html", "json")

    def proving() -> bool:
        told = json.loads(served.ask(json_page)[1].source)["deploys"]
        return any(each["name"] == "prove" for row in told[:1] for each in row["deploy"]["steps"][-1:])

    wait_for(proving)
    response, page = served.ask(DEPLOYS)
    assert "deploy under way" in page.text
    assert response.headers["Refresh"] == "5"
    assert served.serving() == [served.world.first]

    served.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "this ends with it" in served.said())
    served.gate.write_text("")
    assert served.process.wait(ENOUGH_S) == 128 + signal.SIGTERM
    assert served.serving() == [moved_on]
    assert [(each.state, each.by) for each in served.kept().deploys()] == [("done", "ann")]


@pytest.mark.heavy
def test_one_whose_process_was_killed_is_no_deploy_that_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal says how far it came; the line on the page goes on from there."""
    commit = served.built()
    assert served.ask(DEPLOYS, served.asked())[0].status == 303
    wait_for(lambda: "trying it" in served.said())
    served.process.kill()
    served.process.wait(ENOUGH_S)
    wait_for(served.left_nothing)
    [left] = served.kept().deploys()
    assert (left.state, left.commit) == ("running", commit)
    lock = served.kept().lock(WORKER)
    told = progress(WORKER, [left], (lock, lock), None, left.asked_at)
    assert (told.deploys[0].word, told.goes_on) == ("did not end", False)
    line = f"deployment-drift deploy {WORKER} --commit {commit}"
    assert told.deploys[0].again == line
    served.gate.unlink()
    served.gate.write_text("")
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", served.world.cloud.host)
    monkeypatch.setenv("HOME", str(served.world.folder))
    monkeypatch.chdir(served.world.folder)
    assert main.main(line.split()[1:]) == 0
    assert served.serving() == [commit]
    assert [each.state for each in served.kept().deploys()] == ["done"]


@pytest.mark.heavy
def test_a_browser_says_that_the_confirmation_is_from_here(served: Served) -> None:
    """Without a script; what it sends of itself is taken, and the page of the steps is where it comes out."""
    program, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or chromedriver is None:
        pytest.skip("chromium-driver is not here")
    commit = served.built()
    options = ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, SIZE):
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(chromedriver))
    try:
        log: Any = driver
        driver.set_page_load_timeout(ENOUGH_S)
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        for host in (HOST, "localhost"):
            driver.get(f"http://{host}:{served.port}/services/{WORKER}.html")
            driver.find_element("link text", "Deploy now…").click()
            driver.find_element("css selector", "form button").click()
            # A busy browser follows late.
            WebDriverWait(driver, ENOUGH_S).until(url_to_be(f"http://{host}:{served.port}{DEPLOYS}"))
            wait_for(lambda: "trying it" in served.said())
        served.gate.write_text("")
        wait_for(lambda: "deploy done" in served.ask(DEPLOYS)[1].text)
        assert served.serving() == [commit]
        assert [each["message"] for each in log.get_log("browser")] == []
    finally:
        driver.quit()


def test_files_deploy_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["dashboard", "--out", str(tmp_path), "--deploy"]) == 2
    assert "--deploy goes with --port" in capsys.readouterr().err

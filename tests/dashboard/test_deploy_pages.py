"""How deploys go, by the journal: pages as text, each a function of what is kept and of the clock."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from dashboard.worlds import Page, World
from journal.stores import at, entry
from support.limits import ENOUGH_S

from drift_gate.dashboard.confirmations import foreign
from drift_gate.dashboard.deploys import Deploying
from drift_gate.dashboard.routes import Dashboard
from drift_gate.delivery.beside import Beside
from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.journal.deploys import Claim, Deploy, Lock, Step
from drift_gate.journal.sqlite_deploys import SqliteDeploys
from drift_gate.presentation.plans import Plan

NAME, OTHER = "a-worker", "b-worker"
BUILDER = 'builder = "image"\nimage = "r.example/{service}:{commit}"\n'
PLAN = f"plans/{NAME}.html"
DEPLOYS = f"deploys/{NAME}.html"
COMMIT = "c" * 40


class Pages(World):
    """A dashboard that may deploy one of two services; ``plan`` is what a plan says, or raises."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [OTHER, NAME], BUILDER)  # behind the last table
        self.kept = SqliteDeploys(folder / "journal.sqlite", busy_s=ENOUGH_S)
        self.plan: Plan | Exception = Plan(
            service=NAME,
            action="deploy",
            why="2 relevant commits missing",
            commit=COMMIT,
            steps=("build it",),
        )
        self.deployed: list[tuple[str, str]] = []
        self.beside = Beside(self._deploy, lambda: self.now)
        deploying = Deploying(plan=lambda _: self._planned(), kept=self.kept, beside=self.beside)
        self.dashboard = Dashboard(
            self.journal, self.settings, {}, clock=lambda: self.now, deploying=deploying
        )

    def _planned(self) -> Plan:
        if isinstance(self.plan, Exception):
            raise self.plan
        return self.plan

    def _deploy(self, service: str, commit: str) -> str:
        self.deployed.append((service, commit))
        raise DriftConfigError("the builder is not to be found")

    def keep(self, deploy: Deploy, *, held: bool) -> None:
        """Keep it; ``held``: its claim holds for a minute, and its process is of another machine."""
        until = deploy.asked_at + timedelta(minutes=1)
        claim = Claim(
            deploy=deploy.id,
            commit=COMMIT,
            by="ann",
            since=deploy.asked_at,
            until=until,
            process="elsewhere/1/2/ab",
        )
        lock = self.kept.lock(NAME)
        now = Lock(service=NAME, holder=claim if held else None, mark=f"{lock.mark}+")
        assert self.kept.swap(lock, now, [deploy])


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    made = Pages(tmp_path)
    made.record(entry(0, 4, NAME), entry(0, 4, OTHER))
    return made


def deploy(**more: object) -> Deploy:
    steps = (
        Step(name="lock", began_at=at(0), ended_at=at(0), result="held by ann"),
        Step(name="build", began_at=at(0)),
    )
    told = {"service": NAME, "commit": COMMIT, "by": "ann", "asked_at": at(0), "steps": steps}
    return Deploy.model_validate(told | more)


def fields(page: Page) -> dict[str, str]:
    """What the form of the page would send."""
    return {
        str(each["name"]): str(each["value"])
        for tag, each in page.tags
        if tag == "input" and each.get("type") == "hidden"
    }


def test_the_button_is_where_it_may_be_pressed(pages: Pages, tmp_path: Path) -> None:
    """Elsewhere the line to paste is all there is, as in a dashboard that deploys nothing."""
    assert f"../{PLAN}" in pages.page(f"services/{NAME}.html").links
    assert not [each for each in pages.page(f"services/{OTHER}.html").links if "plans" in each]
    assert pages.dashboard.answer(f"plans/{OTHER}.html").status == 404
    (tmp_path / "plain").mkdir()
    plain = World(tmp_path / "plain", [OTHER, NAME], BUILDER)
    plain.record(entry(0, 4, NAME))
    page = plain.page(f"services/{NAME}.html")
    assert not [each for each in page.links if "plans" in each]
    assert f"deployment-drift deploy {NAME}" in page.text
    assert plain.dashboard.answer(PLAN).status == 404
    assert plain.dashboard.confirm(DEPLOYS, {}).status == 404


def test_the_plan_asks_and_stays_as_it_is(pages: Pages) -> None:
    answer = pages.dashboard.answer(PLAN, {})
    page = Page(answer.body.decode())
    assert f"Deploy {NAME} now? 2 relevant commits missing" in page.text
    assert fields(page)["commit"] == COMMIT
    assert [each.get("action") for tag, each in page.tags if tag == "form"] == [f"../{DEPLOYS}"]
    assert (answer.refresh, answer.headers["Referrer-Policy"]) == (0, "same-origin")
    said = json.loads(pages.dashboard.answer(f"plans/{NAME}.json").body)
    assert (said["action"], said["commit"]) == ("deploy", COMMIT)
    assert pages.deployed == []


@pytest.mark.parametrize("action", ["nothing", "wait", "stop", "unknown"])
def test_what_is_not_to_be_deployed_has_no_form(pages: Pages, action: str) -> None:
    pages.plan = Plan.model_validate({"service": NAME, "action": action, "why": "so", "commit": COMMIT})
    page = pages.page(PLAN, {})
    assert fields(page) == {}
    assert "button" not in [tag for tag, _ in page.tags]


@pytest.mark.parametrize("error", [SourceError("git hung", "timeout"), DriftConfigError("no image")])
def test_where_there_is_no_plan_the_page_says_why(pages: Pages, error: Exception) -> None:
    pages.plan = error
    answer = pages.dashboard.answer(PLAN, {})
    assert answer.status == 503
    assert str(error) in Page(answer.body.decode()).text


def test_what_was_not_confirmed_here_is_not_deployed(pages: Pages, tmp_path: Path) -> None:
    """Without a token, with one of another process, and with one for another commit."""
    given = fields(pages.page(PLAN, {}))
    (tmp_path / "other").mkdir()
    theirs = fields(Pages(tmp_path / "other").page(PLAN, {}))
    for wrong in (
        {},
        {"commit": COMMIT},
        {"commit": COMMIT, "token": "ü"},
        theirs,
        given | {"commit": "d" * 40},
    ):
        answer = pages.dashboard.confirm(DEPLOYS, wrong)
        assert answer.status == 403
        assert f"../{PLAN}" in Page(answer.body.decode()).links
    assert pages.deployed == []


def test_when_the_target_has_moved_on_it_asks_again(pages: Pages) -> None:
    given, newer = fields(pages.page(PLAN, {})), "d" * 40
    assert isinstance(pages.plan, Plan)
    pages.plan = pages.plan.model_copy(update={"commit": newer})
    answer = pages.dashboard.confirm(DEPLOYS, given)
    page = Page(answer.body.decode())
    assert (answer.status, fields(page)["commit"]) == (409, newer)
    assert "no longer as it was when you were asked" in page.text
    pages.plan = pages.plan.model_copy(update={"action": "stop"})
    assert pages.dashboard.confirm(DEPLOYS, fields(page)).status == 409
    assert pages.deployed == []


def test_what_the_journal_never_heard_of_is_not_lost(pages: Pages) -> None:
    """A deploy that ends before it has its lock is in no journal; who asked for it is told all the same."""
    answer = pages.dashboard.confirm(DEPLOYS, fields(pages.page(PLAN, {})))
    assert (answer.status, answer.headers["Location"]) == (303, f"{NAME}.html")
    pages.beside.join()
    page = pages.page(DEPLOYS, {})
    assert "The journal knows of none." in page.text
    assert "and has ended that: DriftConfigError: the builder is not to be found" in page.text
    assert pages.deployed == [(NAME, COMMIT)]


def test_a_deploy_that_goes_on_shows_its_steps_and_loads_anew(pages: Pages) -> None:
    pages.keep(deploy(), held=True)
    answer = pages.dashboard.answer(DEPLOYS, {})
    page = Page(answer.body.decode())
    assert "deploy under way" in page.text
    assert "asked for by ann" in page.text
    assert "held by ann" in page.text
    assert "goes on" in page.text
    assert answer.refresh == 5
    assert pages.dashboard.answer(DEPLOYS, {"live": "off"}).refresh == 0


def test_one_that_died_is_shown_as_the_journal_knows_it(pages: Pages) -> None:
    """Its claim has run out and nobody said how it ended: so the page, with the line that goes on."""
    pages.keep(deploy(), held=True)
    pages.now = at(1)
    page = pages.page(DEPLOYS, {})
    assert "deploy did not end" in page.text
    assert "The journal knows of no end" in page.text
    assert f"deployment-drift deploy {NAME} --commit {COMMIT}" in page.text
    assert page.classes.isdisjoint({"going", "current"})
    told = json.loads(pages.dashboard.answer(f"deploys/{NAME}.json").body)
    assert (told["deploys"][0]["goes_on"], told["deploys"][0]["deploy"]["state"]) == (False, "running")
    assert pages.dashboard.answer(DEPLOYS, {}).refresh == 60


@pytest.mark.parametrize(
    ("state", "word", "mood", "again"),
    [
        ("done", "deploy done", "current", False),
        ("failed", "deploy failed", "denied", False),
        ("rolled-back", "deploy was not healthy, the traffic is back", "denied", False),
        ("interrupted", "deploy interrupted", "unknown", True),
    ],
)
def test_how_it_ended(pages: Pages, state: str, word: str, mood: str, again: bool) -> None:
    pages.keep(deploy(id="a", state="overtaken", message="somebody <b>newer</b>"), held=False)
    pages.keep(deploy(id="b", state=state, message="so it ended", asked_at=at(1), ended_at=at(1)), held=False)
    pages.now = at(1)
    page = pages.page(DEPLOYS, {})
    assert f"{word} so it ended" in page.text
    assert "somebody <b>newer</b>" in page.text
    assert mood in page.classes
    assert ("--commit" in page.text) is again


@pytest.mark.parametrize(
    ("site", "origin", "wrong"),
    [
        (None, None, False),
        ("same-origin", "http://localhost:1", False),
        ("none", None, False),
        ("same-site", "http://localhost:1", True),
        ("cross-site", None, True),
        (None, "http://localhost:2", True),
        (None, "null", True),
    ],
)
def test_what_a_page_of_another_origin_sends(site: str | None, origin: str | None, wrong: bool) -> None:
    assert foreign("localhost:1", site, origin) is wrong

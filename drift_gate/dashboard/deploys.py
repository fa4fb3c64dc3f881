"""The pages that deploy: what would be done, the confirmation, and how it goes by the journal."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from drift_gate.dashboard import html
from drift_gate.dashboard.answers import HTML, Answer, Request, json
from drift_gate.dashboard.confirmations import Seal
from drift_gate.dashboard.rows import page_of
from drift_gate.delivery.beside import Begun, Beside
from drift_gate.delivery.holder import alive
from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.facts import Fact, Text
from drift_gate.journal.deploys import BECAME, OPEN, Deploy, Deploys, Lock
from drift_gate.presentation.plans import Plan
from drift_gate.settings.file import Settings

#: Where the plans are, and how deploys go; a confirmation is sent to the latter.
PLANS, DEPLOYS = "plans/", "deploys/"
#: How many deploys of a service a page shows.
SHOWN = 10
#: Seconds after which the page of a deploy that goes on asks anew.
_GOES_ON_S = 5

#: The colour of what became of a deploy.
_MOODS = {
    "done": "current",
    "nothing": "current",
    "overtaken": "warned",
    "failed": "denied",
    "rolled-back": "denied",
}


@dataclass(frozen=True, slots=True)
class Deploying:
    """What pages deploy with.

    ``plan`` says what a deploy of a service would do now; it raises ``DriftConfigError``, ``SourceError`` and
    ``JournalError``. ``kept``: the deploys as the journal has them. ``beside`` makes them. ``seal`` tells a
    confirmation that was asked for here.
    """

    plan: Callable[[str], Plan]
    kept: Deploys
    beside: Beside
    seal: Seal = field(default_factory=Seal)


class DeployRow(Fact):
    """A deploy as the journal has it.

    ``word`` and ``mood``: how it stands. ``goes_on``: it has not ended, and whoever makes it, or waits, still
    has its claim. ``again``: the line by which it goes on; None: it does, has ended, or another came after.
    """

    word: str
    mood: str
    goes_on: bool
    again: Text | None
    deploy: Deploy


class Progress(Fact):
    """The newest deploys of a service at a moment (``at``, UTC), the newest first.

    ``asked_here``: when this process was asked for ``commit_here``, its last; None: for nothing.
    ``said_here``: how that ended; None: it goes on.
    """

    schema_version: int = 1
    at: datetime
    service: Text
    deploys: tuple[DeployRow, ...]
    asked_here: datetime | None = None
    commit_here: str | None = None
    said_here: Text | None = None

    @property
    def goes_on(self) -> bool:
        """Whether anything may still change by itself."""
        here = self.asked_here is not None and self.said_here is None
        return here or any(each.goes_on for each in self.deploys)


def progress(
    service: str, deploys: list[Deploy], locks: tuple[Lock, Lock], begun: Begun | None, now: datetime
) -> Progress:
    """How ``deploys`` of ``service``, the newest first, stand at ``now``.

    ``locks``: the lock before they were read and after that, so that none that has just begun or just ended
    is taken for one that died. ``begun``: what this process was asked for; None: nothing.
    """
    claims = [alive(claim, now) for lock in locks for claim in (lock.holder, lock.waiting)]
    held = {claim.deploy for claim in claims if claim}
    return Progress(
        at=now,
        service=service,
        deploys=tuple(
            _row(each, goes_on=each.id in held, newest=not number) for number, each in enumerate(deploys)
        ),
        asked_here=begun.at if begun else None,
        commit_here=begun.commit if begun else None,
        said_here=begun.said if begun else None,
    )


def _row(deploy: Deploy, *, goes_on: bool, newest: bool) -> DeployRow:
    ended = deploy.state not in (*OPEN, "waiting")
    if goes_on and not ended:
        word, mood = "waiting" if deploy.state == "waiting" else "under way", "going"
    else:
        word, mood = BECAME.get(deploy.state, "did not end"), _MOODS.get(deploy.state, "unknown")
    repeatable = newest and deploy.kind == "deploy" and not ended and not goes_on
    line = f"deployment-drift deploy {shlex.quote(deploy.service)} --commit {deploy.commit}"
    return DeployRow(
        word=word,
        mood=mood,
        goes_on=goes_on and not ended,
        again=line if repeatable else None,
        deploy=deploy,
    )


class DeployPages:
    """The pages of the services that ``settings`` say how to deploy."""

    def __init__(self, deploying: Deploying, settings: Settings) -> None:
        self._with = deploying
        self._names = {
            page_of(name): name
            for name, each in settings.services.items()
            if each.builder is not None and each.live == "cloud-run"
        }

    def offers(self, service: str) -> bool:
        """Whether the service may be deployed here."""
        return service in self._names.values()

    def answer(self, asked: Request) -> Answer:
        """The answer to a GET below ``PLANS`` or ``DEPLOYS``. Raises ``JournalError``."""
        folder, _, page = asked.name.rpartition("/")
        name = self._names.get(page)
        if name is None:
            return _nobody(asked)
        return self._plan(asked, name) if f"{folder}/" == PLANS else self._progress(asked, name)

    def confirm(self, asked: Request, form: Mapping[str, str]) -> Answer:
        """The answer to a POST of ``form`` to the page of a service below ``DEPLOYS``.

        Begins the deploy of the commit that was confirmed, if a plan made now would deploy the same. Raises
        ``JournalError``.
        """
        page = asked.name.removeprefix(DEPLOYS)
        name, commit = self._names.get(page), form.get("commit", "")
        if name is None:
            return _nobody(asked)
        if not self._with.seal.fits(form.get("token", ""), name, commit):
            words = (
                "The confirmation is none that this process asked for: look at the plan, and confirm that."
            )
            return html.message(asked, 403, "Nothing was deployed", words, back=f"../{PLANS}{page}.html")
        begun = self._with.beside.last(name)
        goes_on = begun is not None and begun.said is None
        refused = None if goes_on else self._begin(asked, name, commit)
        return refused or Answer(303, HTML, b"", location=f"{page}.html")

    def _begin(self, asked: Request, name: str, commit: str) -> Answer | None:
        """Begin it; else why not. Two that come at once begin one."""
        plan = self._planned(asked, name)
        if isinstance(plan, Answer):
            return plan
        if plan.commit != commit or plan.action != "deploy":
            note = (
                "Nothing was deployed: it is no longer as it was when you were asked. This is the plan now."
            )
            return self._ask(asked, plan, note)
        try:
            self._with.beside.begin(name, commit)
        except RuntimeError as error:
            return html.message(
                asked, 503, "Nothing was deployed", f"This process has no room for it: {error}"
            )
        return None

    def _plan(self, asked: Request, name: str) -> Answer:
        plan = self._planned(asked, name)
        if isinstance(plan, Answer):
            return plan
        return json(plan) if asked.form == "json" else self._ask(asked, plan)

    def _planned(self, asked: Request, name: str) -> Plan | Answer:
        """The plan; else the page that says why there is none."""
        try:
            return self._with.plan(name)
        except SourceError as error:
            return html.message(asked, 503, "It could not be determined what would be deployed", str(error))
        except DriftConfigError as error:
            return html.message(asked, 503, "The configuration is wrong", str(error))

    def _ask(self, asked: Request, plan: Plan, note: str = "") -> Answer:
        """The page that asks; it stays as it is, since who reads it decides by it."""
        still, due = asked._replace(query=None), plan.action == "deploy" and plan.commit
        token = self._with.seal.mark(plan.service, plan.commit) if due and plan.commit else None
        answer = html.page(
            still,
            "plan.html",
            status=409 if note else 200,
            plan=plan,
            page=page_of(plan.service),
            token=token,
            note=note,
        )
        # With "no-referrer" a browser hides where the confirmation comes from.
        return answer._replace(referrer="same-origin")

    def _progress(self, asked: Request, name: str) -> Answer:
        begun, kept = self._with.beside.last(name), self._with.kept
        before = kept.lock(name)
        found = kept.deploys(name, limit=SHOWN)
        told = progress(name, found, (before, kept.lock(name)), begun, asked.now)
        if asked.form == "json":
            return json(told)
        if told.goes_on:
            asked = asked._replace(every=_GOES_ON_S)
        return html.page(asked, "deploys.html", told=told, page=page_of(name))


def _nobody(asked: Request) -> Answer:
    words = "The settings declare none of this name with the builder that a deploy needs."
    return html.message(asked, 404, "There is no such service to deploy", words)

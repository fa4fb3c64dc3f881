"""What each service lacks and what a deploy would do, as a document. Pure."""

from __future__ import annotations

from datetime import datetime

from drift_gate.comparison.tally import Undeployed
from drift_gate.delivery.plan import Action, Due, steps
from drift_gate.facts import Fact, Text
from drift_gate.policy.verdict import Verdict
from drift_gate.presentation.forge import Forge
from drift_gate.settings.keys import ServiceSettings


class Serving(Fact):
    """A revision that gets traffic now; ``commit`` None: not known."""

    revision: str | None
    percent: int
    commit: str | None


class Missing(Undeployed):
    """A commit that is missing, and its page at the forge (None: not known)."""

    url: str | None = None


class Plan(Fact):
    """What is to be done about one service.

    ``why``: in one sentence. ``commit`` and ``ref``: what should serve; None: nobody knows. ``serving``: what
    does. ``commits_behind`` and ``drift_age_s`` as in the report; ``missing`` are the newest of the commits.
    ``compare_url``: all of it at the forge. ``steps``: what a deploy would do, in words; none where there is
    nothing to do, or no builder is declared.
    """

    service: Text
    action: Action
    why: Text
    ref: Text | None = None
    commit: str | None = None
    serving: tuple[Serving, ...] = ()
    commits_behind: int | None = None
    drift_age_s: int | None = None
    missing: tuple[Missing, ...] = ()
    compare_url: str | None = None
    steps: tuple[Text, ...] = ()


class Plans(Fact):
    """The plans of one moment, as ``deployment-drift plan --format json`` prints them."""

    schema_version: int = 1
    planned_at: datetime
    services: tuple[Plan, ...]


def plan(verdict: Verdict, due: Due, service: ServiceSettings, forge: Forge | None) -> Plan:
    """What to do about the service that ``verdict`` judges, as was decided by ``due``.

    ``forge``: where its repository is kept; None: nobody can say.
    """
    report = verdict.report
    live = next((each.commit for each in report.live if each.commit), None)
    target = report.target.commit if report.target else None
    return Plan(
        service=verdict.service,
        action=due.action,
        why=due.why,
        ref=report.target.ref if report.target else None,
        commit=target,
        serving=tuple(
            Serving(revision=each.revision, percent=each.percent, commit=each.commit) for each in report.live
        ),
        commits_behind=report.commits_behind,
        drift_age_s=report.drift_age_s,
        missing=tuple(
            Missing(**dict(each), url=forge.commit(each.sha) if forge else None) for each in report.undeployed
        ),
        compare_url=forge.compare(live, target) if forge and live and target and live != target else None,
        steps=tuple(steps(verdict.service, service, target)) if target and due.action == "deploy" else (),
    )

"""What a service lacks, and what a deploy would do about it: decided by *live against target* alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from drift_gate.comparison.report import DriftReport
from drift_gate.comparison.tally import Undeployed
from drift_gate.delivery.forge import Forge
from drift_gate.facts import Fact, Text
from drift_gate.policy.codes import CURED_BY_DEPLOY
from drift_gate.policy.verdict import Verdict, duration
from drift_gate.settings.keys import ServiceSettings

#: ``stop``: a deploy would go backwards, or somebody else's is under way.
Action = Literal["deploy", "nothing", "stop", "unknown"]

#: The tag at which a new revision is tried before it gets traffic: one, since one deploy is made at a time.
TAG = "candidate"


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


def plan(verdict: Verdict, service: ServiceSettings, forge: Forge | None) -> Plan:
    """What to do about the service that ``verdict`` judges; ``forge``: where its repository is kept."""
    report = verdict.report
    action, why = decide(verdict)
    live = next((each.commit for each in report.live if each.commit), None)
    target = report.target.commit if report.target else None
    differ = forge and live and target and live != target
    return Plan(
        service=verdict.service,
        action=action,
        why=why,
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
        compare_url=forge.compare(str(live), str(target)) if forge and differ else None,
        steps=tuple(_steps(verdict, service)) if action == "deploy" else (),
    )


def decide(verdict: Verdict) -> tuple[Action, str]:
    """Whether a deploy of the target of ``verdict`` is due, and why in one sentence."""
    report = verdict.report
    if report.unknown:
        if report.unknown.cause == "no-serving-revision" and report.target:
            return "deploy", "nothing serves"
        return "unknown", report.unknown.message
    if rollout := next((each for each in verdict.reasons if each.code == "rollout-in-progress"), None):
        return "stop", rollout.message
    if ahead := _ahead(report):
        return "stop", ahead
    if report.status == "behind":
        oldest = ", the oldest" if report.commits_behind != 1 else ""
        since = f"{oldest} for {duration(report.drift_age_s)}" if report.drift_age_s else ""
        return "deploy", f"{_commits(report.commits_behind or 0)} missing{since}"
    denied = [each for each in verdict.reasons if each.decision == "deny" and each.code in CURED_BY_DEPLOY]
    if denied:
        return "deploy", f"{denied[0].code}: {denied[0].message}"
    return "nothing", "what serves is what it should be"


def _ahead(report: DriftReport) -> str | None:
    """Why a deploy of the target would take something away that serves; None: it would not."""
    for live in report.live:
        if live.commits_ahead or live.unaccounted_count:
            what = _commits(live.commits_ahead) if live.commits_ahead else "files"
            ref = report.target.ref if report.target else "the target"
            return f"{live.called or live.commit} serves {what} that {ref} lacks: a deploy would go backwards"
    return None


def _commits(count: int) -> str:
    return "1 relevant commit" if count == 1 else f"{count:,} relevant commits"


def _steps(verdict: Verdict, service: ServiceSettings) -> Iterator[str]:
    if service.builder is None:
        return
    image = (service.image or "?").replace("{service}", verdict.service)
    if service.builder == "image":
        yield f"take the image {image}"
    else:
        yield f"build {image} from {service.dockerfile or 'Dockerfile'} with {service.builder}"
    if service.kind != "job":
        proof = [f"{service.healthy_answers} healthy answers"] if "health" in service.evidence else []
        proof += [f"`{' '.join(service.smoke)}`"] if service.smoke else []
        tried = f", and try it: {', '.join(proof)}" if proof else ""
        yield f"release it without traffic under the tag {TAG}{tried}"
        percents = ", ".join(f"{each} %" for each in service.traffic)
        watched = f", watched for {duration(service.watch)} after each step" if service.watch else ""
        yield f"move the traffic: {percents}{watched}"
    else:
        yield "let the job's next run use it"

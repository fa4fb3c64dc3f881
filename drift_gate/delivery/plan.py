"""Whether a deploy is due, and what it would do: decided by *live against target*. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from drift_gate.comparison.report import DriftReport
from drift_gate.journal.deploys import OPEN, Deploy
from drift_gate.policy.acknowledgements import BECAUSE
from drift_gate.policy.codes import CURED_BY_DEPLOY
from drift_gate.policy.verdict import Verdict, duration
from drift_gate.settings.keys import ServiceSettings

#: ``stop``: a deploy would go backwards. ``wait``: a rollout is under way.
Action = Literal["deploy", "nothing", "wait", "stop", "unknown"]

#: The tag at which a new revision is tried before it gets traffic: one, since one deploy is made at a time.
TAG = "candidate"


class Due(NamedTuple):
    """What is to be done about a service, and why, in one sentence."""

    action: Action
    why: str


def decide(
    verdict: Verdict,
    kept: Sequence[Deploy],
    now: datetime,
    replace: str | None = None,
    *,
    moving: bool = False,
) -> Due:
    """What a deploy of the target of ``verdict`` would do at ``now``.

    ``kept``: the deploys of the service that the journal has. ``replace``: the revision that may be replaced
    whatever it has, but for newer code, and though it was rolled back to; None: none may. ``moving``: whether
    the traffic is about to be moved, which a rollback forbids even where nothing is missing.
    """
    due, report = _by_itself(verdict, replace), verdict.report
    if (moving or due.action != "nothing") and (meant := _rolled_back(report, kept, now, replace)):
        return Due("stop", meant)
    if due.action not in ("stop", "unknown"):
        return due
    against = [live for live in report.live if live.unknown or live.commits_ahead or live.unaccounted_count]
    if not against:
        return due
    if any(live.status == "ahead" for live in against):
        return Due(due.action, f"{due.why}; to go back on purpose: deployment-drift rollback")
    if all(live.revision == replace for live in against):
        return Due("deploy", f"{replace} may be replaced")
    names = ", ".join(dict.fromkeys(str(live.revision) for live in against))
    return Due(due.action, f"{due.why}; to replace {names} all the same: --replace {names}")


def _by_itself(verdict: Verdict, replace: str | None) -> Due:
    """What ``verdict`` says by itself."""
    report = verdict.report
    if report.unknown:
        if report.unknown.cause == "no-serving-revision" and report.target:
            return Due("deploy", "nothing serves")
        return Due("unknown", report.unknown.message)
    if rollout := next((each for each in verdict.reasons if each.code == "rollout-in-progress"), None):
        return Due("wait", rollout.message)
    if more := _ahead(report):
        return Due("stop", more)
    if meant := _meant(verdict, replace):
        return Due("stop", meant)
    if report.status == "behind":
        oldest = ", the oldest" if report.commits_behind != 1 else ""
        since = f"{oldest} for {duration(report.drift_age_s)}" if report.drift_age_s else ""
        return Due("deploy", f"{_commits(report.commits_behind or 0)} missing{since}")
    denied = [each for each in verdict.reasons if each.decision == "deny" and each.code in CURED_BY_DEPLOY]
    if denied:
        return Due("deploy", f"{denied[0].code}: {denied[0].message}")
    return Due("nothing", "what serves is what it should be")


def _ahead(report: DriftReport) -> str | None:
    """Why a deploy of the target would take something away that serves; None: it would not."""
    for live in report.live:
        if live.commits_ahead or live.unaccounted_count:
            what = _commits(live.commits_ahead) if live.commits_ahead else "files"
            target = report.target
            ref = (
                "the target" if not target else target.ref if target.ref != target.commit else target.ref[:12]
            )
            return f"{live.called or live.commit} serves {what} that {ref} lacks: a deploy would go backwards"
    return None


def _meant(verdict: Verdict, replace: str | None) -> str | None:
    """Why what serves is to stay: somebody has acknowledged the pin of the traffic; None: nobody has.

    A rollback is known by it to whoever deploys without the journal in which it is kept.
    """
    pins = [each for each in verdict.reasons if each.code == "traffic-pinned" and BECAUSE in each.data]
    for pin in pins:
        commits = {each["live_commit"] for each in pin.data[BECAUSE]}
        for live in verdict.report.live:
            if live.commit in commits and live.revision != replace:
                return f"{pin.message}; to deploy all the same: --replace {live.revision}"
    return None


def _rolled_back(
    report: DriftReport, kept: Sequence[Deploy], now: datetime, replace: str | None
) -> str | None:
    """Why what serves is to stay: it was rolled back to on purpose, and still is meant; None: it was not."""
    told = [each for each in kept if each.state == "done" or _took_effect(each, report)]
    last = max(told, key=lambda each: each.ended_at or each.asked_at, default=None)
    if last is None or last.kind != "rollback" or last.until is None or last.until <= now:
        return None
    if last.revision == replace:
        return None
    return (
        f"{last.by} rolled {last.service} back to {last.revision}, until {last.until:%Y-%m-%d %H:%M} UTC: "
        f"{last.reason}; to deploy all the same: --replace {last.revision}"
    )


def _took_effect(deploy: Deploy, report: DriftReport) -> bool:
    """Whether it is a rollback that has not ended, and its revision alone serves."""
    unended = deploy.kind == "rollback" and deploy.state in OPEN
    return unended and {live.revision for live in report.live} == {deploy.revision}


def _commits(count: int) -> str:
    return "1 relevant commit" if count == 1 else f"{count:,} relevant commits"


def steps(name: str, service: ServiceSettings, commit: str) -> Iterator[str]:
    """What a deploy of ``commit`` to the service ``name`` would do; nothing where no builder is declared."""
    if service.builder is None:
        return
    image = (service.image or "?").replace("{service}", name)
    if service.builder == "image":
        yield f"take the image {image.replace('{commit}', commit)}"
    else:
        yield f"build {image} from {service.dockerfile or 'Dockerfile'} with {service.builder}"
    if service.kind == "job":
        yield "let the job's next run use it"
        return
    proof = [f"{service.healthy_answers} healthy answers"] if "health" in service.evidence else []
    proof += [f"`{' '.join(service.smoke)}`"] if service.smoke else []
    tried = f", and try it: {', '.join(proof)}" if proof else ""
    yield f"release it without traffic under the tag {TAG}{tried}"
    percents = ", ".join(f"{each} %" for each in service.traffic)
    watched = f", watched for {duration(service.watch)} after each step" if service.watch else ""
    yield f"move the traffic: {percents}{watched}"

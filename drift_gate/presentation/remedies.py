"""What to do about a denial: the cure of each code first, the emergency exit last. Pure.

The lines speak of the program that was refused: of the templates in ``[batch]``, else of what the caller
says of itself, else in words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Literal, NamedTuple

from drift_gate.comparison.report import DriftReport
from drift_gate.policy.acknowledgements import may_cover
from drift_gate.policy.break_glass import SWITCH, UNTIL
from drift_gate.policy.codes import CAUSE_MEANINGS, CURED_BY_DEPLOY, REASONS
from drift_gate.policy.verdict import NO_START, Reason, Start, Verdict
from drift_gate.settings.file import Settings
from drift_gate.settings.keys import ServiceSettings

#: What a person puts in; in capitals, so that nobody takes it for a value.
_DATE, _COMMIT, _IMAGE = "DATE", "COMMIT", "IMAGE"
#: The command in a cure of the tables.
_COMMAND = re.compile(r"`[^`]*`")
#: What an image's name ends with, and what is left of a name that a shell takes as it stands.
_TAG_OR_DIGEST = re.compile(r"(?::[^:/@]*)?(?:@[^@]*)?\Z")
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._:-]*(?:/[a-z0-9][a-z0-9._-]*)+")


class Step(NamedTuple):
    """One line of *What to do*: what it is for, and a line to ``paste`` or a sentence to follow."""

    label: str
    text: str
    paste: bool = True


def steps(verdict: Verdict, settings: Settings, start: Start = NO_START) -> Iterator[Step]:
    """What to do about the denial in ``verdict``, the cure first and the emergency exit last."""
    yield from _cures(verdict, settings.services.get(verdict.service))
    if _cured_by_deploy(verdict):
        yield from deploy(verdict, settings, start)
    yield from _looks(verdict)
    if may_cover(verdict):
        name = shlex.quote(verdict.service)
        yield Step("accept", f'deployment-drift acknowledge {name} --until DATE --reason "WHY"')
    if verdict.refuses:
        yield _line("again", verdict, settings, start) or _own("again", start.again, "start the batch again")
        yield _line("bypass", verdict, settings, start) or _own("bypass", start.bypass, _BYPASS)


_BYPASS = f"in an emergency, start it with {SWITCH}=1 and {UNTIL}=TIME (UTC) in its environment"


def _own(label: str, line: str | None, words: str) -> Step:
    """The caller's own line, else words."""
    return Step(label, words, paste=False) if line is None else Step(label, line)


def candidates(report: DriftReport) -> list[str]:
    """For each live commit that differs, the git command that lists the candidates of the count."""
    target = report.target.commit if report.target else None
    lives = dict.fromkeys(live.commit for live in report.live if live.commit and live.commit != target)
    if target is None:
        return []
    return [f"git log -c --no-renames --name-only {live[:12]}..{target[:12]}" for live in lives if live]


def _denying(verdict: Verdict) -> list[Reason]:
    return [reason for reason in verdict.reasons if reason.decision == "deny"]


def _named(reason: Reason) -> str:
    """The code of a reason; the cause where nothing could be known."""
    return str(reason.data.get("cause", reason.code))


def _cures(verdict: Verdict, service: ServiceSettings | None) -> Iterator[Step]:
    """Each cure once, with the codes that it is for."""
    by_cure: dict[str, dict[str, None]] = {}
    for reason in _denying(verdict):
        name = _named(reason)
        cure = CAUSE_MEANINGS[name][1] if name in CAUSE_MEANINGS else REASONS[name].todo
        line, told = reason.data.get("command"), _COMMAND.search(cure)
        if line and told:  # the source knows it better than the table
            cure = cure.replace(told[0], f"`{line}`")
        by_cure.setdefault(_for_service(cure, verdict, service), {})[name] = None
    for cure, names in by_cure.items():
        yield Step("cure", f"{', '.join(names)}: {cure}", paste=False)


def _for_service(cure: str, verdict: Verdict, service: ServiceSettings | None) -> str:
    """The cure with the service's name and place in its commands."""
    name, kind = verdict.service, verdict.report.kind
    if service and service.project:
        placed = f"gcloud run {kind}s \\1 {name} --project {service.project} --region {service.region}"
        cure = re.sub(r"gcloud run services (\S+) SERVICE", placed, cure)
    return cure.replace("SERVICE", name)


def _cured_by_deploy(verdict: Verdict) -> bool:
    return not CURED_BY_DEPLOY.isdisjoint(map(_named, _denying(verdict)))


def deploy(verdict: Verdict, settings: Settings, start: Start = NO_START) -> Iterator[Step]:
    """The line that deploys what ``verdict`` says should be live; none for a service that is not declared."""
    if step := _line("deploy", verdict, settings, start):
        yield step
        return
    service, commit = settings.services.get(verdict.service), _commit(verdict)
    if service is None:
        return
    name = verdict.service
    if service.builder is not None and service.live == "cloud-run":
        line = f"deployment-drift deploy {shlex.quote(name)}"
        yield Step("deploy", line)
        if pinned := _pinned(verdict):
            sentence = (
                f"if {pinned} was rolled back to on purpose, that deploy is refused until the rollback ends; "
                f"to undo it before: {line} --replace {shlex.quote(pinned)}"
            )
            yield Step("replace", sentence, paste=False)
        return
    if service.live == "ledger":
        yield Step("deploy", f"deploy {commit[:12]}, then: deployment-drift record {name} --commit {commit}")
        return
    # Worker pools take labels in the beta commands only (gcloud 528).
    verb = {"service": "run deploy", "worker-pool": "beta run worker-pools deploy", "job": "run jobs deploy"}
    yield Step(
        "deploy",
        f"gcloud {verb[verdict.report.kind]} {name} --project {service.project} --region {service.region} "
        f"--image {_repository(verdict.report)}:{commit} --labels commit-sha={commit}",
    )


def _pinned(verdict: Verdict) -> str | None:
    """The revision that alone serves because the traffic is pinned to it, as a rollback pins it; else None.

    Whether it was one is in the journal, which no check reads.
    """
    pins = [reason.data.get("pinned", ()) for reason in verdict.reasons if reason.code == "traffic-pinned"]
    return str(pins[0][0]) if pins and len(pins[0]) == 1 else None


def deploy_template(name: str, settings: Settings) -> str | None:
    """The line that deploys the service ``name``, with ``{commit}`` in it where the commit belongs.

    That of ``[batch]``, else our own where a builder is declared; None: nobody said how.
    """
    template = settings.batch.deploy
    if template is not None:
        return template.format(service=name, date=_DATE, commit="{commit}")
    return f"deployment-drift deploy {name}" if settings.services[name].builder else None


def _repository(report: DriftReport) -> str:
    """Where the images that serve come from, without tag and digest; a placeholder where nobody can say."""
    images = {_TAG_OR_DIGEST.sub("", live.image) for live in report.live if live.image}
    found = images.pop() if len(images) == 1 else ""
    return found if _REPOSITORY.fullmatch(found) else _IMAGE


def _looks(verdict: Verdict) -> Iterator[Step]:
    """The commands that say more."""
    name, report = shlex.quote(verdict.service), verdict.report
    yield from (Step("look", line) for line in candidates(report))
    yield Step("explain", f"deployment-drift explain {_named(_denying(verdict)[0])}")
    yield Step("check", f"deployment-drift check {name} --verbose")
    if report.undeployed:
        yield Step("why", f"deployment-drift why {name} {report.undeployed[0].sha[:12]}")


def _commit(verdict: Verdict) -> str:
    return verdict.report.target.commit if verdict.report.target else _COMMIT


def _line(
    which: Literal["again", "bypass", "deploy"], verdict: Verdict, settings: Settings, start: Start
) -> Step | None:
    """The template of ``drift.toml``, filled in; None where there is none."""
    template: str | None = settings.batch[which]
    if template is None:
        return None
    day = start.date.isoformat() if start.date else _DATE
    return Step(which, template.format(service=verdict.service, date=day, commit=_commit(verdict)))

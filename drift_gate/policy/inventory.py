"""Live services that no configuration names: each is worth a warning. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from drift_gate.comparison.report import DriftReport, unknown_report
from drift_gate.errors import SourceError
from drift_gate.facts import Finding, Unknown
from drift_gate.policy.verdict import Policy, Verdict, judge


@dataclass(frozen=True, slots=True)
class Known:
    """The services that nobody has to be told of: ``declared`` by name, ``ignored`` by pattern (* and ?)."""

    declared: Collection[str]
    ignored: Collection[str]


def undeclared(
    place: str, listed: Collection[str] | SourceError, known: Known, now: datetime
) -> Iterator[Verdict]:
    """A verdict for each of the ``listed`` services of ``place`` (project/region) that is not ``known``.

    ``now`` (UTC) is when that is judged. A list that could not be had is a verdict about an unknown: no
    list is no empty list.
    """
    project, _, region = place.partition("/")
    if isinstance(listed, SourceError):
        yield judge(unknown_report(f"inventory of {place}", "service", Unknown.of(listed)), Policy(), now)
        return
    for name in listed:
        if name in known.declared or any(fnmatchcase(name, pattern) for pattern in known.ignored):
            continue
        finding = Finding(code="undeclared-service", message=f"{name} is live in {place} and not declared")
        report = DriftReport(
            service=name,
            kind="service",
            project=project,
            region=region,
            status="unknown",
            findings=(finding,),
        )
        yield judge(report, Policy(), now)

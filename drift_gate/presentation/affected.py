"""What a merge would make stale, for people and programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from drift_gate.comparison.report import DriftReport, is_affected
from drift_gate.presentation.github import command
from drift_gate.presentation.json_text import steering_by_number
from drift_gate.presentation.plain_text import plain
from drift_gate.presentation.plan_text import commit_lines
from drift_gate.presentation.render import counted, escaped


def text(base: str, head: str, reports: Mapping[str, DriftReport]) -> str:
    """Each service, with the commits that it would lack."""
    return "".join(f"{plain(line)}\n" for line in _lines(base, head, reports))


def _lines(base: str, head: str, reports: Mapping[str, DriftReport]) -> Iterator[str]:
    for name, report in reports.items():
        yield f"{name}: {_state(report)}"
        if not report.unknown and is_affected(report):
            yield from (f"  {line}" for line in commit_lines(report.undeployed, report.commits_behind))
    yield _sum(base, head, reports)


def _state(report: DriftReport) -> str:
    if report.unknown:
        return f"unknown: {report.unknown.message}"
    if not is_affected(report):
        return "not affected"
    return f"affected by {counted(report.commits_behind or 0, 'relevant commit')}"


def _sum(base: str, head: str, reports: Mapping[str, DriftReport]) -> str:
    stale = sum(map(is_affected, reports.values()))
    return f"{stale:,} of {counted(len(reports), 'service')} affected by {base[:12]}..{head[:12]}"


def markdown(base: str, head: str, reports: Mapping[str, DriftReport]) -> str:
    """For a comment on a pull request: the affected services first, each with what it would lack."""
    return "\n".join(_markdown(base, head, reports)) + "\n"


def _markdown(base: str, head: str, reports: Mapping[str, DriftReport]) -> Iterator[str]:
    yield f"**A merge makes stale**: {_sum(base, head, reports)}"
    yield ""
    for name, report in sorted(reports.items(), key=lambda each: not is_affected(each[1])):
        yield f"- **{escaped(name)}**: {escaped(_state(report))}"
        if not report.unknown and is_affected(report):
            missing = commit_lines(report.undeployed, report.commits_behind)
            # A line that begins with blanks is a path of the commit above it.
            yield from (f"{'    ' if line[0] == ' ' else '  '}- {escaped(line.strip())}" for line in missing)


def workflow_commands(base: str, head: str, reports: Mapping[str, DriftReport]) -> str:
    """A line for each affected service, as GitHub's annotations, and one that sums up."""
    affected = {name: each for name, each in reports.items() if is_affected(each)}
    told = [
        command("warning" if each.unknown else "notice", f"a merge makes stale: {name}", _state(each))
        for name, each in affected.items()
    ]
    told.append(command("notice", "a merge makes stale", _sum(base, head, reports)))
    return "".join(f"{line}\n" for line in told)


def json_of(base: str, head: str, reports: Mapping[str, DriftReport]) -> str:
    """All of it for a program; ``affected`` is true where it is unknown, as no service is to be left out."""
    told = {
        "schema_version": 1,
        "base": base,
        "head": head,
        "services": [
            {
                "service": name,
                "affected": is_affected(report),
                "commits": report.commits_behind,
                "unknown": report.unknown.model_dump(mode="json") if report.unknown else None,
                "undeployed": [each.model_dump(mode="json") for each in report.undeployed],
            }
            for name, report in reports.items()
        ],
    }
    return steering_by_number(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def matrix(_base: str, _head: str, reports: Mapping[str, DriftReport]) -> str:
    """The services as the matrix of a job; none: an empty list, for which a job has to be skipped."""
    return json.dumps({"service": [name for name, each in reports.items() if is_affected(each)]}) + "\n"

"""What a merge would make stale, for people and programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from drift_gate.comparison.report import DriftReport
from drift_gate.presentation.json_text import steering_by_number
from drift_gate.presentation.plain_text import plain
from drift_gate.presentation.plan_text import commit_lines
from drift_gate.presentation.render import counted


def is_affected(report: DriftReport) -> bool:
    """Whether the merge brings the service something; also where nobody can say."""
    if report.unknown or report.commits_behind:
        return True
    return bool(report.content_differs) and not report.commits_ahead


def lines(base: str, head: str, reports: Mapping[str, DriftReport]) -> Iterator[str]:
    """Each service, with the commits that it would lack."""
    for name, report in reports.items():
        if report.unknown:
            yield plain(f"{name}: unknown: {report.unknown.message}")
        elif not is_affected(report):
            yield plain(f"{name}: not affected")
        else:
            count = counted(report.commits_behind or 0, "relevant commit")
            yield plain(f"{name}: affected by {count}")
            yield from (plain(f"  {line}") for line in commit_lines(report.undeployed, report.commits_behind))
    stale = sum(map(is_affected, reports.values()))
    yield f"{stale:,} of {counted(len(reports), 'service')} affected by {base[:12]}..{head[:12]}"


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


def matrix(reports: Mapping[str, DriftReport]) -> str:
    """The services as the matrix of a job; none: an empty list, for which a job has to be skipped."""
    return json.dumps({"service": [name for name, each in reports.items() if is_affected(each)]}) + "\n"

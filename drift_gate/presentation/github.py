"""Verdicts as GitHub's workflow commands, which a run shows as annotations. Pure.

What has to be escaped: https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts.
"""

from __future__ import annotations

from collections.abc import Iterator

from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Outcome, Verdict
from drift_gate.presentation.plain_text import plain

_LEVELS: dict[Decision, str] = {"allow": "notice", "warn": "warning", "deny": "error"}
_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def workflow_commands(outcome: Outcome) -> str:
    """A line for each reason, the worst first; one for a service to which there is nothing to say.

    A denial that is not enforced is a warning: it fails nothing.
    """
    return "".join(f"{line}\n" for verdict in outcome.services for line in _lines(verdict))


def _lines(verdict: Verdict) -> Iterator[str]:
    title = _escaped(f"drift gate: {verdict.service}", _IN_PROPERTY)
    if not verdict.reasons:
        yield f"::notice title={title}::{verdict.decision}: {verdict.report.status}"
    for reason in verdict.reasons:
        level = _LEVELS[reason.decision]
        level = "warning" if level == "error" and not verdict.enforced else level
        message = _escaped(f"{reason.code}: {reason.message}", _IN_MESSAGE)
        yield f"::{level} title={title}::{message}"


def _escaped(text: str, by: dict[str, str]) -> str:
    return "".join(by.get(char) or plain(char) for char in text)

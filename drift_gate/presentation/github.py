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


def command(level: str, title: str, message: str) -> str:
    """One workflow command: an annotation of the ``level`` notice, warning or error."""
    return f"::{level} title={_escaped(title, _IN_PROPERTY)}::{_escaped(message, _IN_MESSAGE)}"


def _lines(verdict: Verdict) -> Iterator[str]:
    title = f"drift gate: {verdict.service}"
    if not verdict.reasons:
        yield command("notice", title, f"{verdict.decision}: {verdict.report.status}")
    for reason in verdict.reasons:
        level = _LEVELS[reason.decision]
        level = "warning" if level == "error" and not verdict.enforced else level
        yield command(level, title, f"{reason.code}: {reason.message}")


def _escaped(text: str, by: dict[str, str]) -> str:
    return "".join(by.get(char) or plain(char) for char in text)

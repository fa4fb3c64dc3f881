"""Verdicts in the formats of CI: GitHub's workflow commands and a JUnit report, whatever text comes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import WORKER, World

from drift_gate.comparison.report import unknown_report
from drift_gate.facts import Unknown
from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Outcome, Reason, Verdict
from drift_gate.presentation.documents import written
from drift_gate.presentation.formats import Format
from drift_gate.presentation.github import workflow_commands
from drift_gate.presentation.junit import report
from drift_gate.presentation.plain_text import plain

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)
#: Each has a meaning in a workflow command, in XML, on a terminal, or is forbidden in XML 1.0.
NASTY = "%0A\r\n::error file=x::y,%25]]>&<\"'\x00\x0b\x1b[31m\ud800\ufffe\uffff\u2028\x85"


def outcome(*verdicts: Verdict) -> Outcome:
    return Outcome.of(verdicts, NOW, 1234)


def verdict(
    decision: Decision, *reasons: Reason, service: str = "worker", lenient: str | None = None
) -> Verdict:
    return Verdict(
        service=service,
        decision=decision,
        enforced=lenient is None,
        not_enforced_because=lenient,
        severity=None,
        reasons=reasons,
        report=unknown_report(service, "service", Unknown(cause="timeout", message="late")),
    )


def reason(code: str, decision: Decision, message: str = "so it is") -> Reason:
    return Reason(code=code, decision=decision, message=message)


BEHIND = reason("too-many-commits-behind", "deny")
UNKNOWN = reason("unknown-drift", "deny")
YOUNG = reason("within-grace", "allow")


def parsed(judged: Outcome) -> ElementTree.Element:
    """The JUnit report, read as a CI server reads it."""
    return ElementTree.fromstring(report(judged).encode("utf-8"))  # noqa: S314 (it is our own)


class TestGitHub:
    @pytest.mark.parametrize(
        ("judged", "line"),
        [
            (
                verdict("deny", BEHIND),
                "::error title=drift gate%3A worker::too-many-commits-behind: so it is",
            ),
            (
                verdict("deny", BEHIND, lenient="enforcement"),
                "::warning title=drift gate%3A worker::too-many-commits-behind: so it is",
            ),
            (
                verdict("warn", reason("ahead", "warn")),
                "::warning title=drift gate%3A worker::ahead: so it is",
            ),
            (verdict("allow", YOUNG), "::notice title=drift gate%3A worker::within-grace: so it is"),
            (verdict("allow"), "::notice title=drift gate%3A worker::allow: unknown"),
        ],
    )
    def test_a_level_for_each_decision(self, judged: Verdict, line: str) -> None:
        assert workflow_commands(outcome(judged)) == f"{line}\n"

    def test_what_github_would_obey_is_escaped(self) -> None:
        """In a message ``%``, CR and LF; in a property ``:`` and ``,`` as well."""
        judged = verdict("deny", reason("x", "deny", "50 %, a: b\r\n::error::z"), service="a:b,c%")
        assert workflow_commands(outcome(judged)) == (
            "::error title=drift gate%3A a%3Ab%2Cc%25::x: 50 %25, a: b%0D%0A::error::z\n"
        )

    @given(st.text() | st.just(NASTY))
    def test_one_reason_is_one_line_whatever_it_says(self, text: str) -> None:
        told = workflow_commands(outcome(verdict("deny", reason("x", "deny", text), service=text)))
        assert re.fullmatch(r"::error title=[^:,\n]*::[^\n]*\n", told)
        assert told.splitlines() == [told[:-1]]
        assert not re.search(r"%(?!25|0A|0D|3A|2C)", told)


class TestJUnit:
    def test_a_test_case_for_each_service(self) -> None:
        """Refused for drift is a failure, refused for not knowing an error, all else passes."""
        root = parsed(
            outcome(
                verdict("allow", service="a"),
                verdict("warn", reason("ahead", "warn"), service="b"),
                verdict("deny", BEHIND, service="c"),
                verdict("deny", UNKNOWN, service="d"),
                verdict("deny", BEHIND, service="e", lenient="enforcement"),
            )
        )
        (suite,) = root
        counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "time", "timestamp")}
        assert counts == {
            "tests": "5",
            "failures": "1",
            "errors": "1",
            "time": "1.234",
            "timestamp": "2026-02-05T12:00:00",
        }
        assert {case.get("name"): [child.tag for child in case] for case in suite} == {
            "a": [],
            "b": ["system-out"],
            "c": ["failure"],
            "d": ["error"],
            "e": ["system-out"],
        }
        assert suite[2][0].attrib == {"type": "too-many-commits-behind", "message": "so it is"}
        assert suite[2][0].text == "deny too-many-commits-behind: so it is"
        assert (suite[4][0].text or "").startswith("not enforced: the policy only warns\n")

    @given(st.text() | st.just(NASTY))
    def test_it_is_well_formed_whatever_a_text_says(self, text: str) -> None:
        judged = verdict("deny", reason("x", "deny", text), service=text)
        root = parsed(outcome(judged))
        case = root[0][0]
        assert case.get("name") == plain(text)
        assert case[0].get("message") == plain(judged.reasons[0].message)


@pytest.mark.parametrize("form", Format)
def test_every_format_names_service_and_code(world: World, form: Format) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()
    text = written(world.outcome(), form, world.settings()).replace("\\", "")
    assert WORKER in text
    assert "too-many-commits-behind" in text


def test_the_table_names_the_policy_that_is_not_the_built_in_one(world: World) -> None:
    """Its hash and file, and the variables that stood before it."""
    world.cloud.deploy(WORKER, commit=world.first)
    assert "policy" not in written(world.outcome(), Format.table, world.settings())
    world.toml += "\n[policy]\nmax_commits_behind = 7\n"
    settings = world.settings()
    text = written(world.outcome(), Format.table, settings)
    assert f"policy  {settings.services[WORKER].policy.digest} of {settings.file}" in text

"""Verdicts as a JUnit report, a test case for each service. Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from drift_gate.policy.verdict import Outcome, Verdict
from drift_gate.presentation.enforcement import why_not_enforced
from drift_gate.presentation.plain_text import plain


def report(outcome: Outcome) -> str:
    """A well-formed XML document, whatever is in a text.

    A denial of known drift is a failure, one of what is unknown an error; a denial that is not enforced, and
    a warning, pass and say why. What XML cannot hold is no printable character, and is replaced as such.
    """
    refused = [each for each in outcome.services if each.refuses]
    unknown = [each for each in refused if each.refuses_unknown]
    seconds = f"{outcome.elapsed_ms / 1000:.3f}"
    root = Element(
        "testsuites",
        name="deployment-drift",
        tests=str(len(outcome.services)),
        failures=str(len(refused) - len(unknown)),
        errors=str(len(unknown)),
        time=seconds,
    )
    suite = SubElement(root, "testsuite", root.attrib, skipped="0")
    suite.set("timestamp", f"{outcome.checked_at:%Y-%m-%dT%H:%M:%S}")
    for verdict in outcome.services:
        _add_case(suite, verdict)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _add_case(suite: Element, verdict: Verdict) -> None:
    case = SubElement(suite, "testcase", classname="deployment-drift", name=plain(verdict.service), time="0")
    lines = [plain(f"{each.decision} {each.code}: {each.message}") for each in verdict.reasons]
    if verdict.refuses:
        told = SubElement(case, "error" if verdict.refuses_unknown else "failure")
        told.set("type", verdict.reasons[0].code)
        told.set("message", plain(verdict.reasons[0].message))
    elif lines:
        told = SubElement(case, "system-out")
        if verdict.not_enforced_because:
            lines.insert(0, plain(f"not enforced: {why_not_enforced(verdict.not_enforced_because)}"))
    else:
        return
    told.text = "\n".join(lines)

"""What pip-audit answered, and what the audit makes of it: nothing that was not looked at is called clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import CLEAN, SKIPPED, VULNERABLE, judge, locked

ROOT = Path(__file__).parent.parent
SOUND = {"name": "anyio", "version": "4.16.0", "vulns": []}
ODD = {
    "name": "gitpython",
    "version": "3.1.30",
    "vulns": [
        {"id": "GHSA-wfm5-v35h-vwf4", "fix_versions": ["3.1.33"], "aliases": [], "description": "…"},
        {"id": "PYSEC-2099-1", "fix_versions": [], "aliases": [], "description": "…"},
    ],
}
UNKNOWN = {
    "name": "cffi",
    "skip_reason": "Dependency not found on PyPI and could not be audited: cffi (2.1.1)",
}


def output(*packages: Any) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


NONE_FOUND = "No known vulnerabilities found"
NO_WAY = "ERROR:pip_audit._cli:Could not connect"


@pytest.mark.parametrize(
    ("said", "errors", "code", "line"),
    [
        (output(SOUND), NONE_FOUND, CLEAN, "1 of 1 packages audited, no known vulnerability"),
        (
            output(UNKNOWN),
            NONE_FOUND,
            SKIPPED,
            "NOT RUN, none of 1 packages was looked up: the advisory service knows none, or was not reached",
        ),
        (
            output(SOUND, UNKNOWN),
            NONE_FOUND,
            SKIPPED,
            "only 1 of 2 packages could be audited: it does not know cffi; nothing is known against what was",
        ),
        (output(SOUND, ODD, UNKNOWN), "Found 2", VULNERABLE, "2 known vulnerabilities in 2 of 3 packages"),
        ("", f"Traceback\n{NO_WAY}", SKIPPED, f"NOT RUN, none of 0 packages was looked up: {NO_WAY}"),
        ('{"a": 1}', "", SKIPPED, "NOT RUN, none of 0 packages was looked up: pip-audit said nothing"),
        ("[]", "", SKIPPED, "NOT RUN, none of 0 packages was looked up: pip-audit said nothing"),
    ],
)
def test_each_answer_has_its_line_and_its_status(said: str, errors: str, code: int, line: str) -> None:
    packages = json.loads(said).get("dependencies", []) if said.startswith('{"dep') else []
    audit = judge(said, errors, len(packages))
    assert (audit.code, audit.line) == (code, f"audit: {line}")


def test_each_vulnerability_is_told_with_the_version_that_mends_it() -> None:
    assert judge(output(ODD), "", 1).details == (
        "gitpython 3.1.30: GHSA-wfm5-v35h-vwf4, mended in: 3.1.33",
        "gitpython 3.1.30: PYSEC-2099-1, mended in: none yet",
    )


def test_a_package_that_was_left_out_is_not_called_clean() -> None:
    """pip-audit lists fewer than are locked where a marker excludes some."""
    assert judge(output(SOUND), "", 2).code == SKIPPED


def test_the_locked_packages_are_counted() -> None:
    text = (
        "anyio==4.16.0 \\\n    --hash=sha256:00\n# via x==1\nuvicorn[standard]==0.1 ; python_version < '4'\n"
    )
    assert locked(text) == 2
    assert locked((ROOT / "requirements" / "run.txt").read_text()) > 40

"""Asks pip-audit about every locked requirement, and says how many it could be asked about.

    python scripts/audit.py [requirements/run.txt]

pip-audit itself prints "No known vulnerabilities found" where it knew none of the packages. Here the exit
status is 0 only when every package was audited and has none; 1 when one has; 3 when nothing is known
against what was audited and some or all of the packages could not be.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLEAN, VULNERABLE, SKIPPED = 0, 1, 3
#: Seconds for all of it; pip-audit asks once for each package.
PATIENCE_S = 240
#: How many packages that could not be audited are named.
NAMED = 5


@dataclass(frozen=True)
class Audit:
    """``line`` says what came of it, ``details`` each vulnerability; ``code`` is the exit status."""

    code: int
    line: str
    details: tuple[str, ...] = ()


def judge(output: str, errors: str, wanted: int) -> Audit:
    """What pip-audit's ``output`` (JSON) and its last words say about the ``wanted`` locked packages."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        words = errors.strip().splitlines()[-1:] or ["pip-audit said nothing"]
        return _skipped(0, wanted, words[0][:200])
    audited = [each for each in packages if "vulns" in each and "skip_reason" not in each]
    found = tuple(_told(each, one) for each in audited for one in each["vulns"])
    if found:
        what = "1 known vulnerability" if len(found) == 1 else f"{len(found)} known vulnerabilities"
        return Audit(VULNERABLE, f"audit: {what} in {len(audited)} of {wanted} packages", found)
    if not audited:
        return _skipped(0, wanted, "the advisory service knows none, or was not reached")
    left = sorted({str(each["name"]) for each in packages} - {str(each["name"]) for each in audited})
    missing = max(wanted - len(audited), len(left))
    if missing:
        more = f" and {missing - NAMED} more" if missing > NAMED else ""
        return _skipped(len(audited), wanted, f"it does not know {', '.join(left[:NAMED])}{more}")
    return Audit(CLEAN, f"audit: {len(audited)} of {wanted} packages audited, no known vulnerability")


def _skipped(audited: int, wanted: int, why: str) -> Audit:
    if not audited:
        return Audit(SKIPPED, f"audit: NOT RUN, none of {wanted} packages was looked up: {why}")
    line = f"audit: only {audited} of {wanted} packages could be audited: {why}"
    return Audit(SKIPPED, f"{line}; nothing is known against what was")


def _told(package: dict[str, Any], one: dict[str, Any]) -> str:
    mended = ", ".join(one.get("fix_versions") or ()) or "none yet"
    return f"{package['name']} {package['version']}: {one['id']}, mended in: {mended}"


def locked(text: str) -> int:
    """How many packages the requirements ``text`` pins."""
    return len(re.findall(r"^[A-Za-z0-9][\w.-]*(?:\[[^]]*\])?==", text, re.MULTILINE))


def run(requirements: Path) -> Audit:
    """The audit of a file of locked requirements."""
    wanted = locked(requirements.read_text(encoding="utf-8"))
    how = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
    command = [sys.executable, "-m", "pip_audit", *how, "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return _skipped(0, wanted, f"the advisory service did not answer within {PATIENCE_S} s")
    return judge(done.stdout, done.stderr, wanted)


def main(arguments: Sequence[str]) -> int:
    audit = run(Path(arguments[0] if arguments else "requirements/run.txt"))
    for detail in audit.details:
        print(detail)
    print(audit.line)
    return audit.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

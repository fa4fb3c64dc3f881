"""Live revisions to be asked, what they answer, and the finding where nothing was learned."""

from __future__ import annotations

import json
from typing import Any

from support.limits import ENOUGH_S
from support.web import Reply

from drift_gate.facts import Evidence, Finding, Live, LiveRevision
from drift_gate.fingerprint import digest
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.health.reader import Health

OLD, NEW = "prediction-worker-00041-abc", "prediction-worker-00042-def"
LABEL = Evidence(carrier="revision-label", key="commit-sha", value="a" * 40)
COMMIT = "4aa0c3b2d1d6434b8b29ae775ad8c2e48c539111"
JSON = {"Content-Type": "application/json"}


def live(url: str | None, *revisions: LiveRevision) -> Live:
    """A service at ``url``; one revision unless others are named."""
    default = (LiveRevision(revision=OLD, percent=100, evidence=(LABEL,)),)
    return Live(kind="service", project="p", region="r", url=url, revisions=revisions or default)


def ask(asked: Live, seconds: float = ENOUGH_S, **more: Any) -> Live:
    """What is known after the worker was asked, on this machine and without a token."""
    more = {"allow_loopback": True, "patience": seconds, **more}
    return Health(deadline=Deadline(seconds + 0.1), **more).with_evidence(asked)


def document(revision: str | None = OLD, **other: Any) -> dict[str, Any]:
    """A fingerprint of two files, as JSON values."""
    files = other.pop("files", {"predictions/worker/worker.py": "1" * 40, "shared/odds.py": "2" * 40})
    return {
        "schema_version": 1,
        "revision": revision,
        "commit": COMMIT,
        "dirty": False,
        "started_at": "2026-02-05T16:37:12.000Z",
        "digest": digest(files),
        "covers": ["predictions/worker/", "shared/odds.py"],
        "files": files,
        "error": None,
        **other,
    }


def reply(said: Any, **headers: str) -> Reply:
    return Reply(200, said if isinstance(said, bytes) else json.dumps(said).encode(), {**JSON, **headers})


def unreachable(told: Live) -> Finding:
    """The one finding; nothing else has changed."""
    [finding] = told.findings
    assert finding.code == "evidence-unreachable"
    assert finding.data["carrier"] == "fingerprint"
    assert all(each.content is None for each in told.revisions)
    assert len(finding.message) < 1000
    assert finding.message.isprintable()
    return finding

"""A Cloud Run Admin API on a loopback port, for tests that want the real client libraries to talk.

``FakeCloudRun`` serves the gRPC services of ``google.cloud.run.v2`` (Services, Revisions, WorkerPools, Jobs;
Get, List and Update, with their operations) out of plain messages in memory. It answers as the live API does
where that is a trap: an entry that follows the latest revision names no revision, entries name revisions by
their short names while ``latest_ready_revision`` holds full resource names, a pinned split outlives every
later deploy, a failed deploy leaves the old revision serving, an update with an old etag is refused.

    with FakeCloudRun(project="my-project", region="us-west2") as cloud:
        cloud.deploy("prediction-worker", commit="1f0c…")
        monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", cloud.host)
        ...

Where ``programs`` knows an image, a revision of it is a process: ready once that listens on ``PORT``,
reachable at its tag's URL, and at the service's by its share of the traffic.

``python -m drift_gate.testing.cloud_run --port 8765`` serves one from the command line, and changes it.
"""

from __future__ import annotations

from drift_gate.testing.cloud_run.deployed import CREATED_AT, NOT_READY_MESSAGE, Kind
from drift_gate.testing.cloud_run.instances import Program
from drift_gate.testing.cloud_run.server import FakeCloudRun

__all__ = ["CREATED_AT", "NOT_READY_MESSAGE", "FakeCloudRun", "Kind", "Program"]

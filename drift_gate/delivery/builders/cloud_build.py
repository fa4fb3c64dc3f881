"""Builds with Cloud Build, by ``gcloud builds submit`` (decision 0158)."""

from __future__ import annotations

import json
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from drift_gate.delivery.builders.local import Source
from drift_gate.delivery.builders.tool import Tool
from drift_gate.delivery.contracts import Export
from drift_gate.errors import BuildError
from drift_gate.runtime.deadline import Deadline

BRINGS = (
    "install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install), or choose another `builder`"
)

_STEP = "gcr.io/cloud-builders/docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudBuilder:
    """A ``contracts.Builder`` by Cloud Build in ``project``, which pushes as it builds.

    ``tool`` is ``gcloud``; its account and its region of builds are its own configuration's. ``image`` is the
    repository of images, without a tag.
    """

    image: str
    project: str
    tool: Tool
    source: Source = field(default_factory=Source)

    def build(self, export: Export, within: Deadline) -> str:
        """``IMAGE@sha256:…`` as Cloud Build pushed it. Raises ``BuildError``."""
        tagged = f"{self.image}:{export.commit}"
        with tempfile.TemporaryDirectory() as folder:
            archive, config = Path(folder) / "source.tgz", Path(folder) / "build.json"
            _pack(export, archive)
            seconds = int(within.require("Cloud Build"))
            config.write_text(json.dumps(self._asked(tagged, export.commit, seconds)), encoding="utf-8")
            options = (f"--config={config}", f"--project={self.project}", "--format=json", "--quiet")
            answer = self.tool.run(["builds", "submit", str(archive), *options], within)
        return f"{self.image}@{_digest(answer, tagged)}"

    def push(self, built: str, within: Deadline) -> str:
        """The same: it is pushed."""
        return built

    def _asked(self, tagged: str, commit: str, seconds: int) -> dict[str, Any]:
        """The build as Cloud Build reads it, where ``$`` would begin a substitution."""
        told = self.source.arguments(PurePosixPath(), tagged, commit)
        step = {
            "name": _STEP,
            "env": ["DOCKER_BUILDKIT=1"],
            "args": [word.replace("$", "$$") for word in told],
        }
        return {
            "steps": [step],
            "images": [tagged],
            "timeout": f"{seconds}s",
            # From a bucket of logs gcloud reads along, and gives up where it may not.
            "options": {"logging": "CLOUD_LOGGING_ONLY"},
        }


def _pack(export: Export, archive: Path) -> None:
    """An archive, and not the folder: of a folder gcloud leaves out what its ignore files name."""
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(export.folder, arcname=".")


def _digest(answer: str, tagged: str) -> str:
    try:
        [digest] = {
            each["digest"] for each in json.loads(answer)["results"]["images"] if each["name"] == tagged
        }
    except (ValueError, KeyError, TypeError) as error:
        raise BuildError(f"Cloud Build names no digest of {tagged}: its build pushed nothing") from error
    return str(digest)

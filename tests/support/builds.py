"""Builds of small images: the files of a commit, a registry, and buildah with a store of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from support.registries import PROGRAM, real

from drift_gate.delivery.builders import local
from drift_gate.delivery.builders.pushed import LABEL
from drift_gate.delivery.builders.tool import Tool
from drift_gate.delivery.contracts import Export
from drift_gate.evidence.image import Image, Reference
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Http
from drift_gate.sources.registry.oci import Cache, Oci
from drift_gate.testing import HistoryBuilder

#: The reason for which a test skips; "" where everything is here.
LACKING = " and ".join(
    name for name, found in (("buildah", shutil.which("buildah")), ("docker-registry", PROGRAM)) if not found
)


def ask(reference: Reference, within: Deadline) -> Image:
    """What the registry holds."""
    with Http(within) as http:
        return Oci(http, within, cache=Cache()).image(reference)


@dataclass
class Workshop:
    """``folder`` holds buildah's store; ``registry`` is where images go; ``said`` is what buildah printed."""

    folder: Path
    registry: str
    said: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """A store below ``folder``, for whoever is in a container already: no overlay, no new namespaces."""
        settings = self.folder / "storage.conf"
        kept = f'graphroot = "{self.folder}/graph"\nrunroot = "{self.folder}/run"\n'
        settings.write_text(f'[storage]\ndriver = "vfs"\n{kept}')
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CONTAINERS_STORAGE_CONF": str(settings),
            "BUILDAH_ISOLATION": "chroot",
        }

    def tool(self) -> Tool:
        return local.tool("buildah", self.environ, self.said.append)

    def commit_of(self, image: str) -> str:
        """The commit that the label of ``image`` names."""
        reference = Reference.of(image)
        assert reference is not None
        return ask(reference, Deadline(300)).labels[LABEL]

    def unpacked(self, image: str) -> Path:
        """The files of ``image``, out of the registry."""
        within = Deadline(300)
        container = self.tool().run(["from", "--tls-verify=false", f"docker://{image}"], within).strip()
        return Path(self.tool().run(["mount", container], within).strip())


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    """With a registry of its own, for as long as the block lasts."""
    for name in ("registry", "buildah"):
        (folder / name).mkdir(parents=True)
    with real(folder / "registry") as registry:
        yield Workshop(folder / "buildah", registry.host)


def export(history: HistoryBuilder, commit: str, folder: Path) -> Export:
    """The files of ``commit`` in ``folder``."""
    folder.mkdir()
    history.git("archive", f"--output={folder}.tar", commit)
    # By tar itself: Python 3.11.2, which is Debian 12's, has no filter for an archive.
    subprocess.run(["tar", "-xf", f"{folder}.tar", "-C", str(folder)], check=True)
    seconds = int(history.git("show", "--no-patch", "--format=%ct", commit))
    return Export(folder=folder, commit=commit, committed_at=datetime.fromtimestamp(seconds, UTC))

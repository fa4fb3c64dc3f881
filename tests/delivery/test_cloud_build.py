"""Builds through the real ``gcloud``, against a Cloud Build on this machine that builds with buildah."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builds import LACKING, Workshop, ask, export, workshop
from support.cloud_build import CloudBuild, cloud_build
from support.limits import ENOUGH_S

from drift_gate.delivery.builders.cloud_build import BRINGS, CloudBuilder
from drift_gate.delivery.builders.local import Source
from drift_gate.delivery.builders.pushed import LABEL
from drift_gate.delivery.builders.tool import Tool
from drift_gate.errors import BuildError
from drift_gate.evidence.image import Reference
from drift_gate.runtime.deadline import Deadline
from drift_gate.testing import HistoryBuilder

_WHY = LACKING or ("" if shutil.which("gcloud") else "gcloud")
pytestmark = pytest.mark.skipif(bool(_WHY), reason=f"images are built by {_WHY or 'what is here'}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def cloud(shop: Workshop, tmp_path: Path) -> Iterator[tuple[CloudBuild, CloudBuilder]]:
    """The server, and the builder that gcloud leads to it."""
    with cloud_build(shop, tmp_path) as (server, variables):
        tool = Tool(
            "gcloud",
            BRINGS,
            {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables},
            shop.said.append,
        )
        source = Source(dockerfile="docker/w.Dockerfile", context="src")
        yield server, CloudBuilder(image=f"{shop.registry}/cb", project="p", tool=tool, source=source)


def test_cloud_build_builds_all_files_of_the_commit(
    shop: Workshop, cloud: tuple[CloudBuild, CloudBuilder], tmp_path: Path
) -> None:
    """Also what an ignore file of gcloud's names: the commit has it, and the Dockerfile copies it."""
    server, builder = cloud
    history = HistoryBuilder(tmp_path / "repo")
    files = {
        "docker/w.Dockerfile": "FROM scratch\nCOPY worker /app/\n",
        "src/worker/app.py": "print(1)\n",
        "src/worker/$price.txt": "1\n",
        ".gcloudignore": "*.py\n",
    }
    commit = history.commit(files)
    within = Deadline(ENOUGH_S)
    image = builder.push(builder.build(export(history, commit, tmp_path / "files"), within), within)
    tag = Reference.of(f"{shop.registry}/cb:{commit}")
    assert tag is not None
    held = ask(tag, within)
    assert (image, held.labels[LABEL]) == (f"{shop.registry}/cb@{held.digest}", commit)
    root = shop.unpacked(image)
    assert sorted(each.name for each in (root / "app").iterdir()) == ["$price.txt", "app.py"]
    assert server.asked["steps"][0]["env"] == ["DOCKER_BUILDKIT=1"]
    assert 0 < int(server.asked["timeout"].removesuffix("s")) <= ENOUGH_S


@pytest.mark.heavy
def test_a_build_that_fails_says_where_its_log_is(
    cloud: tuple[CloudBuild, CloudBuilder], tmp_path: Path
) -> None:
    _, builder = cloud
    history = HistoryBuilder(tmp_path / "repo")
    commit = history.commit({"docker/w.Dockerfile": "FROM scratch\nCOPY nothing /app/\n", "src/a": ""})
    with pytest.raises(BuildError, match=r"(?s)`gcloud builds` ended with 1:.*https://console\.example/1"):
        builder.build(export(history, commit, tmp_path / "files"), Deadline(ENOUGH_S))

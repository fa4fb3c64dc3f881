"""The builder that the settings name, with what they say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drift_gate.delivery.builders.cloud_build import CloudBuilder
from drift_gate.delivery.builders.image import ImageBuilder
from drift_gate.delivery.builders.local import LocalBuilder
from drift_gate.settings.file import load
from drift_gate.wiring.builders import builder_of

TOML = """
[defaults]
project = "example-project"
region = "us-west2"

[deploy]
builder = "BUILDER"
image = "us-west2-docker.pkg.dev/example-project/images/{service}"

[services.worker]
dockerfile = "docker/worker.Dockerfile"
build_contexts = {shared = "packages/shared"}
"""


@pytest.mark.parametrize("name", ["buildah", "docker", "cloud-build", "image"])
def test_each_name_is_a_builder(name: str, tmp_path: Path) -> None:
    (tmp_path / "drift.toml").write_text(TOML.replace("BUILDER", name))
    settings = load(tmp_path, {})
    made = builder_of("worker", settings.service("worker"), settings, lambda line: None)
    assert isinstance(made, LocalBuilder | CloudBuilder | ImageBuilder)
    assert made.image == "us-west2-docker.pkg.dev/example-project/images/worker"
    if not isinstance(made, ImageBuilder):
        assert made.tool.name == {"cloud-build": "gcloud"}.get(name, name)
        assert made.source.dockerfile == "docker/worker.Dockerfile"
        assert made.source.build_contexts == {"shared": "packages/shared"}
        assert made.source.context == ""

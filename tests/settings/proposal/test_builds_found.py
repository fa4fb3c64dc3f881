"""Which images a repository builds, and out of what: as people write it."""

from __future__ import annotations

import pytest

from drift_gate.settings.proposal import builds

PATHS = frozenset({"Dockerfile", "api/Dockerfile", "api/x.py", "docker/web.Dockerfile", "server/main.py"})


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("b.sh", "docker build -t gcr.io/p/api:1 api\n", ("gcr.io/p/api:1", "api", "api/Dockerfile")),
        (
            "b.sh",
            "docker buildx build --push -f docker/web.Dockerfile --tag=web .\n",
            ("web", ".", "docker/web.Dockerfile"),
        ),
        (
            "b.sh",
            "ID=$(gcloud builds submit --project p --tag gcr.io/p/api ./api)\n",
            ("gcr.io/p/api", "api", "api/Dockerfile"),
        ),
        ("api/b.sh", "docker build -t api .\n", ("api", "api", "api/Dockerfile")),
        (
            "scripts/b.sh",
            "IMAGE=gcr.io/p/all\ndocker build . -t $IMAGE\n",
            ("gcr.io/p/all", ".", "Dockerfile"),
        ),
        (
            "cloudbuild.yaml",
            "steps:\n- name: gcr.io/cloud-builders/docker\n  dir: api\n  args: [build, '--tag=api', .]\n",
            ("api", "api", "api/Dockerfile"),
        ),
        (
            "cloudbuild.yaml",
            "steps:\n- name: gcr.io/kaniko-project/executor\n  args:\n  - --destination=gcr.io/p/web\n"
            "  - --dockerfile=docker/web.Dockerfile\n  - --context=dir://.\n",
            ("gcr.io/p/web", ".", "docker/web.Dockerfile"),
        ),
        (
            "cloudbuild.yaml",
            "steps:\n- name: pack\n  args:\n  - build\n  - gcr.io/p/server\n  - --path=server/\n",
            ("gcr.io/p/server", "server", None),
        ),
        (
            ".github/workflows/b.yml",
            "    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          context: .\n"
            "          file: docker/web.Dockerfile\n          tags: gcr.io/p/web:${{ github.sha }}\n",
            ("gcr.io/p/web:${{ github.sha }}", ".", "docker/web.Dockerfile"),
        ),
    ],
)
def test_a_build(path: str, text: str, expected: tuple[str, str, str | None]) -> None:
    [found] = builds.found({path: text}, PATHS)
    assert (found.image, found.context, found.dockerfile) == expected


@pytest.mark.parametrize(
    ("path", "text", "stage"),
    [
        ("b.sh", "docker build -t api --target prod api\n", "prod"),
        ("b.sh", "S=prod\ndocker build -t api --target=$S api\n", "prod"),
        ("b.sh", "docker build -t api --target $1 api\n", None),
        ("b.sh", "docker build -t api api\n", None),
        (
            ".github/workflows/b.yml",
            "    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          context: .\n"
            "          target: prod\n          tags: gcr.io/p/web:1\n",
            "prod",
        ),
    ],
)
def test_the_stage_that_is_built(path: str, text: str, stage: str | None) -> None:
    [found] = builds.found({path: text}, PATHS)
    assert found.stage == stage


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("b.sh", "docker build -t web $DIR\n"),
        ("b.sh", "docker build api\n"),
        ("b.sh", "docker build -t x nowhere\n"),
        ("README.md", "cd api && docker build -t api .\n"),
        ("b.sh", "cd api\ndocker build -t api .\n"),
        ("b.yml", "- run: docker build -t api .\n  working-directory: api\n"),
    ],
)
def test_no_build_that_anything_can_be_said_about(path: str, text: str) -> None:
    """A folder that is computed, changed or not there, an image without a name; and what prose says."""
    assert builds.found({path: text}, PATHS) == ()


def test_what_dockerfiles_are_called() -> None:
    """By their own name, their folder, or as the whole; those for tests come last, a vendor's not at all."""
    paths = {
        "Dockerfile",
        "docker/worker.Dockerfile",
        "Dockerfile.dev",
        "services/api/Dockerfile",
        "node_modules/x/Dockerfile",
        "docs/Dockerfile.md.txt",
    }
    found = builds.dockerfiles(paths, "acme")
    assert {each.path: (each.names[0], each.aside, each.contexts[0]) for each in found} == {
        "Dockerfile": ("acme", False, "."),
        "docker/worker.Dockerfile": ("worker", False, "."),
        "services/api/Dockerfile": ("api", False, "services/api"),
        "Dockerfile.dev": ("dev", True, "."),
    }
    assert found[-1].aside

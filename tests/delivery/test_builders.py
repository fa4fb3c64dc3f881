"""Images by real builders into a real registry, and what is told where one cannot be made."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builds import LACKING, Workshop, ask, export, workshop
from support.limits import ENOUGH_S, OVER_S
from support.processes import left_running

from drift_gate.delivery.builders import local
from drift_gate.delivery.builders.image import ImageBuilder
from drift_gate.delivery.builders.local import LocalBuilder, Source
from drift_gate.delivery.builders.pushed import LABEL, by_digest
from drift_gate.delivery.builders.tool import Tool
from drift_gate.delivery.contracts import Export
from drift_gate.errors import BuildError, SourceError
from drift_gate.evidence.image import Image, Reference
from drift_gate.runtime.deadline import Deadline
from drift_gate.testing import FakeRegistry, HistoryBuilder
from drift_gate.testing.registry import over_http, push_image

REAL = pytest.mark.skipif(bool(LACKING), reason=f"images are built by {LACKING or 'what is here'}")
A, B = "a" * 40, "b" * 40
DOCKERFILE = """
FROM scratch
ARG COMMIT=unknown
COPY --from=more words.txt /more.txt
COPY worker /app/
ENV IMAGE_COMMIT=$COMMIT
"""
#: A stage that is no part of the image.
LATER = """
FROM scratch
COPY nothing.txt /
"""


def within(seconds: float = ENOUGH_S) -> Deadline:
    return Deadline(seconds)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def history(tmp_path: Path) -> HistoryBuilder:
    return HistoryBuilder(tmp_path / "repo")


def exported(history: HistoryBuilder, folder: Path, dockerfile: str = DOCKERFILE) -> Export:
    files = {
        "docker/w.Dockerfile": dockerfile,
        "src/worker/app.py": "print(1)\n",
        "texts/words.txt": "more\n",
    }
    return export(history, history.commit(files), folder)


@REAL
def test_buildah_builds_and_pushes_the_files_of_the_commit(
    shop: Workshop, history: HistoryBuilder, tmp_path: Path
) -> None:
    """By digest as the registry has it, tagged and labelled with the commit; a repeat is the same."""
    staged = DOCKERFILE.replace("FROM scratch", "FROM scratch AS prod") + LATER
    files = exported(history, tmp_path / "files", staged)
    source = Source(
        dockerfile="docker/w.Dockerfile", context="src", target="prod", build_contexts={"more": "texts"}
    )
    builder = LocalBuilder(image=f"{shop.registry}/w", tool=shop.tool(), ask=ask, source=source)
    built = builder.build(files, within())
    image = builder.push(built, within())
    tag = Reference.of(f"{shop.registry}/w:{files.commit}")
    assert tag is not None
    held = ask(tag, within())
    assert image == f"{shop.registry}/w@{held.digest}"
    assert held.labels[LABEL] == files.commit
    root = shop.unpacked(image)
    assert (root / "app/app.py").read_text() == "print(1)\n"
    assert (root / "more.txt").read_text() == "more\n"
    assert any("COPY worker /app/" in line for line in shop.said)
    assert builder.push(built, within()) == image
    named = ImageBuilder(image=f"{shop.registry}/w:{{commit}}", ask=ask)
    assert named.push(named.build(files, within()), within()) == image


@REAL
def test_a_build_that_fails_says_what_the_tool_said(
    shop: Workshop, history: HistoryBuilder, tmp_path: Path
) -> None:
    files = exported(history, tmp_path / "files", "FROM scratch\nCOPY nothing /app/\n")
    builder = LocalBuilder(
        image=f"{shop.registry}/w", tool=shop.tool(), ask=ask, source=Source(dockerfile="docker/w.Dockerfile")
    )
    with pytest.raises(BuildError, match=r"(?s)`buildah build` ended with [0-9]+:.*nothing") as caught:
        builder.build(files, within())
    assert len(str(caught.value).splitlines()) <= 13


#: docker's words, as buildah understands them; what it is called with, and its variables, are noted.
DOCKER = """#!/bin/sh
printf '%s\\n' "$DOCKER_BUILDKIT $BUILDX_NO_DEFAULT_ATTESTATIONS $*" >>"$HOME/called"
case "$1" in
push) shift; exec buildah push --tls-verify=false "$1" "docker://$1" ;;
*) exec buildah "$@" ;;
esac
"""


@REAL
def test_docker_is_told_what_docker_takes(shop: Workshop, history: HistoryBuilder, tmp_path: Path) -> None:
    """By a `docker` that hands its words on to buildah, since no daemon runs here."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    tool = local.tool("docker", {**shop.environ, "PATH": path, "HOME": str(tmp_path)}, shop.said.append)
    files = exported(history, tmp_path / "files")
    source = Source(dockerfile="docker/w.Dockerfile", context="src", build_contexts={"more": "texts"})
    builder = LocalBuilder(image=f"{shop.registry}/d", tool=tool, ask=ask, source=source)
    image = builder.push(builder.build(files, within()), within())
    assert image.startswith(f"{shop.registry}/d@sha256:")
    built, pushed = (tmp_path / "called").read_text().splitlines()
    assert built.startswith("1 1 build --file ")
    assert pushed == f"1 1 push {shop.registry}/d:{files.commit}"


@pytest.mark.skipif(not shutil.which("docker"), reason="the docker client is not here")
def test_the_docker_client_knows_each_option(tmp_path: Path) -> None:
    """Without BuildKit, which knows more of them than the client alone: `--build-context` is buildx's."""
    told = Source(target="prod").arguments(tmp_path, "w:1", A)
    options = {word for word in told if word.startswith("--")}
    help_text = subprocess.run(
        ["docker", "build", "--help"],
        env={"PATH": os.environ["PATH"], "DOCKER_BUILDKIT": "0", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert options == {"--file", "--tag", "--platform", "--label", "--build-arg", "--target"}
    assert all(f"{option} " in help_text for option in options)


class TestImage:
    """What something else has built, by a registry of this package."""

    def built(self, host: str, labels: dict[str, str], tag: str = A) -> str:
        return push_image(over_http(host), "w", tag=tag, labels=labels)

    def by(self, host: str, image: str = "w:{commit}") -> str:
        builder = ImageBuilder(image=f"{host}/{image}", ask=ask)
        files = Export(folder=Path(), commit=A, committed_at=None)  # type: ignore[arg-type] # not looked at
        return builder.push(builder.build(files, within()), within())

    def test_it_is_taken_by_the_digest_of_its_tag(self) -> None:
        with FakeRegistry() as registry:
            pushed = self.built(registry.host, {LABEL: A})
            assert self.by(registry.host) == f"{registry.host}/w@{pushed.rpartition('@')[2]}"

    def test_one_without_a_label_is_taken(self) -> None:
        with FakeRegistry() as registry:
            self.built(registry.host, {})
            assert "@sha256:" in self.by(registry.host)

    def test_one_of_another_commit_is_not(self) -> None:
        with FakeRegistry() as registry:
            self.built(registry.host, {LABEL: B})
            with pytest.raises(BuildError, match=f"built from {B}, not from {A}"):
                self.by(registry.host)

    def test_one_that_is_not_there(self) -> None:
        with FakeRegistry() as registry, pytest.raises(BuildError, match="the registry has no image"):
            self.by(registry.host)

    def test_what_is_no_name_of_an_image(self) -> None:
        with pytest.raises(BuildError, match="is no name of an image"):
            self.by("127.0.0.1:1", "W:{commit}")

    def test_a_registry_that_does_not_answer_may_answer_later(self) -> None:
        def nobody(reference: Reference, within: Deadline) -> Image:
            raise SourceError(f"{reference.host} does not answer", "unavailable", True)

        with pytest.raises(SourceError) as caught:
            by_digest("127.0.0.1:9/w:1", A, nobody, within())
        assert caught.value.retryable


class TestTool:
    def tool(self, name: str, said: list[str]) -> Tool:
        return Tool(name, "apt install it", {"PATH": os.environ["PATH"]}, said.append)

    def test_lines_are_told_and_stdout_is_the_answer(self) -> None:
        said: list[str] = []
        answer = self.tool("sh", said).run(["-c", "echo to you; echo beside >&2"], within())
        assert answer == "to you\n"
        assert sorted(said) == ["beside", "to you"]

    def test_one_that_is_not_there_says_what_brings_it(self) -> None:
        with pytest.raises(BuildError, match="no `no-such-tool` here: apt install it"):
            self.tool("no-such-tool", []).run([], within())

    def test_one_that_says_nothing(self) -> None:
        with pytest.raises(BuildError, match=r"`sh -c` ended with 3: it said nothing"):
            self.tool("sh", []).run(["-c", "exit 3"], within())

    def test_what_lasts_too_long_is_ended_with_all_that_it_started(self) -> None:
        mark = f"600{os.getpid()}"
        with pytest.raises(SourceError) as caught:
            self.tool("sh", []).run(["-c", f"sleep {mark} & wait"], within(OVER_S))
        assert (caught.value.cause, caught.value.retryable) == ("timeout", True)
        assert left_running(f"sleep {mark}") == []

    def test_no_control_character_reaches_a_terminal(self) -> None:
        said: list[str] = []
        self.tool("printf", said).run([r"\033[2Jgone\n"], within())
        assert "\x1b" not in said[0]

"""Builds on this machine, with buildah, which needs no daemon, or with docker and its BuildKit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from drift_gate.delivery.builders.pushed import LABEL, Ask, by_digest, reference_of
from drift_gate.delivery.builders.tool import Tool
from drift_gate.delivery.contracts import Export
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.network import is_loopback

#: The platform that Cloud Run runs: https://cloud.google.com/run/docs/container-contract#languages
PLATFORM = "linux/amd64"
#: How a person gets each of the tools, and its variables. Of docker: BuildKit, and a plain image, which with
#: its attestation would be an index of two.
_BRINGS = {
    "buildah": "install buildah (Debian: apt install buildah), or choose another `builder`",
    "docker": "install Docker (https://docs.docker.com/engine/install/), or choose another `builder`",
}
_VARIABLES = {"docker": {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}}


def tool(name: str, environ: Mapping[str, str], say: Callable[[str], object]) -> Tool:
    """``buildah`` or ``docker`` with ``environ``; ``say`` takes each line that it prints."""
    return Tool(name, _BRINGS[name], {**environ, **_VARIABLES.get(name, {})}, say)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a build reads: paths inside the files of the commit, ``context`` "" for all of them.

    ``target`` is the stage that is built; None: the last one.
    ``build_contexts`` are further contexts by name: a path there, or an address or image that has a ``://``.
    """

    dockerfile: str = "Dockerfile"
    context: str = ""
    target: str | None = None
    build_contexts: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, folder: PurePath, tagged: str, commit: str) -> Iterator[str]:
        """What ``buildah`` and ``docker`` are told alike, for the files of ``commit`` in ``folder``.

        ``COMMIT`` is the build argument by which a Dockerfile may keep it, as this package's own do.
        """
        yield from ("build", "--file", str(folder / self.dockerfile), "--tag", tagged)
        yield from ("--platform", PLATFORM, "--label", f"{LABEL}={commit}", "--build-arg", f"COMMIT={commit}")
        if self.target is not None:
            yield from ("--target", self.target)
        for name, path in self.build_contexts.items():
            yield from ("--build-context", f"{name}={path if '://' in path else folder / path}")
        yield str(folder / self.context)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBuilder:
    """A ``contracts.Builder`` by ``tool``, as the function of that name makes it.

    Where images are kept meanwhile, and how it is logged in to the registry, are the tool's own affair.
    ``image`` is the repository of images, without a tag; ``ask`` asks its registry.
    """

    image: str
    tool: Tool
    ask: Ask
    source: Source = field(default_factory=Source)

    def build(self, export: Export, within: Deadline) -> str:
        """The image's name with the commit as its tag. Raises ``BuildError``."""
        tagged = f"{self.image}:{export.commit}"
        self.tool.run([*self.source.arguments(export.folder, tagged, export.commit)], within)
        return tagged

    def push(self, built: str, within: Deadline) -> str:
        """``IMAGE@sha256:…``."""
        self.tool.run(_PUSH[self.tool.name](built), within)
        return by_digest(built, built.rpartition(":")[2], self.ask, within)


def _by_buildah(tagged: str) -> list[str]:
    """A registry on this machine needs no certificate, as with docker."""
    plain = is_loopback(reference_of(tagged).host.partition(":")[0])
    return ["push", *(["--tls-verify=false"] if plain else []), tagged, f"docker://{tagged}"]


def _by_docker(tagged: str) -> list[str]:
    return ["push", tagged]


_PUSH = {"buildah": _by_buildah, "docker": _by_docker}

"""Where a repository builds images, and from what: Dockerfiles, and the commands that use them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from drift_gate.settings.proposal import words
from drift_gate.settings.proposal.repository import apart

_NAMED = re.compile(
    r"(?i)(?:dockerfile|containerfile)(?:[.-](?!(?:dockerignore|md|txt|j2|tmpl|template|bak|orig)$)([\w-]+))?"
    r"|([\w.-]+)\.(?:dockerfile|containerfile)"
)
#: Images that no production runs, by a word of the Dockerfile's name or folder.
_ASIDE = frozenset(
    {"dev", "devcontainer", "development", "test", "tests", "testing", "ci", "local", "e2e", "lint"}
)
#: Folders that hold Dockerfiles and no code: what they are called names nothing.
_SHELVES = frozenset(
    {"docker", "dockerfiles", "build", "deploy", "deployment", "containers", "images", "infra", "ops"}
)
_BUILD = re.compile(r"\b(?:docker(?:[ \t]+buildx)?|buildah|podman)[ \t]+(?:build|bud)\b")
_SUBMIT = re.compile(r"\bgcloud(?:[ \t]+(?:alpha|beta))?[ \t]+builds[ \t]+submit\b")
_ACTION = re.compile(r"^([ \t]*(?:-[ \t]+)?)uses:[ \t]*['\"]?docker/build-push-action@", re.MULTILINE)
_SWITCHES = frozenset({"--push", "--load", "--pull", "--no-cache", "--quiet", "-q", "--rm", "--async"})


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile at ``path``. ``names`` are what it may be called by, the surest first.

    ``aside``: it is one for tests or for people's own machines, by its name.
    """

    path: str
    names: tuple[str, ...]
    aside: bool

    @property
    def contexts(self) -> tuple[str, ...]:
        """The folders that it may be built from, the likeliest first."""
        folder = posixpath.dirname(self.path) or "."
        plain = re.fullmatch(r"(?i)dockerfile|containerfile", posixpath.basename(self.path))
        shelf = posixpath.basename(folder) in _SHELVES
        order = (folder, ".") if plain and not shelf else (".", folder)
        return tuple(dict.fromkeys(order))


@dataclass(frozen=True, slots=True)
class Build:
    """A command that makes ``image`` at ``path`` and ``line``, out of the folder ``context``.

    ``dockerfile`` None: without one, as buildpacks do. ``stage`` None: of the last stage.
    """

    path: str
    line: int
    image: str
    context: str
    dockerfile: str | None
    stage: str | None = None

    @property
    def where(self) -> str:
        """File and line, as compilers write them."""
        return f"{self.path}:{self.line}"


def dockerfiles(paths: Iterable[str], repository: str) -> tuple[Dockerfile, ...]:
    """Those among ``paths``, the highest first; ``repository`` is what the whole is called."""
    found = [each for path in paths if not apart(path) and (each := _dockerfile(path, repository))]
    return tuple(sorted(found, key=lambda each: (each.aside, each.path.count("/"), each.path)))


def _dockerfile(path: str, repository: str) -> Dockerfile | None:
    match = _NAMED.fullmatch(posixpath.basename(path))
    if match is None:
        return None
    own = match[1] or match[2]
    folders = path.split("/")[:-1]
    names = [own] if own else []
    below = [folder for folder in folders if folder not in _SHELVES]
    if below and (not own or folders[-1] not in _SHELVES):
        names += ["-".join(below[-count:]) for count in range(1, len(below) + 1)]
    if not folders and not own:
        names.append(repository)
    told = {part for name in (*folders, own or "") for part in re.split(r"[._-]", name.lower())}
    return Dockerfile(path, tuple(dict.fromkeys(names)), bool(told & _ASIDE))


def found(texts: Mapping[str, str], paths: frozenset[str]) -> tuple[Build, ...]:
    """Every build in ``texts`` that names its image, and whose folder or Dockerfile is among ``paths``.

    Not those that a page describes: in which folder somebody is then, it says in prose.
    """
    told = ((path, text) for path, text in sorted(texts.items()) if not path.endswith(".md"))
    every = (each for path, text in told for each in _of_text(path, text, paths))
    return tuple(each for each in every if each is not None)


def _of_text(path: str, text: str, paths: frozenset[str]) -> Iterator[Build | None]:
    known = words.variables(text)

    moves = words.moves(text)

    def built(offset: int, told: Iterable[str], folder: str | None = None) -> Build | None:
        plain, options = words.options([words.filled(each, known) for each in told], _SWITCHES)
        named = options.get("--dockerfile", options.get("-f", options.get("--file")))
        image = options.get("-t") or options.get("--tag") or options.get("--destination")
        context = options.get("--context", options.get("--path", plain[-1] if plain else "."))
        if "--path" in options:  # pack: the image stands bare, and there is no Dockerfile
            return _build(
                path, words.line_of(text, offset), plain[-1] if plain else None, context, None, paths
            )
        if folder is None and moves and posixpath.normpath(context) == ".":
            return None
        context = posixpath.join(folder or "", context.removeprefix("dir://"))
        line, stage = words.line_of(text, offset), options.get("--target")
        return _build(path, line, image, context, named or "", paths, stage)

    for match in (*_BUILD.finditer(text), *_SUBMIT.finditer(text)):
        yield built(match.start(), words.of_command(text, match.end()))
    if path.endswith((".yml", ".yaml")):
        for listed in words.lists(text):
            if "build" in listed.words[:1] or any(each.startswith("--destination") for each in listed.words):
                rest = [each for each in listed.words if each != "build"]
                yield built(listed.start, rest, words.keys(listed.step).get("dir", ""))
        for match in _ACTION.finditer(text):
            step = words.keys(words.step_around(text, match.start(), len(match[1].expandtabs())))
            told = {key: words.filled(value, known) for key, value in step.items()}
            image, context = told.get("tags"), told.get("context", ".")
            line = words.line_of(text, match.start())
            file = _beside(told.get("file"), context)
            yield _build(path, line, image, context, file, paths, told.get("target"))


def _beside(file: str | None, context: str) -> str:
    """The Dockerfile as a path below the context, which is how the other commands without one mean it."""
    return "" if file is None else posixpath.relpath(file, context) if "$" not in context else file


def _build(
    path: str,
    line: int,
    image: str | None,
    context: str,
    named: str | None,
    paths: frozenset[str],
    stage: str | None = None,
) -> Build | None:
    """The build, with its folder sought from that of ``path`` upwards; None where it is not there."""
    if not image or words.settled(context) is None:
        return None
    folder = posixpath.dirname(path)
    while True:
        inside = posixpath.normpath(posixpath.join(folder, context))
        if named is None:
            if any(each.startswith(f"{inside}/") or inside == "." for each in paths):
                return Build(path, line, image, inside, None)
        else:
            for file in dict.fromkeys(_dockerfile_paths(folder, inside, named)):
                if file in paths:
                    return Build(path, line, image, inside, file, words.settled(stage) if stage else None)
        if not folder:
            return None
        folder = posixpath.dirname(folder)


def _dockerfile_paths(folder: str, context: str, named: str) -> Iterator[str]:
    """Where a command that runs in ``folder`` may mean its Dockerfile to be; "" means the usual name."""
    if named:
        yield posixpath.normpath(posixpath.join(folder, named))
    yield posixpath.normpath(posixpath.join(context, named or "Dockerfile"))

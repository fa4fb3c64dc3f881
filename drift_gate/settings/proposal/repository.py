"""What a repository says of itself: its paths, and the texts that may tell how it is built and deployed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from drift_gate.facts import Entry, History
from drift_gate.relevance.lookup import Relevance
from drift_gate.relevance.memory import Memory
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import LINK, SUBMODULE
from drift_gate.relevance.union import Union

#: Files whose text may build or deploy something.
_TELLING = re.compile(
    r"(?i)(?:.*\.(?:ya?ml|tf|tfvars|sh|bash|mk|md)|(?:gnu)?makefile|justfile|jenkinsfile|taskfile|procfile)"
)
#: Folders of what is somebody else's, or is there to be tested with.
_APART = frozenset(
    {"node_modules", "vendor", "third_party", "site-packages", ".terraform", ".devcontainer", "fixtures"}
)
_PROGRAM = "100755"
#: Findings of an image that is built from another folder than was thought, or that lacks something.
_LACKING = ("copy-not-in-git", "image-incomplete")
#: Texts that are read at most, and characters of each: workflows and scripts are short.
MOST_TEXTS, TEXT_LIMIT = 3_000, 200_000


@dataclass(frozen=True, slots=True)
class Source:
    """A repository at a commit: its ``paths``, and by path the ``texts`` that may build or deploy it."""

    paths: frozenset[str]
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counted:
    """What one way to declare a service comes to.

    ``files`` count, ``entries`` are where it starts. ``missing``: how many sources of its Dockerfile and
    modules of the image are not there. ``doubt`` is why what counts cannot be trusted or narrowed down, ""
    where it can.
    """

    files: int
    entries: tuple[str, ...] = ()
    missing: int = 0
    doubt: str = ""


def apart(path: str) -> bool:
    """Whether ``path`` lies among what is no part of the repository's own services."""
    return not _APART.isdisjoint(path.split("/")[:-1])


def look(history: History, memory: Memory, commit: str) -> Source:
    """The repository at ``commit``. Raises ``SourceError``."""
    files = history.files([commit])[commit]
    wanted = [path for path in sorted(files, key=_depth) if _telling(path, files[path])][:MOST_TEXTS]
    contents = history.contents({files[path].blob for path in wanted})
    found = {path: contents.get(files[path].blob, b"") for path in wanted}
    texts = {
        path: content.decode("utf-8", "replace")
        for path, content in found.items()
        if len(content) <= TEXT_LIMIT and b"\0" not in content
    }
    return Source(frozenset(files), texts)


def own(history: History, memory: Memory, ids: Collection[str]) -> frozenset[str]:
    """Those of ``ids`` that name a commit of the history. Raises ``SourceError``."""
    answers = history.resolve(set(ids)) if ids else {}
    return frozenset(asked for asked, answer in answers.items() if isinstance(answer, str))


def counted(history: History, memory: Memory, ways: Sequence[Rules], commit: str) -> list[Counted]:
    """What each of the ``ways`` to declare a service comes to at ``commit``. Raises ``SourceError``."""
    relevance = Relevance(history, memory)
    relevance.prepare([(rules, commit) for rules in ways])
    found = []
    for rules in ways:
        selected = relevance.of(rules, commit)
        union = Union(rules, (selected,))
        doubts = [str(each.data["why"]) for each in selected.findings if each.code == "computed-import"]
        found.append(
            Counted(
                files=sum(map(union.relevant, relevance.files(commit))),
                entries=selected.entries,
                missing=sum(each.code in _LACKING for each in selected.findings),
                doubt=selected.nothing or next(iter(doubts), ""),
            )
        )
    return found


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _telling(path: str, entry: Entry) -> bool:
    name = posixpath.basename(path)
    program = entry.mode == _PROGRAM and "." not in name
    plain = entry.mode not in (LINK, SUBMODULE)
    return plain and not apart(path) and (program or _TELLING.fullmatch(name) is not None)

"""The Cloud Run resources of Terraform: blocks by their braces, attributes by their lines."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drift_gate.facts import Kind

RESOURCE = re.compile(
    r"^[ \t]*resource[ \t]+\"google_cloud_run(_v2)?_(service|job|worker_pool)\"[ \t]+\"([\w-]+)\"[ \t]*\{",
    re.MULTILINE,
)
_VARIABLE = re.compile(r"^[ \t]*variable[ \t]+\"([\w-]+)\"[ \t]*\{", re.MULTILINE)
_LOCALS = re.compile(r"^[ \t]*locals[ \t]*\{", re.MULTILINE)
_TEMPLATE = re.compile(r"^[ \t]*template[ \t]*\{", re.MULTILINE)
_LABELS = re.compile(r"^[ \t]*labels[ \t]*=[ \t]*(\{[^}]*\}|\S.*)", re.MULTILINE)
_USED = re.compile(r"\$\{[ \t]*((?:var|local)\.[\w-]+|data\.[\w.-]+)[ \t]*\}")
_DATA = re.compile(r"^[ \t]*data[ \t]+\"(\w+)\"[ \t]+\"([\w-]+)\"[ \t]*\{", re.MULTILINE)
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Resource:
    """A workload that Terraform declares; what it does not write down is None.

    ``label`` is Terraform's own name for it, ``labels`` what its template's labels say, ``line`` that of the
    template, and ``addition`` what makes the template name the commit.
    """

    path: str
    line: int
    kind: Kind
    label: str
    addition: str
    name: str | None
    image: str | None
    project: str | None
    region: str | None
    labels: str


def resources(texts: Mapping[str, str]) -> Iterator[Resource]:
    """The Cloud Run workloads in the ``.tf`` files of ``texts``."""
    for path, text in sorted(texts.items()):
        if path.endswith(".tf"):
            folder = posixpath.dirname(path)
            beside = [
                each for at, each in texts.items() if at.endswith(".tf") and posixpath.dirname(at) == folder
            ]
            known = _values(beside)
            for match in RESOURCE.finditer(text):
                yield _read(path, text, match, known)


def _read(path: str, text: str, match: re.Match[str], known: Mapping[str, str]) -> Resource:
    block = _block(text, match.end())
    at = _TEMPLATE.search(block)
    template = _block(block, at.end()) if at else ""
    labels = _LABELS.search(template)
    within = at.start() if at else 0
    if labels is not None:
        addition = "commit-sha = var.commit in these labels"
        within = at.end() + labels.start() if at else 0
    elif match[1]:
        addition = "labels = { commit-sha = var.commit }"
    else:
        addition = "metadata { labels = { commit-sha = var.commit } }"
    kinds: Mapping[str, Kind] = {"job": "job", "worker_pool": "worker-pool"}
    start = match.end() + within
    start += len(text[start:]) - len(text[start:].lstrip())
    return Resource(
        path,
        text.count("\n", 0, start) + 1,
        kinds.get(match[2], "service"),
        match[3],
        addition,
        name=_literal(_attribute(block, "name"), known),
        image=_filled(_attribute(template, "image"), known),
        project=_literal(_attribute(block, "project"), known),
        region=_literal(_attribute(block, "location"), known),
        labels=labels[1] if labels else "",
    )


def _block(text: str, start: int) -> str:
    """What stands between the brace before ``start`` and the one that closes it."""
    depth = 1
    for match in re.finditer(r"\"(?:\\.|[^\"\\\n])*\"?|#[^\n]*|[{}]", text[start:]):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return text[start : start + match.start()]
    return text[start:]


def _attribute(block: str, name: str) -> str | None:
    """The first value of ``name`` in a block, as it is written."""
    match = re.search(rf"^[ \t]*{name}[ \t]*=[ \t]*(\S.*?)[ \t]*(?:#.*)?$", block, re.MULTILINE)
    return match[1] if match else None


def _values(texts: list[str]) -> dict[str, str]:
    """The variables' defaults, the locals and the data's names of a folder, as expressions name them."""
    found: dict[str, str] = {}
    for text in texts:
        for match in _VARIABLE.finditer(text):
            if (told := _attribute(_block(text, match.end()), "default")) and told.startswith('"'):
                found[f"var.{match[1]}"] = told.strip('"')
        for match in _DATA.finditer(text):
            if (told := _attribute(_block(text, match.end()), "name")) and told.startswith('"'):
                found[f"data.{match[1]}.{match[2]}.name"] = told.strip('"')
        for match in _LOCALS.finditer(text):
            for name, told in re.findall(
                r"^[ \t]*([\w-]+)[ \t]*=[ \t]*\"([^\"\n]*)\"", _block(text, match.end()), re.M
            ):
                found[f"local.{name}"] = told
    return found


def _filled(told: str | None, known: Mapping[str, str]) -> str | None:
    """A string with what is known of the expressions in it; a bare expression as ``${…}``."""
    if told is None:
        return None
    text = told.strip('"') if told.startswith('"') else f"${{{told}}}"
    for _ in range(_DEPTH):
        text = _USED.sub(lambda match: known.get(match[1]) or match[0], text)
    return text


def _literal(told: str | None, known: Mapping[str, str]) -> str | None:
    text = _filled(told, known)
    return text if text and "$" not in text else None

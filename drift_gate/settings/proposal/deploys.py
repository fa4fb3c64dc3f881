"""Where a repository deploys to Cloud Run, and what there names the commit.

GitHub Actions, Cloud Build, shell and Terraform are found in the texts as they are written, so that a file
and a line can be named. Whoever deploys by other means is not seen.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from drift_gate.facts import Kind
from drift_gate.settings.proposal import words
from drift_gate.settings.proposal.terraform import Resource, resources

#: Labels and variables that the gate takes for a commit unless it is told others.
_LABEL = re.compile(r"\b(commit[-_]sha|git[-_]sha|git-commit)\b")
_VARIABLE = re.compile(r"\b(BUILD_COMMIT|GIT_SHA|COMMIT_SHA|GIT_COMMIT)=")
#: What a tag says that is made of the commit.
_COMMIT = re.compile(r"(?i)sha\b|_sha|commit|rev-parse|git describe")
_GCLOUD = re.compile(
    r"\bgcloud(?:[ \t]+(?:alpha|beta))?(?:[ \t]+--[\w-]+(?:=\S+)?)*[ \t]+run[ \t]+"
    r"(?:(services|jobs|worker-pools)[ \t]+)?(deploy|create|update)\b(?!-)"
)
_ACTION = re.compile(r"^([ \t]*(?:-[ \t]+)?)uses:[ \t]*['\"]?google-github-actions/deploy-cloudrun@", re.M)
#: A block of code of a page: fenced, or indented from a command on to the end of its last line.
_BLOCK = re.compile(
    r"^[ \t]*```.*\n(?P<fenced>(?:(?![ \t]*```).*\n)*)[ \t]*```"
    r"|^(?: {4}|\t)[ \t]*(?P<indented>(?:\$ )?gcloud (?:.*\\\n)*.*)",
    re.M,
)
#: Names as Cloud Run takes them: https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services/create
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_GROUPS: Mapping[str | None, Kind] = {"jobs": "job", "worker-pools": "worker-pool"}
#: Options of `gcloud run deploy` and of its jobs that take no value.
_SWITCHES = frozenset(
    {
        *("--allow-unauthenticated", "--async", "--clear-env-vars", "--clear-labels", "--clear-secrets"),
        *("--cpu-boost", "--cpu-throttling", "--default-url", "--deploy-health-check", "--execute-now"),
        *("--gpu-zonal-redundancy", "--iap", "--invoker-iam-check", "--quiet", "--session-affinity"),
        *("--use-http2", "--wait", "-q"),
    }
)


@dataclass(frozen=True, slots=True)
class Deploy:
    """One place that deploys a workload of ``kind``, at ``path`` from ``line`` (from 1) on.

    ``service``, ``image``, ``source`` (the folder that is built), ``project`` and ``region`` are None where
    the text does not say them; ``hint`` is then what else may tell the name. ``stamp`` says what in it names
    the commit, "" where nothing does, and ``addition`` what makes it do so.
    """

    path: str
    line: int
    kind: Kind
    addition: str
    service: str | None = None
    hint: str = ""
    image: str | None = None
    source: str | None = None
    project: str | None = None
    region: str | None = None
    stamp: str = ""

    @property
    def where(self) -> str:
        """File and line, as compilers write them."""
        return f"{self.path}:{self.line}"

    @property
    def prose(self) -> bool:
        """Whether a person is told to do it, and no program does."""
        return self.path.endswith(".md")


def found(texts: Mapping[str, str]) -> tuple[Deploy, ...]:
    """Every deploy in ``texts``, by path and line; those that pages describe only where there is no other."""
    every = [each for path, text in sorted(texts.items()) for each in _of_text(path, text)]
    every += [_of_resource(each) for each in resources(texts)]
    done = [each for each in every if not each.prose]
    return tuple(sorted(done or every, key=lambda each: (each.path, each.line)))


def _of_text(path: str, text: str) -> Iterator[Deploy]:
    if path.endswith((".tf", ".tfvars")) or not re.search(r"gcloud|cloud-sdk|deploy-cloudrun", text):
        return
    if path.endswith(".md"):
        text = _code(text)
    known = words.variables(text)
    for match in _GCLOUD.finditer(text):
        told = words.of_command(text, match.end())
        line = words.line_of(text, match.start())
        for each in _of_gcloud(path, line, match[1], match[2], told, known, "shell"):
            here = each.source is not None and posixpath.normpath(each.source) == "."
            yield replace(each, source=None) if here and words.moves(text) else each
    if path.endswith((".yml", ".yaml")):
        yield from _of_lists(path, text, known)
        for match in _ACTION.finditer(text):
            yield _of_action(path, text, match, known)


def _code(page: str) -> str:
    """The code of ``page``, each line at its number: prose names gcloud too."""
    lines = [""] * (page.count("\n") + 1)
    for block in _BLOCK.finditer(page):
        name = str(block.lastgroup)
        first = page.count("\n", 0, block.start(name))
        inside = block[name].splitlines()
        lines[first : first + len(inside)] = inside
    return "\n".join(lines)


def _of_lists(path: str, text: str, known: Mapping[str, str]) -> Iterator[Deploy]:
    for listed in words.lists(text):
        if "gcloud" not in listed.step and "cloud-sdk" not in listed.step:
            continue
        match = re.match(
            r"(?:gcloud )?(?:(?:alpha|beta) )?run (?:(services|jobs|worker-pools) )?(deploy|create|update) ",
            " ".join(listed.words) + " ",
        )
        if match is not None:
            told = list(listed.words[match[0].count(" ") :])
            style = "flow" if listed.flow else "list"
            line = words.line_of(text, listed.start)
            yield from _of_gcloud(path, line, match[1], match[2], told, known, style)


def _service(plain: list[str], known: Mapping[str, str]) -> str | None:
    """The name that the words begin with; None where they say none, or a placeholder such as ``SERVICE``."""
    name = words.settled(words.filled(plain[0], known)) if plain else None
    return name if name and _NAME.fullmatch(name) else None


def _of_gcloud(
    path: str,
    line: int,
    group: str | None,
    verb: str,
    told: list[str],
    known: Mapping[str, str],
    style: str,
) -> Iterator[Deploy]:
    plain, options = words.options(told, _SWITCHES)
    if verb == "update" and "--image" not in options:
        return  # it changes a setting, and deploys nothing
    options = {name: words.filled(value, known) for name, value in options.items()}
    labels = options.get("--labels", options.get("--update-labels", ""))
    variables = options.get("--set-env-vars", options.get("--update-env-vars", ""))
    image = options.get("--image")
    stamp = _stamp(labels, image)
    if not stamp and (match := _VARIABLE.search(variables)):
        stamp = f"variable {match[1]}"
    option = "--update-labels" if verb == "update" else "--labels"
    yield Deploy(
        path,
        line,
        _GROUPS.get(group, "service"),
        _written(option, ",".join(filter(None, (labels, f"commit-sha={_commit(path)}"))), style),
        service=_service(plain, known),
        image=image,
        source=None if image else words.settled(options.get("--source", "." if not plain else None)),
        project=words.settled(options.get("--project")),
        region=words.settled(options.get("--region")),
        stamp=stamp,
    )


def _of_action(path: str, text: str, match: re.Match[str], known: Mapping[str, str]) -> Deploy:
    step = words.step_around(text, match.start(), len(match[1].expandtabs()))
    told = {key: words.filled(value, known) for key, value in words.keys(step).items()}
    stamp, addition = "label commit-sha, which the action sets", ""
    if told.get("skip_default_labels", "").lower() == "true":
        stamp = _stamp(step if _LABEL.search(step) else "", told.get("image"))
        addition = "labels: commit-sha=${{ github.sha }}"
    elif "metadata" in told:
        stamp, addition = "", f"commit-sha under spec.template.metadata.labels in {told['metadata']}"
    return Deploy(
        path,
        words.line_of(text, match.start()),
        "job" if "job" in told else "service",
        addition,
        service=words.settled(told.get("service", told.get("job"))),
        image=told.get("image"),
        source=words.settled(told.get("source")),
        project=words.settled(told.get("project_id")),
        region=words.settled(told.get("region")),
        stamp=stamp,
    )


def _of_resource(resource: Resource) -> Deploy:
    return Deploy(
        resource.path,
        resource.line,
        resource.kind,
        resource.addition,
        service=resource.name,
        hint=resource.label,
        image=resource.image,
        project=resource.project,
        region=resource.region,
        stamp=_stamp(resource.labels, resource.image),
    )


def _stamp(labels: str, image: str | None) -> str:
    """What names the commit: a label, else the tag of the image."""
    if match := _LABEL.search(labels):
        return f"label {match[1]}"
    tag = (image or "").rpartition("/")[2].partition(":")[2]
    return "the image's tag" if _COMMIT.search(tag) else ""


def _commit(path: str) -> str:
    """How whatever runs ``path`` writes the commit at hand."""
    name = path.rpartition("/")[2].lower()
    if path.startswith(".github/"):
        return "$GITHUB_SHA"
    if name.startswith(".gitlab-ci"):
        return "$CI_COMMIT_SHA"
    if name.endswith((".yml", ".yaml")):
        return "$COMMIT_SHA"
    return "$(shell git rev-parse HEAD)" if name.endswith(("makefile", ".mk")) else "$(git rev-parse HEAD)"


def _written(option: str, value: str, style: str) -> str:
    if style == "list":
        return f"- {option}={value}"
    return f"'{option}={value}'," if style == "flow" else f'{option} "{value}"'

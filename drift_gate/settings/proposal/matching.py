"""Which workloads are made of this repository, and of which of its files each is made."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from drift_gate.evidence import marks
from drift_gate.facts import Kind, LiveRevision
from drift_gate.relevance.rules import Rules
from drift_gate.settings.proposal import builds, deploys
from drift_gate.settings.proposal.builds import Build, Dockerfile
from drift_gate.settings.proposal.deploys import Deploy
from drift_gate.settings.proposal.gcloud import Told
from drift_gate.settings.proposal.repository import Source

#: The live workloads of a project and region by kind and name, as their newest deploys say. A kind that
#: could not be listed is not there.
Live = Mapping[Kind, Mapping[str, LiveRevision]]


@dataclass(frozen=True, slots=True)
class Made:
    """What a workload is made of: a Dockerfile and the folders it may be built from, or a folder alone.

    Without either, nobody knows; ``resembling`` is then a Dockerfile that may be it, by its name, "" where
    there is none. ``because`` is how what is known is known, for a person. ``stage`` is the stage of the
    Dockerfile; None: the last one.
    """

    dockerfile: str | None = None
    contexts: tuple[str, ...] = ()
    because: str = ""
    resembling: str = ""
    stage: str | None = None

    def ways(self, live: LiveRevision | None) -> tuple[Rules, ...]:
        """Each way to declare that, the likeliest first, for an image that is started as ``live`` says."""
        start = live.start if live else None
        if self.dockerfile is not None:
            return tuple(
                Rules(dockerfile=self.dockerfile, stage=self.stage, context=context, start=start)
                for context in self.contexts
            )
        folders = [each for each in self.contexts if each != "."]
        return (Rules(paths=tuple(f"/{each}/" for each in folders)) if folders else Rules(),)


@dataclass(frozen=True, slots=True)
class Match:
    """A workload of this repository, what it is made of, and the places that deploy it.

    ``live`` is what its newest deploy says, None where Cloud Run was not asked. ``guess``: its name is no
    more than that.
    """

    name: str
    kind: Kind
    made: Made
    deploys: tuple[Deploy, ...] = ()
    live: LiveRevision | None = None
    guess: bool = False


@dataclass(frozen=True, slots=True)
class Matched:
    """The workloads of this repository, and the names of live ones that nothing ties to it."""

    here: tuple[Match, ...]
    elsewhere: tuple[str, ...] = ()


def matched(shelf: Shelf, live: Live, commits: Collection[str]) -> Matched:
    """What of ``live`` is made of the repository that ``shelf`` is of; ``commits``: the ids that are its own.

    Of a kind that could not be listed, and where nothing live is tied to the repository, what the repository
    itself says that it deploys; where it says nothing, what it has Dockerfiles for. Those names are guesses.
    """
    here: list[Match] = []
    elsewhere: list[Match] = []
    sole = sum(map(len, live.values())) == 1
    for kind, workloads in live.items():
        for name, revision in workloads.items():
            match = shelf.match(kind, name, revision, sole)
            (here if _tied(match, commits) else elsewhere).append(match)
    named = {(each.kind, each.service): None for each in shelf.deploys if each.service}
    told = [
        shelf.match(kind, name, None, len(named) == 1)
        for kind, name in named
        if name and (kind not in live or not here)
    ]
    here = here + told or list(shelf.guesses())
    return Matched(tuple(_each_once(here)), tuple(each.name for each in elsewhere))


def _tied(match: Match, commits: Collection[str]) -> bool:
    """Whether a live workload is of this repository: by a commit of it, a deploy in it, or a sure name."""
    proven = match.live is not None and any(each in commits for each in marks.ids(match.live.evidence))
    named = any(each.service == match.name for each in match.deploys)
    return proven or named or match.made.because != ""


def _each_once(matches: Iterable[Match]) -> Iterator[Match]:
    """A name that two kinds share stands once: it is one table of ``drift.toml``."""
    seen: set[str] = set()
    for match in matches:
        if match.name not in seen:
            seen.add(match.name)
            yield match


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that a repository, called ``name``, has to match with."""

    name: str
    dockerfiles: tuple[Dockerfile, ...]
    builds: tuple[Build, ...]
    deploys: tuple[Deploy, ...]
    paths: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, name: str, source: Source) -> Shelf:
        """What ``source`` has."""
        return cls(
            name,
            builds.dockerfiles(source.paths, name),
            builds.found(source.texts, source.paths),
            deploys.found(source.texts),
            source.paths,
        )

    @property
    def project(self) -> Told | None:
        """Where most of its deploys go, and which says so first; None where none says it."""
        return _most([Told(each.project, each.where) for each in self.deploys if each.project])

    @property
    def region(self) -> Told | None:
        """As ``project``."""
        return _most([Told(each.region, each.where) for each in self.deploys if each.region])

    def match(self, kind: Kind, name: str, live: LiveRevision | None, sole: bool) -> Match:
        """The workload with what it is made of; ``sole``: there is no other one."""
        image = _tail(live.image) if live else None
        of_it = tuple(self._deploying(kind, name, image, sole))
        images = {image, *(_tail(each.image) for each in of_it if each.service)} - {None}
        made = next(self._made(name, {str(each) for each in images}, of_it, sole), Made())
        return Match(name, kind, made, of_it, live)

    def guesses(self) -> Iterator[Match]:
        """What might be deployed, where nothing says what is; of the kind that all deploys here are of."""
        kinds = {each.kind for each in self.deploys}
        kind: Kind = kinds.pop() if len(kinds) == 1 else "service"
        usual = [each for each in self.dockerfiles if not each.aside]
        for each in usual:
            made = Made(each.path, each.contexts)
            yield Match(service_name(each.names[0]), kind, made, self.deploys, guess=True)
        if not usual:
            made = next((self._folder(each) for each in self.deploys if each.source), Made())
            yield Match(service_name(self.name), kind, made, self.deploys, guess=True)

    def _deploying(self, kind: Kind, name: str, image: str | None, sole: bool) -> Iterator[Deploy]:
        """The places that deploy it: those that name it, else those that may mean it."""
        named = [each for each in self.deploys if (each.kind, each.service) == (kind, name)]
        others = [each for each in self.deploys if each.service is None and each.kind == kind]
        nearer = [
            each
            for each in others
            if (image is not None and _tail(each.image) == image) or service_name(each.hint) == name
        ]
        yield from named or nearer or (others if sole or len(others) == 1 else ())

    def _made(
        self, name: str, images: Collection[str], of_it: Collection[Deploy], sole: bool
    ) -> Iterator[Made]:
        """What it is made of, the surest answer first."""
        known = images or {name}
        for build in self.builds:
            if _tail(build.image) in known:
                yield _built(build, f"{build.where} builds its image")
        for deploy in of_it:
            if deploy.source:
                yield self._folder(deploy)
        for wanted, why in (*((image, "its image's name") for image in images), (name, "its name")):
            yield from self._called(wanted, f"{why}, {wanted}")
        for deploy in of_it:
            beside = [build for build in self.builds if build.path == deploy.path]
            if len(beside) == 1:
                build = beside[0]
                yield _built(build, f"{build.where} builds what {deploy.where} deploys")
        usual = [each for each in self.dockerfiles if not each.aside]
        for deploy in of_it:
            folder = posixpath.dirname(deploy.path)
            for each in usual:
                if folder and posixpath.dirname(each.path) == folder:
                    yield Made(each.path, each.contexts, f"it lies beside {deploy.path}")
        if len(usual) == 1 and sole:
            yield Made(usual[0].path, usual[0].contexts, "the only Dockerfile, and the only workload")
        names = {name, *images}
        alike = max(usual, key=lambda each: _shared(each, names), default=None)
        if alike is not None and _shared(alike, names):
            yield Made(resembling=alike.path)

    def _called(self, wanted: str, why: str) -> Iterator[Made]:
        """The Dockerfiles that are called so, those whose nearest name it is first."""
        ranked = [
            (names.index(service_name(wanted)), number, each)
            for number, each in enumerate(self.dockerfiles)
            if service_name(wanted) in (names := [service_name(one) for one in each.names])
        ]
        for _, _, each in sorted(ranked, key=lambda one: one[:2]):
            yield Made(each.path, each.contexts, why)

    def _folder(self, deploy: Deploy) -> Made:
        """What a deploy from source builds, with the Dockerfile there, else by buildpacks.

        Its folder is meant from where the deploy is written, or from above: the nearest that is there.
        """
        start = posixpath.dirname(deploy.path)
        while True:
            inside = posixpath.normpath(posixpath.join(start, deploy.source or "."))
            file = posixpath.normpath(posixpath.join(inside, "Dockerfile"))
            if file in self.paths:
                return Made(file, (inside,), f"{deploy.where} deploys this folder")
            if not start:
                break
            start = posixpath.dirname(start)
        if inside == ".":
            return Made(None, (inside,), f"{deploy.where} deploys the repository without a Dockerfile")
        if any(path.startswith(f"{inside}/") for path in self.paths):
            return Made(None, (inside,), f"{deploy.where} deploys {inside}/ without a Dockerfile")
        return Made()


def _most(told: Sequence[Told]) -> Told | None:
    counts = Counter(each.value for each in told)
    return max(told, key=lambda each: counts[each.value], default=None)


def service_name(text: str) -> str:
    """``text`` as Cloud Run writes names: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "service"


def _tail(image: str | None) -> str | None:
    """The last part of an image's name, without tag and digest; None where that is a variable."""
    name = (image or "").partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name if name and "$" not in name and "{" not in name else None


def _built(build: Build, because: str) -> Made:
    return Made(build.dockerfile, (build.context,), because, stage=build.stage)


def _shared(dockerfile: Dockerfile, wanted: Collection[str]) -> int:
    """How many parts of one of its names are all parts of one of ``wanted``; 0: none of its names is."""
    parts = [set(service_name(each).split("-")) for each in wanted]
    own = [set(service_name(each).split("-")) for each in dockerfile.names]
    return max((len(each) for each in own for other in parts if each <= other), default=0)

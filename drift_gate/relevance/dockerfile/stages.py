"""The stages of a Dockerfile, one after the other: what each copies, binds and builds upon."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from drift_gate.relevance.dockerfile.copies import (
    Found,
    Tree,
    find,
    find_with_parents,
    is_archive,
    is_elsewhere,
    places,
)
from drift_gate.relevance.dockerfile.ignore import excluded, is_glob
from drift_gate.relevance.dockerfile.stage import Stage, and_above, doubt, pairs, value
from drift_gate.relevance.dockerfile.syntax import DockerfileError, Instruction, expand, instructions

#: The builder gives these; Cloud Run runs linux/amd64 (its container runtime contract).
_PLATFORM: Mapping[str, str | None] = {
    f"{side}{name}": text
    for side in ("TARGET", "BUILD")
    for name, text in {"PLATFORM": "linux/amd64", "OS": "linux", "ARCH": "amd64", "VARIANT": ""}.items()
}


#: Images of Docker Hub that people name without a tag; whatever else has no tag may be a build context.
IMAGES = frozenset(
    [
        "alpine",
        "amazonlinux",
        "busybox",
        "caddy",
        "composer",
        "debian",
        "docker",
        "eclipse-temurin",
        "fedora",
        "golang",
        "haproxy",
        "httpd",
        "maven",
        "memcached",
        "mongo",
        "mysql",
        "nginx",
        "node",
        "openjdk",
        "perl",
        "php",
        "postgres",
        "python",
        "rabbitmq",
        "redis",
        "ruby",
        "rust",
        "scratch",
        "traefik",
        "ubuntu",
        "wordpress",
    ]
)
#: Those of them, in a mirror of Docker Hub as well, that set no WORKDIR.
_AT_ROOT = re.compile(
    r"scratch|(?:(?:[\w.:-]+/)*library/)?"
    r"(?:alpine|amazonlinux|busybox|debian|fedora|node|python|ruby|rust|ubuntu)(?:[:@].*)?"
)


def final_stage(
    text: str,
    context: Tree,
    title: str,
    *,
    target: str | None = None,
    contexts: Mapping[str, Tree | None] | None = None,
    base: Stage | None = None,
) -> Stage:
    """Read a Dockerfile up to the stage ``target``, a name or a number (None: the last one, which then says
    which ``others`` may be meant).

    ``title`` names it in the reasons.

    ``contexts`` are the named build contexts, None for one that is an image. ``base`` is what the image
    holds that this stage is built upon in the end; None: it comes from elsewhere. Raises ``ValueError``
    for what docker would refuse, or what we cannot read.
    """
    build = _Build(context, title, contexts or {})
    read = list(instructions(text))
    if target is not None:
        read = read[: _end_of(target, read)]
    if base is not None:
        build.bases[_last_root(read)] = base
    for instruction in read:
        try:
            build.take(instruction)
        except ValueError as error:
            raise DockerfileError(f"line {instruction.line}: {error}") from error
    if not build.stages:
        raise DockerfileError("it has no FROM")
    final = build.stages[-1]
    if target is None:
        known = {*final.parts, final.name}
        final.others = [each.name for each in build.stages if each.starts and each.name not in known]
    return final


def _end_of(target: str, read: Sequence[Instruction]) -> int:
    """Where the stage ``target`` ends: what follows on it is not built."""
    starts = [index for index, instruction in enumerate(read) if instruction.name == "FROM"]
    for number, start in enumerate(starts):
        if target.lower() in (str(number), " ".join(read[start].words()[2:]).lower()):
            return [*starts, len(read)][number + 1]
    raise DockerfileError(f"it has no stage {target}")


class _Build:
    """The stages so far, by number and by name, and the arguments before the first of them."""

    def __init__(self, context: Tree, title: str, contexts: Mapping[str, Tree | None]) -> None:
        self.stages: list[Stage] = []
        #: What an image from elsewhere holds, by the number of the stage that begins with it.
        self.bases: dict[int, Stage] = {}
        self._contexts = {name.lower(): tree for name, tree in contexts.items()}
        self._named: dict[str, Stage] = {}
        self._arguments = dict(_PLATFORM)
        self._context = context
        self._title = title

    def take(self, instruction: Instruction) -> None:
        """Let one instruction act."""
        if instruction.name == "FROM":
            self._from(instruction)
        elif self.stages:
            self._act(self.stages[-1], instruction)
        elif instruction.name == "ARG":
            self._arg_before_from(instruction)
        else:
            raise DockerfileError(f"{instruction.name} before the first FROM")

    def _act(self, stage: Stage, instruction: Instruction) -> None:
        """Those that move no file and start nothing (USER, LABEL, EXPOSE, …) do nothing here."""
        match instruction.name:
            case "COPY" | "ADD":
                self._copy(stage, instruction)
            case "RUN":
                self._run(stage, instruction)
            case "ARG":
                stage.arg(instruction, self._arguments)
            case "ENV":
                stage.env(instruction)
            case "WORKDIR":
                for path in stage.told(instruction, [instruction.text], self._title) or ():
                    stage.work_in(instruction, path, self._title)
            case "CMD":
                stage.cmd(instruction)
            case "ENTRYPOINT":
                stage.enter_at(instruction)
            case "SHELL":
                stage.shell = instruction.json or stage.shell
            case "ONBUILD":
                stage.doubts.append(f"{self._title} line {instruction.line} has ONBUILD")

    def _arg_before_from(self, instruction: Instruction) -> None:
        for name, text in pairs(instruction):
            if text is not None:
                self._arguments[name] = value(text, self._arguments, instruction)

    def _from(self, instruction: Instruction) -> None:
        words = instruction.words()
        if len(words) not in (1, 3):
            raise DockerfileError("FROM takes an image, or an image AS a name")
        base, unknown = expand(words[0], self._arguments, instruction.escape)
        parent = self._named.get(base.lower())
        below = parent or self.bases.get(len(self.stages))
        stage = (
            below.child()
            if below is not None
            else Stage(base=base, placed=_AT_ROOT.fullmatch(base) is not None)
        )
        if below is None and "onbuild" in base.lower():
            stage.doubts.append(f"{self._title} line {instruction.line}: {base} may run more (ONBUILD)")
        if unknown and self._named:  # it may name one of the stages above
            stage.doubts.append(doubt(instruction, unknown, self._title))
        if parent is None:  # those of another Dockerfile are none of this one
            stage.parts = set()
        stage.name = words[2] if len(words) == 3 else str(len(self.stages))
        self.stages.append(stage)
        if len(words) == 3:
            self._named[words[2].lower()] = stage

    def _run(self, stage: Stage, instruction: Instruction) -> None:
        """What ``--mount`` binds can influence the image and does not lie in it."""
        stage.run(instruction)
        for mount in instruction.options("mount"):
            options = dict(part.partition("=")[::2] for part in mount.split(","))
            source = options.get("source", options.get("src", "/"))
            told = stage.told(instruction, [options.get("from", ""), source], self._title)
            if told is None or (options.get("type", "bind") != "bind" and not told[0]):
                continue
            origin = self._origin(stage, told[0])
            found = find(origin, told[1]) if origin is not None else []
            self._note(stage, origin, f"RUN --mount={mount}", told[1], found)

    def _copy(self, stage: Stage, instruction: Instruction) -> None:
        words = instruction.words()
        if not words or len(words) + len(instruction.documents) < 2:
            raise DockerfileError(f"{instruction.name} needs a source and a destination")
        told = stage.told(instruction, [*words, *instruction.options("from")], self._title)
        if told is None:
            return
        origin = self._origin(stage, told[len(words)] if len(told) > len(words) else "")
        *sources, destination = told[: len(words)]
        found = [each for source in sources for each in self._take(stage, instruction, origin, source)]
        several = max(len(sources) + len(instruction.documents), len(found)) > 1
        target = stage.place(instruction, destination, self._title)
        as_folder = _is_folder(stage, instruction, destination, target, several=several)
        for each in found:
            _put(stage, instruction, each, target, as_folder=as_folder)
        for name in instruction.documents:  # a here-document replaces a file of the tree
            stage.layout.pop(posixpath.join(target, name) if as_folder else target, None)
        stage.write(instruction, target if as_folder else posixpath.dirname(target))

    def _take(self, stage: Stage, instruction: Instruction, origin: Tree | None, source: str) -> list[Found]:
        """What one source names, noted as such; nothing for what comes from outside the repository."""
        if origin is None or (instruction.name == "ADD" and is_elsewhere(source)):
            return []
        parents = "true" in instruction.options("parents")
        found = find_with_parents(origin, source) if parents else find(origin, source)
        out = excluded(instruction.options("exclude"))
        kept = [each.without(out) for each in found]
        # Builders differ over what a pattern leaves out: that still counts, wherever it may have gone.
        self._note(stage, origin, f"{instruction.name} {source}", source, found)
        return kept

    def _origin(self, stage: Stage, name: str) -> Tree | None:
        """The tree to copy from: the context, a stage's image, or None for an image from elsewhere."""
        if not name:
            return self._context
        if name.lower() in self._contexts:
            return self._contexts[name.lower()]
        other = self._named.get(name.lower())
        if other is None and name.isdecimal() and int(name) < len(self.stages):
            other = self.stages[int(name)]
        if other is None or other is stage:
            if not set(name) & set("/:@") and name.lower() not in IMAGES:
                stage.elsewhere.append(name)
            return None
        stage.use(other)
        return Tree({path.lstrip("/"): source for path, source in other.layout.items()})

    def _note(
        self,
        stage: Stage,
        origin: Tree | None,
        written: str,
        source: str,
        found: Sequence[Found],
    ) -> None:
        """Files of a context become sources. A stage's are already; what is not there, a RUN may make."""
        if not any(origin is each for each in (self._context, *filter(None, self._contexts.values()))):
            return
        if not found and origin is not None and not (is_glob(source) and find(origin, _above_glob(source))):
            stage.missing.append(source)  # where its folder is there, a pattern may match nothing
        for each in found:
            for path in (*each.files.values(), *each.passed.values()):
                stage.sources.setdefault(path, f"{self._title}: {written}")


def _above_glob(source: str) -> str:
    """The folder that a pattern is sought in."""
    parts = source.split("/")
    return "/".join(parts[: next(number for number, part in enumerate(parts) if is_glob(part))]) or "/"


def _last_root(read: Sequence[Instruction]) -> int:
    """The number of the stage that the last one goes back to: the one whose base comes from elsewhere."""
    roots: list[int] = []
    named: dict[str, int] = {}
    for instruction in read:
        words = [word.lower() for word in instruction.words()] if instruction.name == "FROM" else []
        if words:
            roots.append(named.get(words[0], len(roots)))
            named.update({words[-1]: roots[-1]} if len(words) == 3 else {})
    return roots[-1] if roots else 0


def _put(
    stage: Stage, instruction: Instruction, found: Found, target: str, *, as_folder: bool | None
) -> None:
    """Lay the files into the stage; ADD unpacks an archive, to paths that we cannot know."""
    if as_folder or not found.is_file:
        stage.folders.update(and_above(target))
    if instruction.name == "ADD" and is_archive(found) and "false" not in instruction.options("unpack"):
        return
    for path, source in places(found, target, as_folder=as_folder):
        stage.layout[path] = source
        if as_folder is not None or not found.is_file:
            stage.folders.update(and_above(posixpath.dirname(path)))


def _is_folder(
    stage: Stage, instruction: Instruction, destination: str, target: str, *, several: bool
) -> bool | None:
    """Whether a file goes into the destination; None when an image below may hold a folder of that name."""
    if several or target in stage.folders or destination.endswith(("/", "/.")):
        return True
    may_exist = "." not in posixpath.basename(target) and "true" not in instruction.options("link")
    if stage.base == "scratch":  # there is no image below
        return False
    return None if may_exist else False

"""One stage of a Dockerfile while it is read: its variables, its folders, how it starts."""

from __future__ import annotations

import posixpath
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from drift_gate.relevance.dockerfile.syntax import Instruction, expand


@dataclass(frozen=True, slots=True)
class Start:
    """How an image starts: the words of its entry point and of its command, () where not said.

    The shell form stands as docker stores it, ``("/bin/sh", "-c", "python app.py")``. ``workdir`` is
    absolute, ``environment`` is what ENV sets.
    """

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    workdir: str
    environment: Mapping[str, str]


class _Unset(dict[str, str | None]):
    """One value for every variable: None where only the image below could tell."""

    def __init__(self, value: str | None) -> None:
        super().__init__()
        self._value = value

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str | None:
        return self._value


@dataclass(frozen=True, slots=True)
class Run:
    """What a RUN runs: its words, () where ``text`` is for the shell, and the files that lie there.

    ``documents`` are its here-documents. Where they are ``written`` they become files of the image, those of
    a COPY, which runs nothing, in ``workdir``.
    """

    words: tuple[str, ...]
    text: str
    workdir: str
    environment: Mapping[str, str]
    layout: Mapping[str, str]
    documents: tuple[str, ...]
    written: bool


@dataclass(slots=True)
class Stage:
    """What a stage holds so far. ``sources``, ``missing``, ``elsewhere`` and ``doubts`` include what it uses.

    ``layout``: absolute path to repository path. ``folders``: those that exist for certain. ``known`` and
    ``arguments``: the values of ENV and ARG, None for one that only the build knows. ``elsewhere``: names
    behind ``--from`` that are no stage and look like no image. ``base``: the image below it, as written.
    ``placed``: whether ``workdir`` is known, so that a relative path leads to a place. ``name``: its own,
    else its number. ``parts``: the names of the stages that it is made of. ``starts``: whether it says itself
    what is started. ``others``: of the last one, the stages that are no part of it and start a program, too.
    """

    workdir: str = "/"
    placed: bool = True
    layout: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    base: str = ""
    doubts: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    folders: set[str] = field(default_factory=lambda: {"/"})
    environment: dict[str, str] = field(default_factory=dict)
    known: dict[str, str | None] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    own_command: bool = False
    name: str = ""
    parts: set[str] = field(default_factory=set)
    starts: bool = False
    others: list[str] = field(default_factory=list)

    def child(self) -> Stage:
        """The stage that ``FROM`` this one starts with."""
        return replace(
            self,
            layout=dict(self.layout),
            sources=dict(self.sources),
            missing=list(self.missing),
            elsewhere=list(self.elsewhere),
            doubts=list(self.doubts),
            runs=list(self.runs),
            folders=set(self.folders),
            environment=dict(self.environment),
            known=dict(self.known),
            arguments=dict(self.arguments),
            own_command=False,
            parts={*self.parts, self.name},
            starts=False,
            others=[],
        )

    def start(self) -> Start | None:
        """How a container of it starts, None when no instruction says so."""
        if not self.entrypoint and not self.command:
            return None
        return Start(self.entrypoint, self.command, self.workdir, dict(self.environment))

    def use(self, other: Stage) -> None:
        """Depend on all that ``other`` was made of: what a RUN there did with it cannot be told."""
        for path, reason in other.sources.items():
            self.sources.setdefault(path, reason)
        self.missing += other.missing
        self.elsewhere += other.elsewhere
        self.doubts += other.doubts
        self.runs += other.runs
        self.parts |= {*other.parts, other.name}

    def run(self, instruction: Instruction) -> None:
        """Note what is run, as things are now."""
        self._note(instruction, self.workdir, instruction.text, written=">" in instruction.text)

    def write(self, instruction: Instruction, folder: str) -> None:
        """Note the here-documents that become files of ``folder``."""
        if instruction.bodies:
            self._note(instruction, folder, "", written=True)

    def _note(self, instruction: Instruction, folder: str, text: str, *, written: bool) -> None:
        now = (dict(self.environment), dict(self.layout))
        self.runs.append(Run(instruction.json or (), text, folder, *now, instruction.bodies, written))

    @property
    def variables(self) -> Mapping[str, str | None]:
        """What a word may refer to; ENV wins over ARG, and an image below may set whatever is set nowhere."""
        below = _Unset("" if self.base == "scratch" else None)
        return ChainMap(dict(self.known), dict(self.arguments), below)

    def told(self, instruction: Instruction, words: Sequence[str], title: str) -> list[str] | None:
        """The words with their variables' values; None, and a doubt, where one cannot be told."""
        if instruction.json is not None:  # no quotes to remove there
            words = [word.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'") for word in words]
        escape = "\\" if instruction.json is not None else instruction.escape
        expanded = [expand(word, self.variables, escape) for word in words]
        unknown = frozenset[str]().union(*(names for _, names in expanded))
        if unknown:
            self.doubts.append(doubt(instruction, unknown, title))
        return None if unknown else [word for word, _ in expanded]

    def arg(self, instruction: Instruction, before_from: Mapping[str, str | None]) -> None:
        """An argument without a default takes that of the ARG before the first FROM, if any."""
        for name, text in pairs(instruction):
            if text is not None:
                self.arguments[name] = value(text, self.variables, instruction)
            elif name in before_from:
                self.arguments[name] = before_from[name]

    def env(self, instruction: Instruction) -> None:
        """Every value of the line sees the variables as they were before the line."""
        before = self.variables
        for name, text in pairs(instruction):
            self.known[name] = value(text or "", before, instruction)
            self.environment[name] = expand(text or "", before, instruction.escape)[0]

    def work_in(self, instruction: Instruction, path: str, title: str) -> None:
        """WORKDIR makes the folder and counts from the one before."""
        self.workdir = self.place(instruction, path, title)
        self.placed = self.placed or path.startswith("/")
        self.folders.update(and_above(self.workdir))

    def place(self, instruction: Instruction, path: str, title: str) -> str:
        """Where ``path`` leads, from ``/`` and with a doubt while only the image below knows from where."""
        if not self.placed and not path.startswith("/"):
            said = f"{path} in {instruction.name} counts from the WORKDIR of {self.base}, which is not known"
            self.doubts.append(f"{title} line {instruction.line}: {said}")
        return joined(self.workdir, path)

    def cmd(self, instruction: Instruction) -> None:
        """The last CMD of a stage is the one."""
        self.command, self.own_command = self._start_words(instruction), True
        self.starts = True

    def enter_at(self, instruction: Instruction) -> None:
        """A new entry point drops the command of the image below, as docker does."""
        self.entrypoint = self._start_words(instruction)
        self.starts = True
        if not self.own_command:
            self.command = ()

    def _start_words(self, instruction: Instruction) -> tuple[str, ...]:
        if instruction.json is not None:
            return instruction.json
        return (*self.shell, instruction.text) if instruction.text else ()


def pairs(instruction: Instruction) -> list[tuple[str, str | None]]:
    """The names and values of ENV and ARG, also of the old form ``ENV NAME some text``."""
    words = instruction.words()
    if instruction.name == "ENV" and words and "=" not in words[0]:
        return [(words[0], instruction.text[len(words[0]) :].strip())]
    split = (word.partition("=") for word in words)
    return [(name, text if equals else None) for name, equals, text in split]


def value(text: str, variables: Mapping[str, str | None], instruction: Instruction) -> str | None:
    """The value that ``text`` gives a variable, None when only the build knows it."""
    expanded, unknown = expand(text, variables, instruction.escape)
    return None if unknown else expanded


def doubt(instruction: Instruction, unknown: frozenset[str], title: str) -> str:
    """Why an instruction could not be followed, for people."""
    names = ", ".join(sorted(unknown))
    return f"{title} line {instruction.line}: only the build knows {names} in {instruction.name}"


def joined(folder: str, path: str) -> str:
    """``path`` seen from ``folder``, absolute; two leading slashes are one."""
    return posixpath.normpath("/" + posixpath.join(folder, path).lstrip("/"))


def and_above(folder: str) -> Iterator[str]:
    """The folder and all above it, without the root."""
    while folder != "/":
        yield folder
        folder = posixpath.dirname(folder)

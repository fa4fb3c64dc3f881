"""What drift.toml says of a build, put together with its Dockerfile: the image, and what it leaves open."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from drift_gate.facts import Finding
from drift_gate.relevance.dockerfile import upload
from drift_gate.relevance.dockerfile.image import Beside, Image, read_image
from drift_gate.relevance.dockerfile.stage import Run, and_above, joined
from drift_gate.relevance.dockerfile.stages import IMAGES
from drift_gate.relevance.patterns import PathRules, path_rules
from drift_gate.relevance.rules import IMAGE_CONTEXT, Rules
from drift_gate.relevance.start.shell import commands
from drift_gate.relevance.start.wrappers import unwrapped
from drift_gate.relevance.tree import Tree

#: Programs that give files another place or name.
_MOVERS = frozenset({"cp", "install", "ln", "mv", "rename", "rsync"})
#: Programs that write what they are given, which may become another file.
_WRITERS = frozenset({"awk", "cat", "envsubst", "sed"})


def image_of(rules: Rules, tree: Tree, targets: Mapping[str, str]) -> Image | None:
    """The image of a Dockerfile, on top of that of its base where that is declared; None: no Dockerfile."""
    modules = tree.modules
    folders = modules | {path for path in targets if _is_folder(path, targets, tree.files)}
    doubt, sent = None, upload.Upload((), lambda path: False)
    try:
        sent = upload.upload_of(tree.files, tree.text, rules.context, folders, rules.upload)
    except upload.UploadError as error:
        doubt = str(error)
    below = image_of(rules.base, tree, targets) if rules.base is not None else None
    image = read_image(
        [path for path in tree.files if path == rules.dockerfile or not sent.left_out(path)],
        tree.text,
        dockerfile=rules.dockerfile or "",
        target=rules.stage,
        context=rules.context,
        links=targets,
        modules=modules,
        beside=Beside(
            contexts={
                name: None if folder.startswith(IMAGE_CONTEXT) else folder
                for name, folder in rules.build_contexts
            },
            made=_made(rules, tree.files),
            base=below,
        ),
    )
    if image is None:
        return None
    if rules.base is not None and below is None and image.base.partition(":")[0] not in IMAGES:
        doubt = doubt or f"there is no {rules.base.dockerfile}, which its base is made from"
    ignore_files = {path: f"{posixpath.basename(path)}: what gcloud does not send" for path in sent.deciding}
    return replace(image, sources={**image.sources, **ignore_files}, unresolved=doubt or image.unresolved)


def _is_folder(link: str, targets: Mapping[str, str], files: Collection[str]) -> bool:
    end = posixpath.normpath(posixpath.join(posixpath.dirname(link), targets[link]))
    return any(path.startswith(f"{end}/") for path in files)


def _made(rules: Rules, files: Collection[str]) -> dict[str, str]:
    """Where a copy of what ``generated`` is made from would lie: each place with the file that it would be.

    A folder's content goes into the place, or the folder itself does; both are given.
    """
    made: dict[str, str] = {}
    for place, sources in rules.made_from:
        folder = posixpath.normpath(place.strip("/"))
        for source in sources:
            start = source.strip("/")
            for path in filter(path_rules((source,)).relevant, files):
                inside = path.removeprefix(f"{start}/") if path.startswith(f"{start}/") else ""
                names = (
                    [inside, f"{posixpath.basename(start)}/{inside}"]
                    if inside
                    else [posixpath.basename(path)]
                )
                made.update((posixpath.join(folder, name), path) for name in names)
                if path == start:
                    made[folder] = path
    return made


def sources_of_generated(rules: Rules, files: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What is declared to be made into something that is copied, each with its reason."""
    return {
        path: (f"generated: {place} is made from it",)
        for place, sources in rules.made_from
        for path in filter(path_rules(sources).relevant, files)
    }


def not_in_git(rules: Rules, image: Image) -> Iterator[Finding]:
    """The sources that name nothing in the tree, and that nobody declared as made by the build."""
    generated = PathRules(rules.generated)
    for source in image.missing:
        path = posixpath.normpath(source.lstrip("/"))
        if not rules.generated or not (generated.relevant(path) or generated.relevant(f"{path}/x")):
            yield Finding(
                code="copy-not-in-git",
                message=f"{rules.dockerfile} copies {source}, which git does not hold; if the build makes it "
                f'of files of this repository, write generated = {{"{path}" = ["THEIR/FOLDER/"]}}, '
                "or name these files in paths; if of anything else, name it in generated",
                data={"source": source},
            )


def elsewhere(rules: Rules, files: Collection[str], image: Image) -> Iterator[Finding]:
    """What the image takes from where nobody has looked: named contexts, and images built here."""
    for name in image.elsewhere:
        yield Finding(
            code="copy-not-in-git",
            message=f"{rules.dockerfile} copies from the build context {name!r}, of which nothing is known; "
            f'name its folder: build_contexts = {{{name} = "FOLDER"}} ("{IMAGE_CONTEXT}{name}" for an image)',
            data={"source": name},
        )
    if image.stage.others:
        names = " and ".join(image.stage.others)
        yield Finding(
            code="copy-not-in-git",
            message=f"{rules.dockerfile} has several stages that start a program, and {names} is not looked "
            f'at; say which is built: stage = "{image.stage.name}", or what `--target` names',
            data={"source": image.stage.others[0]},
        )
    name = re.sub(r"[:@].*", "", posixpath.basename(image.base.split("@")[0]))
    built_by = _built_by(name, rules, files)
    if built_by is not None:
        yield Finding(
            code="copy-not-in-git",
            message=f"{rules.dockerfile} is built upon {image.base}, which {built_by} seems to build, and "
            f'whose files are not looked at; write base = "{built_by}"',
            data={"source": image.base},
        )


def _built_by(name: str, rules: Rules, files: Collection[str]) -> str | None:
    """The service or the Dockerfile of this repository that an image is called after."""
    if not name or name in rules.images:
        return name or None
    called = re.compile(
        rf"(.*/)?({re.escape(name)}/Dockerfile|{re.escape(name)}\.Dockerfile|Dockerfile\.{re.escape(name)})",
        re.IGNORECASE,
    )
    return next((path for path in sorted(files) if path != rules.dockerfile and called.fullmatch(path)), None)


def moved_by(image: Image) -> dict[str, str]:
    """What RUN instructions may move, copy or link, by each part of its paths that can name a module.

    The value is the command, for people.
    """
    moved: dict[str, str] = {}
    for run in image.stage.runs:
        for words in _commands(run):
            if _is_of(_MOVERS, words):
                parts = (part for word in words for part in re.split(r"[/=]", word))
                names = (part.removesuffix(".py") for part in parts)
                moved |= dict.fromkeys(filter(str.isidentifier, names), f"RUN {' '.join(words)}")
    return moved


def taken_by(image: Image) -> Iterator[str]:
    """The image's files that a RUN gives another place or writes into others, which may then be imported."""
    for run in image.stage.runs:
        places = {joined(run.workdir, word) for words in _commands(run) for word in _taken(words)} - {"/"}
        for at, path in run.layout.items() if places else ():
            if places & {*and_above(at)}:
                yield path


def _taken(words: Sequence[str]) -> Iterator[str]:
    """What a command takes: its words without options and destination; of a pattern its folder."""
    named = [word for word in words[1:] if not word.startswith("-")]
    if _is_of(_MOVERS, words):
        elsewhere = any(word == "-t" or word.startswith("--target-directory") for word in words)
        alone = len(named) == 1 and "-d" not in words  # `ln -s FILE` links it here, `install -d` takes none
        named = named if elsewhere or alone else named[:-1]
    elif not _is_of(_WRITERS, words):
        named = []
    for word in named:
        begin, *pattern = re.split(r"[*?\[]", word, maxsplit=1)
        yield posixpath.dirname(begin) if pattern else word


def _commands(run: Run) -> Iterable[Sequence[str]]:
    return [run.words] if run.words else commands(run.text, dict(run.environment))


def _is_of(programs: Collection[str], words: Sequence[str]) -> bool:
    """Whether a command is one of these programs: by itself, for ``find`` or for ``git``."""
    # -exec is looked for by itself too: a find behind a program that nobody knows here is not unwrapped.
    heads = [
        *(line[0] for line in unwrapped(words, {})),
        *(last for before, last in pairwise(words) if before in ("git", "-exec")),
    ]
    return any(posixpath.basename(head) in programs for head in heads)

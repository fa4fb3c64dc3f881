"""Which files of the repository get into an image, where they lie in it, and how it starts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from drift_gate.relevance.dockerfile.copies import Tree, clean
from drift_gate.relevance.dockerfile.ignore import ignored
from drift_gate.relevance.dockerfile.stage import Stage, Start
from drift_gate.relevance.dockerfile.stages import final_stage

__all__ = ["Beside", "Image", "Start", "read_image"]


@dataclass(frozen=True, slots=True)
class Image:
    """What a Dockerfile makes of one tree, read without building it.

    ``sources``: each repository file that can influence the image, with the reason
    (``Dockerfile: COPY predictions/shared/``); the Dockerfile and the ignore file are among them.
    ``layout``: absolute path in the image to repository path, for files that are in the final image.
    ``workdir``: its working folder, absolute.
    ``start``: how the image starts, None where the Dockerfile does not say.
    ``missing``: sources, as written, that name nothing in the tree.
    ``unresolved``: why the whole build context had to be taken, or None; ``layout`` then lacks
    whatever could not be told. ``elsewhere``: names behind ``--from`` that are neither a stage nor, by their
    form, an image. ``base``: the image below, as written, where nothing is known of it. ``remarks``
    are for people who ask, ``stage`` for an image that is built upon this one.
    """

    sources: Mapping[str, str]
    layout: Mapping[str, str]
    workdir: str
    start: Start | None
    missing: tuple[str, ...]
    unresolved: str | None
    elsewhere: tuple[str, ...] = ()
    base: str = ""
    remarks: tuple[str, ...] = ()
    stage: Stage = field(default_factory=Stage, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a build takes beside its Dockerfile and its context.

    ``contexts``: the folder of each named build context, None for one that is an image. ``made``: for a
    place in the repository that the build fills, the files that it is made from by their path in there.
    ``base``: the image that the last stage is built upon, where it is made from the repository too.
    """

    contexts: Mapping[str, str | None] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    base: Image | None = None


_NOTHING_BESIDE = Beside()


def read_image(
    files: Collection[str],
    read: Callable[[str], str | None],
    *,
    dockerfile: str,
    context: str,
    target: str | None = None,
    links: Mapping[str, str] | None = None,
    modules: Collection[str] = (),
    beside: Beside = _NOTHING_BESIDE,
) -> Image | None:
    """Read the image that ``dockerfile`` builds from the folder ``context``; None: no such Dockerfile.

    ``files`` are all paths of the tree, ``read`` gives the text of one, or None. ``dockerfile`` and
    ``context`` are paths from the tree's root, "." for the root itself. ``links`` maps the symbolic links
    among ``files`` to their target as git holds it, ``modules`` are the submodules. The stage
    ``target`` is the image (None: the last one), built for linux/amd64, with the defaults of its build
    arguments.
    """
    whole = _Sources(files, links or {}, modules)
    place, text = whole.read(dockerfile, read)
    if text is None:
        return None
    title = posixpath.basename(clean(dockerfile))
    own = dict.fromkeys(place, f"{title}: the image is built from it")
    folder = clean(context)
    ignore = _ignore_files(whole, clean(dockerfile), folder)
    for each in ignore.values():
        place, _ = whole.read(each, read)
        own |= dict.fromkeys(place, f"{posixpath.basename(each)}: what stays out of the image")
    # Without a .dockerignore nothing is left out: docker does not know the other one.
    texts = [whole.read(each, read)[1] or "" for each in ignore.values()] if ".dockerignore" in ignore else []
    tree, doubt = _context(whole, texts, folder, beside.made)
    contexts = {name: None if path is None else whole.below(path) for name, path in beside.contexts.items()}
    base = None if beside.base is None else replace(beside.base.stage, sources=dict(beside.base.sources))
    try:
        stage = final_stage(text, tree, title, target=target, contexts=contexts, base=base)
    except ValueError as error:
        stage = Stage(doubts=[f"{title} cannot be read: {error}"])
    remarks = (f"{' and '.join(ignore.values())}: what both leave out stays out",) if len(ignore) > 1 else ()
    return replace(_image(own, tree, stage, doubt), remarks=remarks)


def _ignore_files(whole: _Sources, dockerfile: str, folder: str) -> dict[str, str]:
    """By its ending the ignore file of docker, and of buildah; the Dockerfile's own before the context's."""
    found: dict[str, str] = {}
    for ending in (".containerignore", ".dockerignore"):
        for path in (posixpath.join(folder, ending), f"{dockerfile}{ending}"):
            if whole.holds(path):
                found[ending] = path
    return found


@dataclass(frozen=True, slots=True)
class _Sources:
    """The repository's files, to be cut into the folders that a build is given."""

    files: Collection[str]
    links: Mapping[str, str]
    modules: Collection[str]

    def holds(self, path: str) -> bool:
        """Whether there is such a file, behind links too."""
        return self._through(path)[-1] in self.files

    def read(self, path: str, read: Callable[[str], str | None]) -> tuple[tuple[str, ...], str | None]:
        """All paths that decide on a file, the links to it first, and its text; None: there is none."""
        way = self._through(path)
        return way, read(way[-1]) if way[-1] in self.files else None

    def _through(self, path: str) -> tuple[str, ...]:
        ends = {link: clean(posixpath.join(posixpath.dirname(link), to)) for link, to in self.links.items()}
        end, passed = Tree({link: link for link in ends}, ends).follow(clean(path))
        return (*passed, end)

    def below(self, folder: str, kept: Callable[[str], bool] = lambda name: True) -> Tree:
        """What ``folder`` holds, by the path in it."""
        folder = clean(folder)
        prefix = f"{folder}/" if folder else ""
        inside = {path[len(prefix) :]: path for path in self.files if path.startswith(prefix)}
        inside = {name: path for name, path in inside.items() if kept(name)}
        targets = {
            name: clean(posixpath.join(posixpath.dirname(name), self.links[path]))
            for name, path in inside.items()
            if path in self.links
        }
        return Tree(inside, targets, frozenset(name for name, path in inside.items() if path in self.modules))


def _context(
    sources: _Sources, ignore: Collection[str], folder: str, made: Mapping[str, str]
) -> tuple[Tree, str | None]:
    """The build context without what every ignore file leaves out, and why nothing could be, if so."""
    doubt = None
    try:
        rules = [ignored(text) for text in ignore]
    except ValueError as error:
        rules, doubt = [], f"an ignore file cannot be read: {error}"
    prefix = f"{folder}/" if folder else ""
    taken_back = any(re.search(r"^\s*!", text, re.MULTILINE) for text in ignore)

    def kept(name: str) -> bool:  # of a submodule, a part may be taken back
        left_out = bool(rules) and all(rule(name) for rule in rules)
        return not left_out or (taken_back and prefix + name in sources.modules)

    tree = sources.below(folder, kept)
    filled = {at[len(prefix) :]: path for at, path in made.items() if at.startswith(prefix)}
    files = {name: path for name, path in filled.items() if kept(name)} | dict(tree.files)
    return replace(tree, files=files), doubt


def _image(own: Mapping[str, str], tree: Tree, stage: Stage, doubt: str | None) -> Image:
    """The final stage as a value; with any doubt, the rest of the context is relevant too."""
    unresolved = doubt or next(iter(stage.doubts), None)
    sources = {**stage.sources, **own}
    if unresolved is not None:
        for path in tree.files.values():
            sources.setdefault(path, f"the whole build context: {unresolved}")
    missing = tuple(dict.fromkeys(stage.missing))
    elsewhere = tuple(dict.fromkeys(stage.elsewhere))
    return Image(
        sources,
        stage.layout,
        stage.workdir,
        stage.start(),
        missing,
        unresolved,
        elsewhere,
        stage.base,
        stage=stage,
    )

"""Which files of the repository get into an image, where they lie in it, and how it starts."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from shared.deployment.relevance.dockerfile_copies import Tree, clean
from shared.deployment.relevance.dockerfile_stage import Stage, Start
from shared.deployment.relevance.dockerfile_stages import final_stage
from shared.deployment.relevance.dockerignore import ignored

__all__ = ["Image", "Start", "read_image"]


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
    whatever could not be told.
    """

    sources: Mapping[str, str]
    layout: Mapping[str, str]
    workdir: str
    start: Start | None
    missing: tuple[str, ...]
    unresolved: str | None


def read_image(
    files: Collection[str],
    read: Callable[[str], str | None],
    *,
    dockerfile: str,
    context: str,
    links: Mapping[str, str] | None = None,
) -> Image | None:
    """Read the image that ``dockerfile`` builds from the folder ``context``; None: no such Dockerfile.

    ``files`` are all paths of the tree, ``read`` gives the text of one, or None. ``dockerfile`` and
    ``context`` are paths from the tree's root, "." for the root itself. ``links`` maps the symbolic links
    among ``files`` to their target as git holds it. The last stage is the image, as without ``--target``,
    built for linux/amd64, with the defaults of its build arguments.
    """
    dockerfile, text = clean(dockerfile), read(clean(dockerfile))
    if text is None:
        return None
    title = posixpath.basename(dockerfile)
    folder = clean(context)
    own = {dockerfile: f"{title}: the image is built from it"}
    ignore = _ignore_file(files, dockerfile, folder)
    if ignore is not None:
        own[ignore] = f"{posixpath.basename(ignore)}: what stays out of the image"
    tree, doubt = _context(files, read, folder, ignore, links or {})
    try:
        stage = final_stage(text, tree, title)
    except ValueError as error:
        stage = Stage(doubts=[f"{title} cannot be read: {error}"])
    return _image(own, tree, stage, doubt)


def _ignore_file(files: Collection[str], dockerfile: str, folder: str) -> str | None:
    """The Dockerfile's own ignore file wins over the one at the root of the context."""
    candidates = (f"{dockerfile}.dockerignore", posixpath.join(folder, ".dockerignore"))
    return next((each for each in candidates if each in files), None)


def _context(
    files: Collection[str],
    read: Callable[[str], str | None],
    folder: str,
    ignore: str | None,
    links: Mapping[str, str],
) -> tuple[Tree, str | None]:
    """The build context without what is ignored, and why nothing could be ignored, if so."""
    prefix = f"{folder}/" if folder else ""
    doubt = None
    try:
        left_out = ignored((read(ignore) if ignore is not None else None) or "")
    except ValueError as error:
        doubt = f"{ignore} cannot be read: {error}"
        left_out = ignored("")
    kept = {path[len(prefix) :]: path for path in files if path.startswith(prefix)}
    kept = {name: path for name, path in kept.items() if not left_out(name)}
    targets = {
        name: clean(posixpath.join(posixpath.dirname(name), links[path]))
        for name, path in kept.items()
        if path in links
    }
    return Tree(kept, targets), doubt


def _image(own: Mapping[str, str], tree: Tree, stage: Stage, doubt: str | None) -> Image:
    """The final stage as a value; with any doubt, the rest of the context is relevant too."""
    unresolved = doubt or next(iter(stage.doubts), None)
    sources = {**stage.sources, **own}
    if unresolved is not None:
        for path in tree.files.values():
            sources.setdefault(path, f"the whole build context: {unresolved}")
    missing = tuple(dict.fromkeys(stage.missing))
    return Image(sources, stage.layout, stage.workdir, stage.start(), missing, unresolved)

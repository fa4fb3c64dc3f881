"""Which ``.py`` files of an image the entry points import, directly or through others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache

from drift_gate.relevance.python.chains import Closure
from drift_gate.relevance.python.closure_walk import Walk
from drift_gate.relevance.python.finder import Completed, Image, join
from drift_gate.relevance.python.import_facts import ImportFacts

#: A folder with one of these may have been installed by pip: its modules, or those of its ``src``.
_INSTALLABLE = ("pyproject.toml", "setup.py", "setup.cfg")


def built(
    builders: Sequence[str],
    roots: Sequence[str],
    layout: Mapping[str, str],
    facts: Callable[[str], ImportFacts],
) -> frozenset[str]:
    """What the making of an image runs, and imports: see ``close``. What that leaves open is the build's."""
    folders = dict.fromkeys(at.rpartition("/")[0] or "/" for at in builders)
    return frozenset(close(builders, [*roots, *folders], layout, facts).reached if builders else ())


def close(
    entries: Sequence[str],
    roots: Sequence[str],
    layout: Mapping[str, str],
    facts: Callable[[str], ImportFacts],
    repository_files: Collection[str] = (),
    links: Mapping[str, Sequence[str]] | None = None,
    named: Mapping[str, ImportFacts] | None = None,
    moved: Mapping[str, str] | None = None,
) -> Closure:
    """The import closure of ``entries``.

    ``entries`` are absolute image paths (started as a script or loaded by path) or dotted module names.
    ``roots`` are absolute image folders in the order of ``sys.path``; a script's own folder is not added,
    it belongs among them. ``layout`` maps the image's paths, symbolic links resolved, to paths of the
    repository. ``facts`` answers for a path of the repository and is asked for reached files only.
    ``repository_files``: every path of the tree, to tell a module that was not copied from one that is
    installed. ``links``: for an image path behind symbolic links the repository paths of these links;
    they count as reached with it. ``named``: what configuration files (by their image path) and variables
    (by what people call them) name; it counts like an import. ``moved``: see ``build.moved_by``.
    """
    facts = cache(facts)  # of a package they are asked for with each name that is imported from it
    image = Image(layout)
    completed = Completed(image, repository_files, moved)
    behind = [*roots, *_installed_from(image, roots)]
    extra: tuple[str, ...] = ()
    anywhere = False
    while True:  # each round knows more folders that the code itself adds to ``sys.path``
        walk = Walk(image, completed, behind, extra, facts, links or {}, named or {}, anywhere)
        closure = walk.run(entries)
        if set(walk.added) <= set(extra) and walk.anywhere == anywhere:
            return closure
        anywhere, extra = walk.anywhere, tuple(dict.fromkeys((*extra, *walk.added)))


def _installed_from(image: Image, roots: Sequence[str]) -> Iterator[str]:
    """Folders of the image that look like a project: its modules may be imported once it is installed."""
    for path in image.layout:
        folder, _, name = path.rpartition("/")
        if name in _INSTALLABLE:
            for place in (folder or "/", join(folder, "src")):
                if image.is_folder(place) and place not in roots:
                    yield place

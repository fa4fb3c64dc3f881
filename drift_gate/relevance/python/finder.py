"""Where Python finds a module among the folders of an image (the rules of ``importlib``'s path finder)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

#: How the file of a regular package is called.
PACKAGE_FILE = "__init__.py"


def join(folder: str, name: str) -> str:
    """``name`` in ``folder``; the root folder is ``/``."""
    return f"{folder.rstrip('/')}/{name}"


def parent(path: str) -> str:
    """The folder that holds an absolute path."""
    return path.rpartition("/")[0] or "/"


class Tree(Protocol):
    """Files and folders by absolute path; names that differ in case are different names."""

    def is_file(self, path: str) -> bool: ...

    def is_folder(self, path: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Found:
    """One module: its full name, its file (None for a namespace package), where its submodules are sought."""

    name: str
    file: str | None
    places: tuple[str, ...]

    @property
    def root(self) -> str:
        """The folder of ``sys.path`` in which it was found."""
        base = _stem(self.file) if self.file else self.places[0]
        return base.removesuffix(f"/{self.name.replace('.', '/')}") or "/"


class Finder:
    """Finds modules in ``roots``, the folders of ``sys.path`` in their order.

    In each folder a regular package goes before a module of the same name, and both before a namespace
    package, whose portions are gathered over all folders. Only ``.py`` files count.
    """

    def __init__(self, tree: Tree, roots: Iterable[str]) -> None:
        self._tree = tree
        self._roots = tuple(roots)
        self._known: dict[str, Found | None] = {}

    def find(self, module: str) -> Found | None:
        """The module of that full name; None where it, or one above it, is not there."""
        places, name = self._roots, ""
        found: Found | None = None
        for part in module.split("."):
            name = f"{name}.{part}" if name else part
            if name not in self._known:
                self._known[name] = self._search(name, part, places)
            found = self._known[name]
            if found is None:
                break
            places = found.places
        return found

    def _search(self, module: str, name: str, places: Iterable[str]) -> Found | None:
        if not name:
            return None
        portions = []
        for place in places:
            folder = join(place, name)
            is_folder = self._tree.is_folder(folder)
            if is_folder and self._tree.is_file(join(folder, PACKAGE_FILE)):
                return Found(module, join(folder, PACKAGE_FILE), (folder,))
            if self._tree.is_file(f"{folder}.py"):
                return Found(module, f"{folder}.py", ())
            if is_folder:
                portions.append(folder)
        return Found(module, None, tuple(portions)) if portions else None


class Image:
    """The tree of an image: absolute image path → path in the repository."""

    def __init__(self, layout: Mapping[str, str]) -> None:
        self.layout = layout
        self._folders = folders_of(layout)
        self._by_stem: dict[str, list[str]] = {}
        self._plain: dict[str, list[str]] = {}
        for path in layout:
            name = path.rpartition("/")[2]
            if "." not in name:
                self._plain.setdefault(name, []).append(path)
            if path.endswith(".py"):
                self._by_stem.setdefault(_stem(path).rpartition("/")[2], []).append(path)

    def is_file(self, path: str) -> bool:
        return path in self.layout

    def ending_like(self, module: str) -> list[Found]:
        """The files whose path ends like the name of a module, wherever they lie, as that module."""
        end = f"/{module.replace('.', '/')}"
        candidates = self._by_stem.get(module.rpartition(".")[2], ())
        paths = (path for path in candidates if _stem(path).endswith(end))
        return [
            Found(module, path, (_stem(path),) if path.endswith(f"/{PACKAGE_FILE}") else ()) for path in paths
        ]

    def plain(self, end: str) -> list[str]:
        """The files without an ending whose path ends so."""
        return [path for path in self._plain.get(end.rpartition("/")[2], ()) if path.endswith(end)]

    def is_folder(self, path: str) -> bool:
        return path in self._folders

    def modules_in(self, folder: str, *, deep: bool) -> Iterator[str]:
        """The modules of a package's folder by their name under it, with ``deep`` at any depth."""
        above = join(folder, "")
        for path in self.layout:
            if path.startswith(above) and path.endswith(".py"):
                parts = path[len(above) : -len(".py")].split("/")
                if parts[-1] == "__init__":
                    parts.pop()
                if parts and (deep or len(parts) == 1):
                    yield ".".join(parts)


def _stem(path: str) -> str:
    """A file as a module: without its ending, a package as its folder."""
    return path.removesuffix(".py").removesuffix("/__init__")


class Completed:
    """The image as it would be if each of its folders held all that the repository has in its place.

    A folder of the image stands for the folders of the repository that its files come from; a folder
    that the image lacks stands for what its parent stands for. ``moved``: see ``build.moved_by``.
    """

    def __init__(
        self, image: Image, repository_files: Collection[str], moved: Mapping[str, str] | None = None
    ) -> None:
        self._image, self._moved = image, moved or {}
        self._files = frozenset(f"/{file}" for file in repository_files)
        self._folders = folders_of(self._files)
        self._sources = _sources(image.layout)

    def is_file(self, path: str) -> bool:
        return self.repository_path(path) is not None

    def is_folder(self, path: str) -> bool:
        return self._image.is_folder(path) or any(
            source in self._folders for source in self._standing_for(path)
        )

    def repository_path(self, path: str) -> str | None:
        """What stands, or should stand, at an image path, as a path of the repository; None for nothing."""
        if path in self._image.layout:
            return self._image.layout[path]
        folder, _, name = path.rpartition("/")
        places = (join(source, name) for source in self._standing_for(folder or "/"))
        return next((place.removeprefix("/") for place in places if place in self._files), None)

    def at_the_top(self, module: str) -> str | None:
        """The file of a module below the root of the repository, or below its ``src``; None: no such."""
        base = module.replace(".", "/")
        places = (f"{above}{base}{end}" for above in ("", "src/") for end in (".py", f"/{PACKAGE_FILE}"))
        return next((place for place in places if f"/{place}" in self._files), None)

    def moved_to(self, module: str) -> str | None:
        """What the build moves to the place of a module's topmost package; None: nothing."""
        return self._moved.get(module.partition(".")[0])

    def _standing_for(self, folder: str) -> dict[str, None]:
        """The folders of the repository (absolute, from its root ``/``) that belong at ``folder``."""
        if folder not in self._sources:
            above, _, name = folder.rpartition("/")
            inherited = self._standing_for(above or "/") if name else {}
            return dict.fromkeys(join(source, name) for source in inherited)
        return self._sources[folder]


def folders_of(paths: Iterable[str]) -> frozenset[str]:
    """Every folder above absolute paths, up to ``/``."""
    folders = {"/"}
    for path in paths:
        folder = parent(path)
        while folder not in folders:
            folders.add(folder)
            folder = parent(folder)
    return frozenset(folders)


def _sources(layout: Mapping[str, str]) -> dict[str, dict[str, None]]:
    """Image folder → repository folders: the paths without the end that both have in common."""
    sources: dict[str, dict[str, None]] = {}
    for path, file in layout.items():
        here, there = path, f"/{file}"
        while here.rpartition("/")[2] == there.rpartition("/")[2]:
            here, there = parent(here), parent(there)
            known = sources.setdefault(here, {})
            if there in known:  # and all above it; the root is its own parent
                break
            known[there] = None
    return sources

"""What Python loads, or a build runs, without an import: hooks of the interpreter and files of a project."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from drift_gate.relevance.dockerfile.stage import joined

_SITE = re.compile(r"(?:/[^/]+)*?/(?:site|dist)-packages(?=/)")
_HOOKS = ("sitecustomize", "usercustomize")
#: ``"": "lib"`` and ``pkg = lib/pkg``, as setup.py and setup.cfg map packages to folders.
_PACKAGE_DIR = re.compile(r"package_dir\s*=\s*(\{[^{}]*\}|(?:[ \t]*[^\n=]*=[^\n]*\n?(?:[ \t]+[^\n]*\n?)*))")
_PAIR = re.compile(r"""(?<![\w.])["']?([\w.]*)["']?[ \t]{0,9}[:=][ \t]{0,9}["']?([\w./-]+)""")

Read = Callable[[str], str | None]


def roots_of(layout: Mapping[str, str], read: Read) -> list[str]:
    """Folders that an installed package's modules are sought in.

    The interpreter's own, what its ``.pth`` files add, and where a project of the image says that its
    packages lie. ``layout`` maps the image's paths to repository paths, ``read`` gives the text of one.
    """
    sites = dict.fromkeys(match[0] for at in layout if (match := _SITE.match(at)))
    added = [
        joined(posixpath.dirname(at), line) for at, line in _pth_lines(layout, read) if "import" not in line
    ]
    mapped = [
        joined(posixpath.dirname(at), folder)
        for at in layout
        if posixpath.basename(at) in _MAPPED
        for folder in _MAPPED[posixpath.basename(at)](read(layout[at]) or "")
    ]
    return list(dict.fromkeys([*sites, *added, *mapped]))


def hooks_of(layout: Mapping[str, str], read: Read, roots: Sequence[str]) -> list[str]:
    """The files that the interpreter runs before the program: site hooks, and what a ``.pth`` imports."""
    names = [*_HOOKS, *_pth_imports(layout, read)]
    bases = [f"{root.rstrip('/')}/{name.replace('.', '/')}" for root in roots for name in names]
    return [at for base in bases for at in (f"{base}.py", f"{base}/__init__.py") if at in layout]


def builders_of(layout: Mapping[str, str], read: Read) -> list[str]:
    """The files that run when a project of the image is installed: ``setup.py`` and a backend of its own."""
    found = [at for at in layout if posixpath.basename(at) == "setup.py"]
    for at in layout:
        if posixpath.basename(at) == "pyproject.toml":
            system = _table(read(layout[at]) or "", "build-system")
            name = str(system.get("build-backend", "")).partition(":")[0].replace(".", "/")
            for folder in system.get("backend-path", ()) if name else ():
                base = joined(posixpath.dirname(at), f"{folder}/{name}")
                found += [each for each in (f"{base}.py", f"{base}/__init__.py") if each in layout]
    return found


def _pth_lines(layout: Mapping[str, str], read: Read) -> Iterator[tuple[str, str]]:
    for at, path in layout.items():
        if at.endswith(".pth"):
            for line in (read(path) or "").splitlines():
                if line.strip() and not line.startswith("#"):
                    yield at, line.strip()


def _pth_imports(layout: Mapping[str, str], read: Read) -> list[str]:
    lines = [line for _, line in _pth_lines(layout, read) if line.startswith(("import ", "import\t"))]
    return [name for line in lines for name in re.findall(r"\bimport[ \t]+([\w.]+)", line)]


def _of_setup(text: str) -> Iterator[str]:
    """The folders of ``package_dir``; of a package that is mapped by name the folder above it."""
    for mapping in _PACKAGE_DIR.findall(text):
        yield from (_above(name, folder) for name, folder in _PAIR.findall(mapping))


def _of_pyproject(text: str) -> Iterator[str]:
    tool = _table(text, "tool")
    setuptools = tool.get("setuptools", {}) if isinstance(tool.get("setuptools"), dict) else {}
    mapping = setuptools.get("package-dir", {})
    yield from (_above(str(name), str(folder)) for name, folder in mapping.items())
    packages = setuptools.get("packages", {})
    yield from (packages.get("find", {}).get("where", ()) if isinstance(packages, dict) else ())


def _above(name: str, folder: str) -> str:
    return posixpath.dirname(folder) or "." if name else folder


def _table(text: str, name: str) -> dict[str, Any]:
    try:
        found = tomllib.loads(text).get(name, {})
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_MAPPED: Mapping[str, Callable[[str], Iterator[str]]] = {
    "setup.py": _of_setup,
    "setup.cfg": _of_setup,
    "pyproject.toml": _of_pyproject,
}

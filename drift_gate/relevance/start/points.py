"""What a command that starts Python can name: files and modules of the image, seen from its folder."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field

from drift_gate.relevance.dockerfile.image import Image
from drift_gate.relevance.dockerfile.stage import joined

DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A file where Python starts: its absolute path in the image, which is a key of the image's layout.

    ``module`` is its dotted name where it is imported by one, None where it is run as a script.
    ``because`` is the command, for people.
    """

    path: str
    module: str | None
    because: str


@dataclass(slots=True)
class Search:
    """What was found so far, and the folder where the commands run.

    ``defaults``: whether ``${NAME:-default}`` of a shell text is its default while nothing here sets NAME.
    """

    image: Image
    read: Callable[[str], str | None]
    folder: str
    environment: MutableMapping[str, str]
    entries: list[EntryPoint] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    defaults: bool = True

    def located(self, word: str) -> str | None:
        """The file of the repository that the shell would start for ``word``."""
        folders = (self.folder,) if "/" in word else (*_PATH, self.folder)
        return next((path for each in folders if (path := joined(each, word)) in self.image.layout), None)

    def python_path(self) -> list[str]:
        """The folders of PYTHONPATH; an empty one is the working folder."""
        text = self.environment.get("PYTHONPATH")
        return [joined(self.folder, each) for each in text.split(":")] if text else []

    def load(self, target: str, root: str, because: str, *, member: bool = False) -> None:
        """``module:attribute``, ``module``, ``file.py`` or ``file.py:attribute``."""
        name = re.split(r"[:(]", target)[0]
        if name.endswith(".py") or "/" in name:
            self.file(name, because)
            self.roots.append(self._package_root(posixpath.dirname(joined(self.folder, name))))
        else:
            self.module(name, root, because, member=member)

    def _package_root(self, folder: str) -> str:
        """The first folder above that is no package: there, Flask and FastAPI begin to import a file."""
        while posixpath.join(folder, "__init__.py") in self.image.layout:
            folder = posixpath.dirname(folder)
        return folder

    def module(self, name: str, root: str, because: str, *, member: bool = False) -> None:
        self.roots.append(root)
        places = (self.at(name, each) for each in (root, *self.roots, *self.python_path()))
        path = next((place for place in places if place), None)
        if path is None and member and "." in name:
            name = name.rpartition(".")[0]
            path = next(
                filter(None, (self.at(name, each) for each in (root, *self.roots, *self.python_path()))),
                None,
            )
        if path is None:
            self.doubts.append(f"{because}: the image has no module {name} from the repository")
        else:
            self.entries.append(EntryPoint(path, name, because))

    def file(self, path: str, because: str) -> None:
        """A script, or a folder with a ``__main__.py``; its own folder is the first import root."""
        absolute = joined(self.folder, path)
        if absolute not in self.image.layout:
            absolute = posixpath.join(absolute, "__main__.py")
        if absolute not in self.image.layout:
            self.doubts.append(f"{because}: the image has no {path} from the repository")
            return
        self.roots.append(posixpath.dirname(absolute))
        self.entries.append(EntryPoint(absolute, None, because))

    def named(self, arguments: Sequence[str]) -> None:
        """Other files and modules that an argument names: ``--config prod.py``, ``-k app.workers.Own``."""
        for word in arguments:
            text = word.rpartition("=")[2].removeprefix("file:").removeprefix("python:")
            path = joined(self.folder, text)
            if text.endswith(".py") and path in self.image.layout:
                self.entries.append(EntryPoint(path, None, f"named by {word}"))
            elif "." in text and DOTTED_NAME.fullmatch(text):
                self.named_module(text, word)

    def named_module(self, name: str, word: str) -> None:
        """The longest part of a dotted name that is a module of the image, if any."""
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            module = ".".join(parts[:length])
            for root in dict.fromkeys([*self.roots, *self.python_path()]):
                if path := self.at(module, root):
                    self.entries.append(EntryPoint(path, module, f"named by {word}"))
                    return

    def at(self, module: str, root: str) -> str | None:
        """The file of a module below an import root, as far as it comes from the repository."""
        base = posixpath.join(root, *module.split("."))
        both = (f"{base}/__init__.py", f"{base}.py")
        return next((path for path in both if path in self.image.layout), None)
